"""The house under a fault plan, in virtual time. One integer decides everything; the same integer makes the same bytes.

    result = simulate(17)

Time is a heap of (microsecond, number, what). Nothing here reads a clock, an environment or the order of a set.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.moves import EffectAnswered, Replied
from tests.engine.world import START
from tests.generated import house as lists
from tests.simulation import house, setting
from tests.simulation import plan as plans
from tests.simulation.judge import Judge
from tests.simulation.outside import KEYS, Receivers, effect_of
from tests.simulation.people import People
from tests.simulation.plan import Plan
from tests.simulation.store import SECOND, Store
from tests.simulation.tables import Row
from tests.simulation.violation import Violation
from tests.simulation.worker import Worker

LINES: Final = 200  # journal events at least, per seed
AT_ONCE: Final = 10  # runs that have not ended; a client waits while there are more
PATIENCE_S: Final = 5  # virtual time; then a client asks all the same
LAST_S: Final = 8  # virtual time after those events in which people and faults go on
NEIGHBOURS: Final = 50  # seeds that draw from the same workflows: drawing one costs as much as a run of many
CALM_S: Final = 1_200  # virtual time in which everything must come to rest once faults have stopped
TRAIL: Final = 40


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one seed.

    Attributes:
        digest: hex sha256 over every line of the journal, in the order of commits.
        events: steps of virtual time; lines: journal events.
        promise: which one was broken; "" if none.
    """

    seed: int
    plan: Plan
    digest: str
    events: int
    lines: int
    runs: int
    ended: Counter[str]
    faults: Counter[str]
    promise: str = ""
    detail: str = ""
    trail: tuple[str, ...] = ()
    definitions: tuple[int, ...] = ()


@dataclass
class Simulation:
    seed: int
    plan: Plan
    store_class: type[Store] = Store
    worker_class: type[Worker] = Worker
    has_sweep: bool = True
    judge: Judge = field(default_factory=Judge)
    heap: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    count: int = 0
    tokens: int = 0
    passes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    trail: deque[tuple[int, str, Any]] = field(default_factory=lambda: deque(maxlen=TRAIL))
    is_calm: bool = False
    poison_from: dict[str, int] = field(default_factory=dict)  # key of a run -> the seq from which it kills
    submitted: int = 0
    submitted_us: int = 0

    def __post_init__(self) -> None:
        self.store = self.store_class(self.judge, int(self.plan.lease_s * SECOND), lambda made: self.people.notice(made))
        self.store.word_twice = lambda: self.chance("word_twice")
        self.judge.store = self.store
        self.receivers = Receivers()
        self.draws = Random(f"{self.seed}/faults")
        self.pace = Random(f"{self.seed}/pace")
        self.rolls = Random(f"{self.seed}/rolls")
        self.people = People(self, Random(f"{self.seed}/people"))
        self.workers = [self.worker_class(f"worker-{number}", self) for number in range(self.plan.workers)]
        known = setting.numbers(self.seed // NEIGHBOURS)
        self.definitions = [self.pace.choice(known) for _ in range(3)]

    # --- the course of it ---

    def run(self) -> None:
        """Until everything is at rest. Raises `Violation`."""
        for key in KEYS[1:]:
            self.store.records[("note", key)] = (1, {"text": "as it was", "amount": 1})
        self.later(0, self._submit)
        for worker in self.workers:
            self._sweep(worker)
        self._disturb()
        while self.heap:
            at, _, step = heapq.heappop(self.heap)
            self.store.now_us = at
            self.count += 1
            step()
        self.judge.final()

    def _submit(self) -> None:
        """A client: it asks again under the same key until it is told that the run exists."""
        if len(self.store.journal) >= LINES:
            self.later(LAST_S * SECOND, self._calm_down)
            return
        busy = sum(not row.ended for row in self.store.rows.values()) >= AT_ONCE
        if busy and self.store.now_us - self.submitted_us < PATIENCE_S * SECOND:
            self.later(int(self.pace.random() * SECOND), self._submit)
            return
        self.submitted_us = self.store.now_us
        number = self.submitted
        rng = Random(f"{self.seed}/client/{number}")
        payload = {"id": f"C-{number}", "seed": rng.randrange(10**6), "amount": rng.randrange(100), "tier": rng.randint(1, 5)}
        payload |= lists.more_of(rng, self.store.now())
        definition = rng.choice(self.definitions)
        if not self.dies_at("submit_written"):
            known = f"key-{number}" in self.store.keys
            row = self.store.submit(f"key-{number}", definition, payload, priority=payload["tier"])
            if not known:
                self.people.watch(row)
            if not self.dies_at("submitted"):
                self.submitted += 1
                self.nudge()
        self.later(int(self.pace.random() * 1.5 * SECOND), self._submit)

    def _disturb(self) -> None:
        """Edits and clock steps, at times drawn beforehand."""
        rng = Random(f"{self.seed}/edits")

        def halt() -> None:
            self.faults["halt"] += 1
            name = f"halt-{self.token()}"
            release = setting.release(rng.choice(self.definitions))
            target = rng.choice(["everything", *house.AGENTS, str(release.workflow_id)])
            self.store.halt(name, target)
            if target == "everything" or rng.random() < 0.7:  # else it stands to the end
                self.later(int(rng.random() * 10 * SECOND), lambda: self.store.lift(name))

        def edit_matrix() -> None:
            self.faults["matrix edited"] += 1
            self.store.edit_matrix(rng.randint(1, setting.MATRICES))

        def edit_record() -> None:
            self.faults["record edited"] += 1
            self.store.edit_record("note", rng.choice(KEYS), {"text": "by hand", "amount": rng.randrange(100)})

        def step_clock() -> None:
            self.faults["clock stepped"] += 1
            self.store.skew_us += rng.choice([-60, -7, 7, 60]) * SECOND

        for times, step in (
            (self.plan.halts, halt),
            (self.plan.matrix_edits, edit_matrix),
            (self.plan.record_edits, edit_record),
            (self.plan.clock_steps, step_clock),
        ):
            for _ in range(times):
                self.later(int(rng.random() * 20 * SECOND), step)

    def _calm_down(self) -> None:
        """No fault from here on, nobody decides anything, nothing new comes: all must come to rest by itself."""
        self.is_calm, self.people.is_home = True, True
        self.calm_us = self.store.now_us
        self._look_for_rest()

    def _look_for_rest(self) -> None:
        restless = [(row, why) for row in self.store.rows.values() if (why := self.judge.at_rest(row))]
        if not restless:
            self.heap.clear()
        elif self.store.now_us - self.calm_us > CALM_S * SECOND:
            row, why = restless[0]
            raise Violation(
                "stuck", f"{row.stream} at {row.step!r}: {why}, {CALM_S} s after the last fault ({len(restless)} runs)"
            )
        else:
            self.later(SECOND, self._look_for_rest)

    def _sweep(self, worker: Worker) -> None:
        if self.has_sweep:
            worker.sweep()
        self.later(SECOND, lambda: self._sweep(worker))

    # --- what workers and people ask of it ---

    def later(self, delay_us: int, step: Callable[[], None]) -> None:
        self.tokens += 1
        heapq.heappush(self.heap, (self.store.now_us + delay_us, self.tokens, step))

    def token(self) -> int:
        self.tokens += 1
        return self.tokens

    def note(self, what: str, about: Any = "") -> None:
        self.trail.append((self.store.now_us, what, about))

    def jitter(self, most_us: int) -> int:
        return 1 + int(self.pace.random() * most_us)

    def chance(self, name: str) -> bool:
        rate = getattr(self.plan, name)
        if not rate or self.is_calm or self.draws.random() >= rate:
            return False
        self.faults[name] += 1
        self.note("fault", name)
        return True

    def flip(self) -> bool:
        return self.draws.random() < 0.5

    def pause(self) -> int:
        return int(self.store.lease_us * (1.05 + self.draws.random())) if self.chance("pause") else 0

    def dies_at(self, point: str) -> bool:
        self.passes[point] += 1
        if self.is_calm or self.passes[point] not in self.plan.crashes.get(point, ()):
            return False
        self.faults[f"crash:{point}"] += 1
        self.note("dies", point)
        return True

    def restart(self, worker: Worker) -> None:
        self.note("down", worker.name)
        self.later(int((0.1 + 2 * self.pace.random()) * SECOND), worker.come_up)

    def nudge(self) -> None:
        """A message to some worker. It may be lost, come twice, or late and so out of order."""
        if self.chance("nudge_lost"):
            return
        for _ in range(2 if self.chance("nudge_twice") else 1):
            worker = self.pace.choice(self.workers)
            late = int(self.pace.random() * 8 * SECOND) if self.chance("nudge_late") else 0
            self.later(self.jitter(5_000) + late, worker.ring)
        if self.chance("stop"):
            self.pace.choice(self.workers).stop()

    def expire_requests(self) -> None:
        if not self.dies_at("expiry_written"):
            self.store.expire_due()
            self.store.wake_held()
            self.store.deliver_due()
            self.store.grant_due()

    def is_poison(self, row: Row) -> bool:
        """Some runs kill whoever plans them, from some commit on."""
        if not self.plan.poison:
            return False
        if row.key not in self.poison_from:
            draw = Random(f"{self.seed}/poison/{row.key}")
            self.poison_from[row.key] = draw.randint(1, 6) if draw.random() < self.plan.poison else 10**9
        return row.seq >= self.poison_from[row.key]

    def us(self, moment: datetime | None) -> int | None:
        return None if moment is None else (moment - START) // timedelta(microseconds=1)

    # --- calls ---

    def make_call(self, worker: Worker, row: Row, fence: int, call: AgentCall | EffectCall) -> None:
        """Outside: from here on nothing depends on the worker but who hears the answer."""
        self.judge.calling(row, call)
        if self.chance("killer"):
            self.later(self.jitter(50_000), lambda life=worker.life: worker._die() if worker.life == life else None)
        delay = self.jitter(300_000)
        if self.chance("answer_late"):
            delay += int(call.timeout.total_seconds() * SECOND * (0.5 + self.draws.random()))
        if isinstance(call, AgentCall):
            rng = Random(f"{self.seed}/{row.key}/{call.step}/{call.visit}/{call.attempt}")
            reply = lists.reply_to(rng, row.release.definition.step(call.step).output, calm=self.is_calm)
            self._deliver(worker, row, fence, Replied(call.step, call.visit, call.attempt, reply, delay // 1000), delay)
        else:
            self.later(delay // 2, lambda life=worker.life: self._arrive(worker, life, row, fence, call, delay))

    def _arrive(self, worker: Worker, life: int, row: Row, fence: int, call: EffectCall, delay: int) -> None:
        """The request of an effect reaches the receivers, whatever became of the worker meanwhile."""
        draw = Random(f"{self.seed}/{call.key}/{call.attempt}/{fence}").random()
        if not self.is_calm and draw < 0.05:
            return  # lost on its way; nobody will ever answer
        refusal = "" if self.is_calm or draw > 0.15 else "refused" if draw < 0.1 else "failed"
        result, error = self.receivers.take(effect_of(row.id, call), call, refusal=refusal)
        self.note("effect", (call.key, call.attempt, fence, error))
        self.judge.effected(row, call, self.receivers)
        if not error and not self.is_calm and draw > 0.93:
            result, error = None, "unknown"
        retry_after = 3.0 if error and draw < 0.08 else 0.0
        news = EffectAnswered(call.step, call.visit, call.key, call.attempt, result, error, error, delay // 1000, retry_after)
        self._deliver(worker, row, fence, news, delay // 2, life)

    def _deliver(
        self, worker: Worker, row: Row, fence: int, news: Replied | EffectAnswered, delay: int, life: int | None = None
    ) -> None:
        heard_by = worker.life if life is None else life
        if self.chance("answer_lost"):
            return
        for _ in range(2 if self.chance("answer_twice") else 1):
            self.later(delay, lambda: worker.hear(row.id, fence, news, heard_by))
            delay += self.jitter(2 * SECOND)


def simulate(seed: int, plan: Plan | None = None, **parts: Any) -> Result:
    """One seed, from nothing to rest.

    Args:
        plan: instead of the seed's own (shrinking).
        parts: classes to put in the place of the store's or the worker's, and `has_sweep` (planted bugs).
    """
    sim = Simulation(seed, plan or plans.draw(seed), **parts)
    promise = detail = ""
    trail: tuple[str, ...] = ()
    try:
        sim.run()
    except Exception as error:
        violation = error if isinstance(error, Violation) else Violation("unforeseen", f"{type(error).__name__}: {error}")
        promise, detail = violation.promise, str(violation)
        trail = tuple(f"{at / SECOND:10.6f} {what} {about}" for at, what, about in sim.trail)
    digest = hashlib.sha256("\n".join(sim.store.journal).encode()).hexdigest()
    return Result(
        seed=seed, plan=sim.plan, digest=digest, events=sim.count, lines=len(sim.store.journal), runs=len(sim.store.rows),
        ended=Counter(row.status for row in sim.store.rows.values()), faults=sim.faults, promise=promise, detail=detail,
        trail=trail, definitions=tuple(sim.definitions),
    )  # fmt: skip
