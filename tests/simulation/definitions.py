"""Random workflows that the real parser reads and the real lint lets pass. One integer makes one workflow.

Drawn freely, then judged: what lint refuses is drawn again (`generate`), so nothing here repeats a rule of the language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any, Final

from aegis.core.kinds import Key
from orchestration.workflows import parse
from orchestration.workflows.definition import Definition
from orchestration.workflows.graph import after, links_of, successors
from orchestration.workflows.lint import lint
from tests.simulation import house
from tests.workflows.documents import Documents, document

Json = Any

MAX_STEPS: Final = 9
MAX_TRIES: Final = 200
TABLE_INPUTS: Final = {"amount": "int", "kind": "string", "score": "int"}


class NoneFound(Exception):
    """So many draws in a row were refused that the generator must be broken."""


@dataclass(frozen=True, slots=True)
class Generated:
    """One workflow, the routing tables it asks, and the definition as parsed."""

    workflow: Json
    tables: tuple[Json, ...]
    definition: Definition

    def documents(self) -> list[tuple[Key, Json]]:
        return [(Key(one["kind"], one["metadata"]["name"]), one) for one in (*self.tables, self.workflow)]


@lru_cache(maxsize=2_000)
def generate(seed: int) -> Generated:
    """The workflow of this seed: the first of its draws that lint has nothing against.

    Raises:
        NoneFound: `MAX_TRIES` draws were refused.
    """
    around = house.surroundings()
    for attempt in range(MAX_TRIES):
        rng = Random(f"definition/{seed}/{attempt}")
        workflow, tables = Draft(rng, f"w{seed}").draw()
        _bound_loops(workflow, rng)
        mine = {Key("RoutingTable", table["metadata"]["name"]): table for table in tables}
        if not lint(workflow, Documents({**around, **mine})):
            return Generated(workflow, tuple(tables), parse.read(workflow))
    raise NoneFound(f"seed {seed}: {MAX_TRIES} draws were refused")


def _bound_loops(workflow: Json, rng: Random) -> None:
    """A step that can come back says how often; lint wants it of every such step."""
    following = successors(links_of(parse.load(workflow)))
    for step in workflow["spec"]["steps"]:
        if step["id"] in after([step["id"]], following):
            step["max_visits"] = rng.randint(2, 4)


@dataclass
class Draft:
    rng: Random
    name: str
    steps: list[Json] = field(default_factory=list)
    tables: list[Json] = field(default_factory=list)

    def draw(self) -> tuple[Json, list[Json]]:
        rng = self.rng
        count = rng.randint(3, MAX_STEPS)
        self.ids = [f"s{index}" for index in range(count)]
        for index, step_id in enumerate(self.ids):
            self.steps.append(self._step(index, step_id, is_last=index == count - 1))
        spec = {
            "input": "request@1",
            "business_key": "input.id",
            "priority": rng.choice(["input.tier", 1, 3, 5]),
            "fallback": {"queue": rng.choice(house.QUEUES)},
            "steps": self.steps,
        }
        if rng.random() < 0.3:
            spec["success"] = "input.amount >= 0"
        if any(step.get("compensate") for step in self.steps) and rng.random() < 0.7:
            spec["rollback"] = {"gate": rng.choice(house.POLICIES)}
        return document("Workflow", self.name, spec, title=f"Generated {self.name}", owner=house.DESK), self.tables

    def _step(self, index: int, step_id: str, *, is_last: bool) -> Json:
        rng = self.rng
        plans = [step for step in self.steps if step.get("output", "").startswith("plan-") and "agent" in step]
        kinds = ["agent", "agent", "agent", "set", "review", "gate"]
        if plans:
            kinds += ["act"] * 6
        if not is_last and index:
            kinds += ["route"] * 8
        if is_last and index:
            kinds += ["finish"] * 4
        kind = "agent" if index == 0 and rng.random() < 0.85 else rng.choice(kinds)
        step = {"id": step_id, **getattr(self, f"_{kind}")(index, plans)}
        if kind not in ("route", "finish") and not is_last and rng.random() < 0.1:
            step["next"] = rng.choice(self.ids[max(0, index - 2) :])
        if index and rng.random() < 0.15:
            step["requires"] = [rng.choice(self.ids[:index])]
        if on_failure := self._on_failure(kind, index):
            step["on_failure"] = on_failure
        return step

    def _agent(self, index: int, plans: Sequence[Json]) -> Json:
        rng = self.rng
        output = "facts@1" if rng.random() < 0.2 else house.plan_of(rng.choice(list(house.CAPABILITIES)))
        step: Json = {"agent": rng.choice(house.AGENTS), "output": output, "timeout": f"{rng.choice([2, 5, 20])}s"}
        if rng.random() < 0.5:
            step["input"] = {"seed": "input.seed", "amount": "input.amount"}
        if rng.random() < 0.6:
            step["retry"] = self._retry()
        if rng.random() < 0.4:
            step["confidence_below"] = {"value": rng.choice([0.3, 0.6]), "queue": rng.choice(house.QUEUES)}
        if rng.random() < 0.2:
            step["abstain_queue"] = rng.choice(house.QUEUES)
        return step

    def _act(self, index: int, plans: Sequence[Json]) -> Json:
        step = {"act": f"steps.{self.rng.choice(plans)['id']}.output.action", "timeout": f"{self.rng.choice([2, 5, 20])}s"}
        if self.rng.random() < 0.5:
            step["retry"] = self._retry()
        proposed = next(one["output"] for one in plans if step["act"].startswith(f"steps.{one['id']}."))
        if proposed in [house.plan_of(name) for name in house.COMPENSATION] and self.rng.random() < 0.5:
            step["compensate"] = True
        return step

    def _route(self, index: int, plans: Sequence[Json]) -> Json:
        """To later steps mostly, back sometimes, or to people."""
        rng = self.rng
        cases = rng.sample(["low", "high", "odd", "late"], rng.randint(2, 4))
        table = f"{self.name}-t{len(self.tables)}"
        conditions = [f"amount < {rng.randrange(100)}", f'kind == "{rng.choice(house.KINDS)}"', f"score > {rng.randrange(100)}"]
        rules = [
            {"id": f"r{number}", "when": rng.choice(conditions), "then": {"case": rng.choice(cases)}}
            for number in range(rng.randint(1, 4))
        ]
        spec = {"inputs": TABLE_INPUTS, "outputs": {}, "rules": rules, "default": {"case": rng.choice(cases)}}
        self.tables.append(document("RoutingTable", table, spec))
        used = {spec["default"]["case"], *(rule["then"]["case"] for rule in rules)}
        told = self._told()
        source = f"steps.{rng.choice(told)}.output" if told else ""
        facts = {
            "amount": "input.amount",
            "kind": f"{source}.kind" if source else "'a'",
            "score": f"{source}.score" if source else "input.amount",
        }
        return {"route": table, "facts": facts, "cases": {case: self._target(index) for case in cases if case in used}}

    def _target(self, index: int) -> Json:
        draw = self.rng.random()
        if draw < 0.12:
            return {"queue": self.rng.choice(house.QUEUES)}
        if draw < 0.3:
            return self.rng.choice(self.ids[: index + 1])
        return self.rng.choice(self.ids[index + 1 :])

    def _gate(self, index: int, plans: Sequence[Json]) -> Json:
        step = {"gate": self.rng.choice(house.POLICIES)}
        if plans and self.rng.random() < 0.6:
            step["proposal"] = f"steps.{self.rng.choice(plans)['id']}.output.action"
        if self.rng.random() < 0.5:
            step["risk"] = self.rng.choice(["low", "medium", "high"])
        return step

    def _review(self, index: int, plans: Sequence[Json]) -> Json:
        return {"review": self.rng.choice(house.QUEUES), "output": "facts@1"}

    def _set(self, index: int, plans: Sequence[Json]) -> Json:
        values = {"double": "input.amount * 2", "key": "input.id"}
        if told := self._told():
            values["score"] = f"steps.{self.rng.choice(told)}.output.score + 1"
        return {"set": values}

    def _told(self) -> list[str]:
        """Steps so far whose output has a kind and a score."""
        return [step["id"] for step in self.steps if "output" in step]

    def _finish(self, index: int, plans: Sequence[Json]) -> Json:
        return {"finish": self.rng.choice(["done", "sent", "closed"])}

    def _retry(self) -> Json:
        rng = self.rng
        retry: Json = {"attempts": rng.randint(1, 4), "backoff": f"{rng.randint(1, 3)}s"}
        if rng.random() < 0.5:
            retry |= {"factor": rng.choice([1, 2, 3]), "cap": "10s", "jitter": rng.random() < 0.5}
        return retry

    def _on_failure(self, kind: str, index: int) -> Json:
        rng = self.rng
        codes = {
            "agent": ["agent_error", "timeout", "contract", "abstained", "low_confidence"],
            "act": [
                "denied",
                "rejected",
                "expired",
                "conflict",
                "effect_failed",
                "effect_unknown",
                "contract",
                "effect_diverged",
            ],
            "gate": ["rejected", "expired"],
        }.get(kind, [])
        table: Json = {}
        for code in (*codes, "expression", "max_visits", "requires", "*"):
            if rng.random() < 0.12:
                later = self.ids[index + 1 :]
                choices: list[Json] = [{"queue": rng.choice(house.QUEUES)}, "queue", "fail"]
                choices += [{"step": rng.choice(later)}] * 2 if later else []
                choices += [{"step": rng.choice(self.ids)}] if rng.random() < 0.2 else []
                choices += ["compensate"] * 3 if any(step.get("compensate") for step in self.steps) else []
                table[code] = rng.choice(choices[:2] if code == "effect_diverged" else choices)
        return table
