"""Random workflows of the whole language that the real parser reads and the real lint lets pass. One integer makes one family:
a workflow, the workflows that it runs, and the tables they ask.

As in `tests.simulation.definitions`, from which the plain steps are: drawn freely, judged by lint, drawn again if refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any, Final

from aegis.core.kinds import Key
from orchestration.workflows import parse
from orchestration.workflows.definition import Definition
from orchestration.workflows.graph import after, links_of, successors
from orchestration.workflows.lint import lint
from tests.generated import house as lists
from tests.simulation import house
from tests.simulation.definitions import Draft, NoneFound
from tests.workflows.documents import Documents, document

Json = Any

MAX_TRIES: Final = 400
MAX_DEPTH: Final = 2  # blocks inside blocks
#: Codes of each kind that an `on_failure` may name.
CODES: Final[Mapping[str, tuple[str, ...]]] = {
    "agent": ("agent_error", "timeout", "contract", "abstained", "low_confidence"),
    "act": ("denied", "rejected", "expired", "conflict", "effect_failed", "effect_unknown", "contract", "effect_diverged"),
    "gate": ("rejected", "expired"),
    "parallel": ("branch_failed",),
    "map": ("branch_failed",),
    "run": ("branch_failed", "contract"),
}
FACTS: Final = ("facts@1", lists.LIST, lists.ACTIONS, *(house.plan_of(name) for name in house.CAPABILITIES))
REQUEST: Final = ("seed", "amount", "tier", "desk", "list", "at")


@dataclass(frozen=True, slots=True)
class Family:
    """What was drawn: the documents, and the definition of the workflow whose runs are submitted."""

    workflows: tuple[Json, ...]  # those that are run by others first, the one to submit last
    tables: tuple[Json, ...]
    definition: Definition
    tries: int

    def documents(self) -> list[tuple[Key, Json]]:
        return [(Key(one["kind"], one["metadata"]["name"]), one) for one in (*self.tables, *self.workflows)]

    def definitions(self) -> list[Definition]:
        return [parse.read(workflow) for workflow in self.workflows]


@lru_cache(maxsize=500)
def generate(seed: int) -> Family:
    """The family of this seed: the first of its draws that lint has nothing against.

    Raises:
        NoneFound: `MAX_TRIES` draws of one workflow were refused.
    """
    rng = Random(f"family/{seed}")
    names = [f"g{seed}-sub{number}" for number in range(rng.randint(0, 2))] + [f"g{seed}"]
    known, workflows, tables, tries = dict(lists.surroundings()), [], [], 0
    for place, name in enumerate(names):
        for attempt in range(MAX_TRIES):
            tries += 1
            draft = Workflow(Random(f"family/{seed}/{name}/{attempt}"), name, prefix=chr(ord("u") + place - len(names)))
            workflow = draft.write(workflows, is_run=name != names[-1])
            more = {Key("RoutingTable", table["metadata"]["name"]): table for table in draft.tables}
            if not lint(workflow, Documents({**known, **more})):
                break
        else:
            raise NoneFound(f"seed {seed}: {MAX_TRIES} draws of {name} were refused")
        known |= {**more, Key("Workflow", name): workflow}
        workflows.append(workflow)
        tables += draft.tables
    return Family(tuple(workflows), tuple(tables), parse.read(workflow), tries)


@dataclass
class Workflow(Draft):
    """One list of steps being drawn: of a workflow, of a branch or of the body of a `map`.

    Attributes:
        outer: steps of the lists around it that come before.
        items: where there is an `item`: the place in an output, or the list, that is walked.
        run: workflows that may be run.
    """

    prefix: str = "s"
    outer: list[Json] = field(default_factory=list)
    depth: int = 0
    items: str = ""
    run: Sequence[Json] = ()
    claims: bool = False

    def write(self, run: Sequence[Json], *, is_run: bool) -> Json:
        rng = self.rng
        self.run = run
        spec: Json = {
            "input": "request@1",
            "business_key": "input.id",
            "priority": rng.choice(["input.tier", 1, 3, 5]),
            "fallback": {"queue": rng.choice(house.QUEUES)},
        }
        if rng.random() < 0.25:
            place = "sub/" if is_run else "desk/"  # one that waits for its own parent's would wait for ever
            hold = rng.choice(["until_end", "while_running"])
            spec["resource"] = {"key": f"'{place}' + input.desk", "hold": hold, "wait": rng.choice(["1m", "5m"])}
            self.claims = True
        spec["steps"] = self.list_of(rng.randint(2, 4) if is_run else rng.randint(3, 7))
        told = self._told()
        if told and (is_run or rng.random() < 0.2):
            value = f"{{'kind': steps.{told[0]}.output.kind, 'score': steps.{told[0]}.output.score}}"
            spec["output"] = {"contract": "facts@1", "value": value}
        if rng.random() < 0.25:
            spec["deadline"] = rng.choice(["2m", "6m", "20m"])
            spec["on_deadline"] = rng.choice(["fail", "queue", {"queue": rng.choice(house.QUEUES)}])
            if any(step.get("compensate") for step in self.steps) and rng.random() < 0.5:
                spec["on_deadline"] = "compensate"
        if rng.random() < 0.3:
            spec["rollback"] = {"gate": rng.choice(house.POLICIES)}
        if rng.random() < 0.3:
            spec["success"] = "input.amount >= 0"
        workflow = document("Workflow", self.name, spec, title=f"Generated {self.name}", owner=house.DESK)
        if not parse.faults_of(workflow):
            _bound_loops(workflow, rng)
        return workflow

    def list_of(self, count: int) -> list[Json]:
        self.ids = [f"{self.prefix}{index}" for index in range(count)]
        for index, step_id in enumerate(self.ids):
            self.steps.append(self._step(index, step_id, is_last=index == count - 1))
        return self.steps

    # --- one step ---

    def _step(self, index: int, step_id: str, *, is_last: bool) -> Json:
        rng = self.rng
        plans = [step for step in self._known() if step.get("output", "").startswith("plan-") and "agent" in step]
        kind = self._kind(index, plans, is_last=is_last)
        self.at = step_id
        step = {"id": step_id, **getattr(self, f"_{kind}")(index, plans)}
        if kind not in ("route", "finish") and not is_last and rng.random() < 0.08:
            step["next"] = rng.choice(self.ids[max(0, index - 2) :])
        if index and rng.random() < 0.15:
            step["requires"] = [rng.choice([*self.ids[:index], "event:verdict.given", "event:step.completed"])]
        if kind not in ("set", "route", "finish") and rng.random() < 0.2:
            step["deadline"] = rng.choice(["40s", "2m", "8m"])
        if on_failure := self._ways_out(kind, index, has_deadline="deadline" in step):
            step["on_failure"] = on_failure
        return step

    def _kind(self, index: int, plans: Sequence[Json], *, is_last: bool) -> str:
        rng = self.rng
        if index == 0 and rng.random() < (0.6 if self.depth == 0 else 0.4):
            return "agent"
        kinds = ["agent"] * 4 + ["set", "review", "gate", "wait", "wait"]
        kinds += ["act"] * 6 if plans or self._is_over_actions() else []
        kinds += ["route"] * 4 if index and not is_last else []
        kinds += ["finish"] * 3 if index and is_last else []
        if self.depth < MAX_DEPTH:
            kinds += ["parallel", "map"] * (3 if self.depth == 0 else 1)
            kinds += ["run"] * (4 if self.depth == 0 else 1) if self.run else []
        return rng.choice(kinds)

    def _known(self) -> list[Json]:
        return [*self.outer, *self.steps]

    def _told(self) -> list[str]:
        return [step["id"] for step in self._known() if _has_facts(step)]

    def _is_over_actions(self) -> bool:
        return self.items.endswith(".output.actions")

    def _agent(self, index: int, plans: Sequence[Json]) -> Json:
        step: Json = super()._agent(index, plans)
        if self.rng.random() < 0.4:
            step["output"] = self.rng.choice([lists.LIST, lists.ACTIONS])
        if "input" in step and self.items:
            step["input"]["index"] = "index"
        return step

    def _act(self, index: int, plans: Sequence[Json]) -> Json:
        if self._is_over_actions() and (not plans or self.rng.random() < 0.7):
            return {"act": "item", "timeout": "5s", "compensate": self.rng.random() < 0.6}
        return super()._act(index, plans)

    def _wait(self, index: int, plans: Sequence[Json]) -> Json:
        rng = self.rng
        draw = rng.random()
        if draw < 0.3:
            return {"wait": {"for": rng.choice(["5s", "45s", "3m"])}}
        if draw < 0.4:
            return {"wait": {"until": "input.at"}}
        wait = {"message": rng.choice(lists.MESSAGES), "key": "input.id", "output": "facts@1"}
        return {"wait": {**wait, "within": rng.choice(["40s", "3m", "10m"])}}

    def _run(self, index: int, plans: Sequence[Json]) -> Json:
        step: Json = {"run": self.rng.choice(self.run)["metadata"]["name"]}
        if self.rng.random() < 0.5:
            step["input"] = {"id": "input.id + '/sub'", **{name: f"input.{name}" for name in REQUEST}}
        return step

    # --- blocks ---

    def _parallel(self, index: int, plans: Sequence[Json]) -> Json:
        rng = self.rng
        branches: Json = {}
        for name in ["left", "right", "third"][: rng.randint(2, 3)]:
            inner = self._inside(f"{self.at}{name[0]}", self.items)
            branches[name] = {"steps": inner.list_of(rng.randint(1, 3))}
            if rng.random() < 0.4:
                branches[name]["output"] = f"steps.{inner.ids[0]}.output" if _has_facts(inner.steps[0]) else "input.amount"
        step: Json = {"parallel": branches}
        if rng.random() < 0.8:
            step["join"] = rng.choice(["all", "any", {"at_least": rng.randint(1, len(branches))}])
        return step

    def _map(self, index: int, plans: Sequence[Json]) -> Json:
        rng = self.rng
        places = ["input.list"]
        for step in self._known():
            if "agent" in step and step["output"] in (lists.LIST, lists.ACTIONS):
                places += [f"steps.{step['id']}.output.{'list' if step['output'] == lists.LIST else 'actions'}"] * 3
        place = rng.choice(places)
        inner = self._inside(f"{self.at}i", place)
        step: Json = {"map": place, "steps": inner.list_of(rng.randint(1, 3)), "at_once": rng.randint(1, 3)}
        if rng.random() < 0.6:
            step["on_item_failure"] = rng.choice(["fail", "collect"])
        if rng.random() < 0.3:
            step["max_items"] = rng.randint(2, 4)
        if rng.random() < 0.4:
            step["output"] = rng.choice(["item", "index", "{'of': index, 'by': input.id}"])
        return step

    def _inside(self, prefix: str, items: str) -> Workflow:
        return Workflow(
            self.rng,
            self.name,
            tables=self.tables,
            prefix=prefix,
            outer=self._known(),
            depth=self.depth + 1,
            items=items,
            run=self.run,
            claims=False,
        )

    def _ways_out(self, kind: str, index: int, *, has_deadline: bool) -> Json:
        """Where it goes when it gives up; the steps of a block more often fail, so that there is something to join."""
        rng = self.rng
        later = self.ids[index + 1 :]
        found: Json = {}
        codes = [*CODES.get(kind, ()), "expression", "max_visits", "requires", "*"]
        codes += ["deadline"] if has_deadline else []
        for code in codes:
            if rng.random() > (0.35 if code in ("*", "deadline", "branch_failed") else 0.1):
                continue
            choices: list[Json] = ["queue", {"queue": rng.choice(house.QUEUES)}, *["fail"] * (1 + 2 * self.depth)]
            choices += [{"step": rng.choice(later)}] * 2 if later else []
            choices += [{"step": rng.choice(self.ids)}] if rng.random() < 0.1 else []
            choices += ["compensate"] * 3 if any(step.get("compensate") for step in self.steps) else []
            found[code] = rng.choice(choices[:2] if code == "effect_diverged" else choices)
        if kind == "wait" and "*" in found and rng.random() < 0.3:
            found["max_visits"] = "fail"
        if self.claims and rng.random() < 0.1:
            found["resource_wait"] = rng.choice(["fail", "queue"])
        return found


def _has_facts(step: Json) -> bool:
    """Does its output have a kind and a score?"""
    return step.get("output") in FACTS or step.get("wait", {}).get("output") in FACTS


def _bound_loops(workflow: Json, rng: Random) -> None:
    """A step that can come back says how often; lint wants it of every such step, in each list."""
    steps = {step["id"]: step for step in _every(workflow["spec"]["steps"])}
    for scope in parse.read(workflow).scopes():
        following = successors(links_of(scope))
        for step in scope.steps:
            if step.common.id in after([step.common.id], following):
                steps[step.common.id]["max_visits"] = rng.randint(2, 4)


def _every(steps: Sequence[Json]) -> list[Json]:
    found = []
    for step in steps:
        found.append(step)
        for branch in step.get("parallel", {}).values():
            found += _every(branch["steps"])
        found += _every(step["steps"]) if "map" in step else []
    return found
