"""Generated families on the real database: `tests.simulation.cases` with child runs, messages, clocks and rollbacks.

A walk is one house with some families and some runs of each. It lives in rounds like a case does; messages come early, late,
wrong or never. Then time passes until nothing waits for it any more, and at last everything that still waits for people is
ended by them, so that every run comes to its end.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from unittest.mock import patch

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.kinds import Key
from orchestration.agents.protocol import AgentRequest, CallFailed, Reply, python_agent
from orchestration.engine import commit as commits
from orchestration.engine import driver as drivers
from orchestration.engine import lease, reviews, settlements, standing, verbs
from orchestration.engine.hand import Held
from orchestration.engine.messages import verbs as messages
from orchestration.engine.messages.models import MessageWait
from orchestration.engine.models import ReviewItem, Run
from orchestration.workflows.definition import AgentStep
from tests.generated import house as lists
from tests.generated.definitions import Family, generate
from tests.simulation.cases import PATHS, POINTS, Case, Died, Mortal

PASSES = 80  # at most, of time, until nothing waits for it
ENDINGS = 40  # rounds at most in which people end what is left

_outputs: dict[int, dict[str, str]] = {}  # seed of a family -> agent step -> contract of its output


@python_agent(lists.CONNECTOR)
def _agent(request: AgentRequest) -> Reply:
    whole = request.input if "seed" in request.input else request.input["input"]
    seed = whole["seed"]
    rng = Random(f"{seed}/{request.step}/{request.visit}/{request.attempt}/{canonical.dump(request.input).decode()}")
    answer = lists.reply_to(rng, _outputs[seed // PATHS][request.step])
    if isinstance(answer, CallFailed):
        raise RuntimeError(answer.detail)
    return answer


class Watched(Mortal):
    """A driver whose broken turns are told: the rules must foresee everything that can happen in a walk."""

    case: Walk

    def _fault(self, held: Held, detail: str) -> None:
        self.case.broken.append(f"{held.run.stream} at {held.state.step}: {detail}")
        super()._fault(held, detail)


@dataclass
class Walk(Case):
    """One house and what happens in it. `runs` holds every run of it, also those that were forked."""

    broken: list[str] = field(default_factory=list)
    seen: dict[tuple[uuid.UUID, int], str] = field(default_factory=dict)  # (run, seq) -> state as the database had it
    roots: list[uuid.UUID] = field(default_factory=list)
    restless: list[str] = field(default_factory=list)  # runs that somebody should have moved, when all had come to rest
    rested: Counter[str] = field(default_factory=Counter)  # statuses then

    # --- founding ---

    def found(self) -> None:
        super().found()
        self.roots = list(self.runs)
        self._look()
        for run in Run.objects.filter(pk__in=self.runs):
            if self.rng.random() < 0.2:
                self._send(self.rng.choice(lists.MESSAGES), run.business_key, "early")

    def _draw(self, seed: int) -> Family:
        family = generate(seed)
        scopes = [scope for one in family.definitions() for scope in one.scopes()]
        steps = [step for scope in scopes for step in scope.steps if isinstance(step, AgentStep)]
        _outputs[seed] = {step.common.id: step.output for step in steps}
        return family

    def _around(self) -> dict[Key, Any]:
        return lists.surroundings()

    def _message(self, contract: str) -> Any:
        return lists.message(self.rng, contract)

    def _payload(self, seed: int, number: int) -> dict[str, Any]:
        return super()._payload(seed, number) | lists.more_of(self.rng, clock.now(), (-60, 90, 400))

    # --- the course of it ---

    def live(self, rounds: int) -> None:
        now, db_now = clock.now, clock.db_now
        with ExitStack() as stack:
            stack.enter_context(patch.object(clock, "now", lambda: now() + self.offset))
            stack.enter_context(patch.object(clock, "db_now", lambda: db_now() + self.offset))
            for module in (lease, drivers, commits):
                stack.enter_context(patch.object(module, "crash_point", self.at))
            for _ in range(rounds):
                self._round()
            self._come_to_rest()
            self.restless = [self.told(run) for run in self.runnable()]
            self.rested = Counter(Run.objects.values_list("status", flat=True))
            self._end_all()

    def _come_to_rest(self) -> None:
        """Time passes, and nobody does anything."""
        self.armed = ""
        for _ in range(PASSES):
            self.offset += timedelta(minutes=1)
            self._time_passes()
            self._drive(self.runs)
            if not (self._are_waiting() or self.runnable()):
                return

    def _end_all(self) -> None:
        """People end what is left: they cancel it, and settle what only a person can."""
        for _ in range(ENDINGS):
            left = Run.objects.exclude(status__in=Run.TERMINAL)
            if not left.exists():
                return
            for pk in left.filter(parent=None).values_list("pk", flat=True):
                self._tell(pk, "cancel")
            for item in ReviewItem.objects.filter(status=ReviewItem.Status.OPEN).select_related("run"):
                self._settle(item)
            self._come_to_rest()

    def _settle(self, item: ReviewItem) -> None:
        by: dict[str, Any] = {"person": self.rng.choice(self.leads), "auth": "test", "reason": "to an end"}
        ways = standing.of(item)
        with self._refusable("settle"):
            if ways.is_undo:
                settlements.leave(item.pk, **by)
            elif ways.may_state:
                self._look_outside(item, by)
            else:
                reviews.cancel(item.pk, **by)

    def _round(self) -> None:
        """As in a case, of smaller groups: so that families are driven by several workers, and more of them die."""
        rng = self.rng
        runs = rng.sample(self.runs, len(self.runs))
        while runs:
            size = rng.choice([2, 12, 40, 120])
            group, runs = runs[:size], runs[size:]
            if rng.random() < 0.5:
                self.armed, self.passes = rng.choice(POINTS), rng.randint(1, 3)
            self._drive(group if rng.random() < 0.7 else ())  # or everything there is, children of this drive as well
            self.armed = ""
        self._people_act()
        self._time_passes()

    def _drive(self, among: Sequence[uuid.UUID]) -> None:
        driver = Watched(self, among)
        try:
            driver.drive()
        except Died:
            driver.is_dead = True
            self._leases_run_out()
        self._look()

    def _look(self) -> None:
        """What the rows say now; children that were forked belong to the house from here on."""
        rows = list(Run.objects.order_by("submitted_at", "pk").values_list("pk", "seq", "state"))
        known = set(self.runs)
        self.runs += [pk for pk, _, _ in rows if pk not in known]
        for pk, seq, state in rows:
            self.seen[pk, seq] = state

    # --- people, and those outside ---

    def _people_act(self) -> None:
        super()._people_act()
        rng = self.rng
        for wait in MessageWait.objects.all():
            if rng.random() < 0.35:
                self._send(wait.name, wait.key, "late")
        for run in Run.objects.filter(pk__in=self.roots, status=Run.Status.COMPLETED):
            if rng.random() < 0.15:
                with self._refusable("rollback"):
                    actor = user_actor(self.rita.pk, auth="test")
                    verbs.rollback_run(run.pk, person=self.rita, actor=actor, reason="because")

    def _send(self, name: str, key: str, when: str) -> None:
        payload = lists.message(self.rng, "facts@1") if self.rng.random() < 0.85 else {"kind": 7}
        actor = user_actor(self.rita.pk, auth="test")
        with self._refusable(f"message {when}"):
            messages.send_message(None, name, key, payload, person=self.rita, actor=actor)

    def told(self, run: Run) -> str:
        return f"{run.stream} {run.status} lease={run.lease_until} {run.wake}/{run.seen} due={run.due_at} {run.state}"

    def counted(self) -> dict[str, int]:
        """What happened, for those who read results."""
        found: Counter[str] = Counter()
        for what, count in self.happened.items():
            found["deaths" if what.startswith("died") else what] += count
        return dict(sorted(found.items()))
