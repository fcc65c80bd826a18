"""Generated cases on the real database: random workflows, agents, people and deaths of workers, all in this process.

`Case` founds a house with some generated workflows, submits many runs of each, and then lets time pass in rounds: workers drive
some of the runs (together or one by one) and now and then die at a named point, forgetting all and giving nothing back; people
decide, answer, cancel and retry, also in the moment between a turn and its commit. The clock is moved on between rounds: leases
run out, retries fall due, requests expire.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final
from unittest.mock import patch

from django.conf import settings
from django.db.models import F, Q

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError
from aegis.core.kinds import Key, document_key
from aegis.identity import authority, people
from aegis.identity.models import User
from approvals import changes, gates, questions
from approvals.models import ApprovalRequest
from orchestration.agents.protocol import AgentRequest, CallFailed, Reply, python_agent
from orchestration.engine import commit as commits
from orchestration.engine import driver as drivers
from orchestration.engine import effects, lease, reviews, settlements, standing, verbs, worker
from orchestration.engine import state as states
from orchestration.engine.calls import Answer
from orchestration.engine.commit import Committed
from orchestration.engine.driver import Driver
from orchestration.engine.hand import Held
from orchestration.engine.models import ReviewItem, Run
from orchestration.records import store
from tests.simulation import house, outside
from tests.simulation.definitions import Generated, generate
from tests.simulation.outside import Receivers

PATHS: Final = 100_000  # the seed of a run is that of its workflow times this, and its number: its agents know the workflow
IN_DRIVER: Final = ("claimed", "planned", "committed")
IN_COMMIT: Final = ("runs_moved", "waits_written", "journal_written")
AT_CALLS: Final = ("call_starting", "call_answered")
POINTS: Final = ("claim_written", *IN_DRIVER, *IN_COMMIT, *AT_CALLS)

_made: dict[int, Generated] = {}  # workflows whose agents may be asked, by seed
_receivers = Receivers()
_lock = threading.Lock()


class Died(BaseException):
    """The worker is gone in the middle of what it did."""


@python_agent("sim.agent")
def _agent(request: AgentRequest) -> Reply:
    seed = request.input["seed"] if "seed" in request.input else request.input["input"]["seed"]
    rng = Random(f"{seed}/{request.step}/{request.visit}/{request.attempt}")
    step = _made[seed // PATHS].definition.step(request.step)
    answer = outside.reply_to(rng, step.output)  # type: ignore[union-attr]
    if isinstance(answer, CallFailed):
        raise RuntimeError(answer.detail)
    assert answer is not None
    return answer


def _receiver(handler: str) -> effects.EffectHandler:
    def receive(request: effects.EffectRequest) -> object:
        draw = Random(f"{request.key.partition('/')[2]}/{request.attempt}/{request.fence}").random()
        if draw < 0.06:
            raise effects.EffectRefused("no")
        if draw < 0.1:
            raise effects.EffectUnavailable("later")
        if draw < 0.13:
            raise effects.EffectUnknown("lost on its way")
        with _lock:
            result, _ = _receivers.take(_effect_of(request.key), request, refusal="")  # type: ignore[arg-type]
        if draw > 0.93:
            raise effects.EffectUnknown("it happened, and the answer was lost")
        return result

    return receive


def _effect_of(key: str) -> outside.Effect:
    run, step, visit, _, *undo = key.split("/")
    return (run, step, int(visit), bool(undo))


for _name in house.REMOTE:
    effects.effect_handler(_name)(_receiver(_name))


class Mortal(Driver):
    """A driver that may die, and that remembers the state each of its commits stored."""

    def __init__(self, case: Case, among: Sequence[uuid.UUID]) -> None:
        super().__init__(among=among)
        self.case = case
        self.is_dead = False

    def _start(self, held: Held, keys: Mapping[str, Sequence[bytes]]) -> None:
        self.case.at("call_starting")
        super()._start(held, keys)

    def _take(self, answer: Answer | None) -> None:
        if answer is not None:
            self.case.at("call_answered")
        super()._take(answer)

    def _after_commit(self, turns: Any, outcomes: Any) -> None:
        for played, outcome in zip(turns, outcomes, strict=True):
            if isinstance(outcome, Committed):
                self.case.stored[(played.held.run.id, outcome.head.seq)] = states.dump(played.scene.state)
        super()._after_commit(turns, outcomes)

    def _give_back(self) -> None:
        if not self.is_dead:
            super()._give_back()


@dataclass
class Case:
    """One house and what happens in it."""

    seed: int
    definitions: Sequence[int]
    paths: int
    rng: Random = field(init=False)
    runs: list[uuid.UUID] = field(default_factory=list)
    stored: dict[tuple[uuid.UUID, int], str] = field(default_factory=dict)  # (run, seq) -> state as committed
    happened: Counter[str] = field(default_factory=Counter)
    passes: int = 0  # of the armed point, until it kills
    armed: str = ""
    offset: timedelta = timedelta()  # how far time was moved on

    def __post_init__(self) -> None:
        self.rng = Random(f"case/{self.seed}")

    # --- founding ---

    def found(self) -> None:
        """People, documents, and every run submitted."""
        _receivers.forget()
        for group in (house.DESK, house.LEAD_GROUP, "Sim admins"):
            people.create_group(group, actor=SYSTEM, reason="test")
        for name, group in (("rita", house.DESK), ("ada", "Sim admins"), *((lead, house.LEAD_GROUP) for lead in house.LEADS)):
            people.create_person(name, name=name.capitalize(), groups=[group], actor=SYSTEM, reason="test")
        self.leads = list(User.objects.filter(username__in=house.LEADS).order_by("username"))
        self.rita = User.objects.get(username="rita")
        made = [self._draw(seed) for seed in self.definitions]
        documents = [*self._around().values(), *(one for each in made for _, one in each.documents())]
        try:
            changes.bootstrap([(document_key(one), one) for one in documents])
        except AegisError as error:
            raise AssertionError("; ".join(map(str, error.faults)) or error.detail) from error
        for key in outside.KEYS[1:]:
            _edit_record(key, {"text": "as it was", "amount": 1})
        actor = user_actor(self.rita.pk, auth="test")
        for seed, each in zip(self.definitions, made, strict=True):
            payloads = [self._payload(seed, number) for number in range(self.paths)]
            submissions = [verbs.Submission(payload) for payload in payloads]
            submitted = verbs.submit_many(each.definition.name, submissions, person=self.rita, actor=actor)
            self.runs += [one.run.pk for one in submitted]

    def _draw(self, seed: int) -> Generated:
        return _made.setdefault(seed, generate(seed))

    def _around(self) -> dict[Key, Any]:
        return house.surroundings()

    def _message(self, contract: str) -> Any:
        """What a person enters."""
        return outside.message(self.rng, contract)

    def _payload(self, seed: int, number: int) -> dict[str, Any]:
        rng = self.rng
        return {
            "id": f"K-{seed}-{number}",
            "seed": seed * PATHS + number,
            "amount": rng.randrange(100),
            "tier": rng.randint(1, 5),
        }

    # --- the course of it ---

    def live(self, rounds: int) -> None:
        """Let things happen, then drive what is left to rest without another fault."""
        now, db_now = clock.now, clock.db_now
        with ExitStack() as stack:
            stack.enter_context(patch.object(clock, "now", lambda: now() + self.offset))
            stack.enter_context(patch.object(clock, "db_now", lambda: db_now() + self.offset))
            stack.enter_context(patch.object(lease, "crash_point", self.at))
            stack.enter_context(patch.object(drivers, "crash_point", self.at))
            stack.enter_context(patch.object(commits, "crash_point", self.at))
            for _ in range(rounds):
                self._round()
            self.armed = ""
            for _ in range(60):  # a run may retry each of its steps some times, and be held for a while
                self._time_passes()
                self._drive(self.runs)
                if not self._are_waiting():
                    break

    def _round(self) -> None:
        """Groups of runs are driven, some by workers that die; people act in between."""
        rng = self.rng
        runs = rng.sample(self.runs, len(self.runs))
        while runs:
            size = rng.choice([1, 3, 40, 120])
            group, runs = runs[:size], runs[size:]
            dies = rng.random() < 0.4
            self.armed, self.passes = (rng.choice(POINTS), rng.randint(1, 8)) if dies else ("", 0)
            self._drive(group)
        self.armed = ""
        self._people_act()
        self._time_passes()

    def _drive(self, among: Sequence[uuid.UUID]) -> None:
        driver = Mortal(self, among)
        try:
            driver.drive()
        except Died:
            driver.is_dead = True
            self._leases_run_out()

    def at(self, point: str) -> None:
        """A point is passed: die there, or, between a turn and its commit, have somebody else be faster."""
        if point == self.armed:
            self.passes -= 1
            if self.passes <= 0:
                self.armed = ""
                self.happened[f"died: {point}"] += 1
                raise Died
        if point == "planned" and self.rng.random() < 0.1:
            self._meanwhile()

    def _meanwhile(self) -> None:
        """What may come between reading the world and committing."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.3:
            in_transaction(authority.raise_epoch)
            self.happened["epoch moved under a turn"] += 1
        elif draw < 0.6:
            _edit_record(rng.choice(outside.KEYS), {"text": "by hand", "amount": rng.randrange(100)})
            self.happened["record moved under a turn"] += 1
        elif draw < 0.8:
            self._leases_run_out()
            armed, self.armed = self.armed, ""
            Mortal(self, rng.sample(self.runs, min(10, len(self.runs)))).drive()
            self.armed = armed
            self.happened["another worker took over"] += 1
        else:
            self._tell(rng.choice(self.runs), "cancel")

    # --- time ---

    def _leases_run_out(self) -> None:
        self.offset += timedelta(seconds=settings.LEASE_SECONDS + 1)

    def _time_passes(self) -> None:
        """Leases run out, retries fall due, and a few requests reach their deadline."""
        self._leases_run_out()
        now = clock.db_now()
        open_ = ApprovalRequest.objects.filter(run_id__in=self.runs, status=ApprovalRequest.Status.OPEN)
        chosen = [pk for pk in open_.values_list("pk", flat=True) if self.rng.random() < 0.1]
        ApprovalRequest.objects.filter(pk__in=chosen).update(deadline=now)
        worker.housekeep()

    def _are_waiting(self) -> bool:
        return Run.objects.filter(pk__in=self.runs, due_at__isnull=False).exists()

    # --- people ---

    def _people_act(self) -> None:
        rng = self.rng
        open_ = ApprovalRequest.objects.filter(run_id__in=self.runs, status=ApprovalRequest.Status.OPEN)
        for request in open_.select_related("policy"):
            if rng.random() < 0.7:
                for person in rng.sample(self.leads, 2 if request.policy.name == "two-leads" or rng.random() < 0.1 else 1):
                    self._decide(request, person)
        for item in ReviewItem.objects.filter(run_id__in=self.runs, status=ReviewItem.Status.OPEN).select_related("run"):
            if rng.random() < 0.6:
                self._answer(item)
        for run_id in rng.sample(self.runs, max(1, len(self.runs) // 60)):
            self._tell(run_id, rng.choice(["cancel", "retry", "retry"]))

    def _decide(self, request: ApprovalRequest, person: User) -> None:
        verdict = "approve" if self.rng.random() < 0.8 else "reject"
        with self._refusable("decide"):
            digest = questions.get(request.question).live(request.subject).digest
            gates.decide(
                request.pk,
                person=person,
                auth="test",
                verdict=verdict,
                reason="because",
                seen_digest=digest,
                proved_at=clock.now(),
            )

    def _answer(self, item: ReviewItem) -> None:
        rng, ways = self.rng, standing.of(item)
        by: dict[str, Any] = {"person": rng.choice(self.leads), "auth": "test", "reason": "because"}
        draw = rng.random()
        with self._refusable("answer"):
            if draw < 0.65 and item.choices:
                reviews.complete(item.pk, case=rng.choice(item.choices), **by)
            elif draw < 0.65 and item.contract:
                reviews.complete(item.pk, output=self._message(item.contract), **by)
            elif draw < 0.7 and ways.may_state:
                self._look_outside(item, by)
            elif draw < 0.75 and ways.is_undo:
                settlements.leave(item.pk, **by)
            elif draw < 0.85:
                reviews.retry(item.pk, **by)
            else:
                reviews.cancel(item.pk, **by)

    def _look_outside(self, item: ReviewItem, by: dict[str, Any]) -> None:
        state = states.load(item.run.state)
        if _receivers.naive[(str(item.run_id), state.step, state.visit, bool(state.undoes))]:
            settlements.happened(item.pk, reference="R-1", **by)
        else:
            settlements.not_happened(item.pk, **by)

    def _tell(self, run_id: uuid.UUID, kind: str) -> None:
        tell = verbs.cancel_run if kind == "cancel" else verbs.retry_run
        with self._refusable(kind):
            tell(run_id, person=self.rita, actor=user_actor(self.rita.pk, auth="test"), reason="because")

    @contextmanager
    def _refusable(self, what: str) -> Iterator[None]:
        """A person may be too late, or not allowed; anything else is a fault of ours."""
        try:
            yield
            self.happened[what] += 1
        except AegisError as refusal:
            self.happened[f"{what}: {refusal.code}"] += 1

    # --- what the tests look at ---

    @property
    def receivers(self) -> Receivers:
        return _receivers

    def runnable(self) -> list[Run]:
        """Runs that somebody should have moved."""
        waits = Q(lease_until__isnull=False) | Q(wake__gt=F("seen")) | Q(due_at__lte=clock.db_now())
        return list(Run.objects.filter(waits, pk__in=self.runs))


def _edit_record(key: str, body: dict[str, Any]) -> None:
    """Another system writes the record."""

    def work() -> None:
        version, _ = store.read("note", key) or (0, None)
        store.compare_and_set(
            "note", key, expected_version=version, body=canonical.dump(body), effect_key=f"hand/{uuid.uuid4()}",
            run_id=uuid.uuid4(), at=clock.db_now(),
        )  # fmt: skip

    in_transaction(work)
