"""A virtual worker: what `engine.driver` does between the pure core and the database, one step of virtual time at a time.

Between reading the world and committing, time passes: everybody else may act there. A worker that dies forgets everything; one
that stands still goes on as if nothing had happened, which is what makes it dangerous.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from audit.drafts import Head
from orchestration.engine import aside, hand, transitions, turn
from orchestration.engine.commit import Transition
from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.lease import MAX_CLAIMS, Turns
from orchestration.engine.moves import EffectAnswered, News, Replied, Taken
from orchestration.engine.scene import RunFacts, Scene
from orchestration.engine.state import State
from tests.simulation import setting
from tests.simulation.outside import is_answer, timed_out
from tests.simulation.store import SECOND
from tests.simulation.tables import Committed, Refused, Row, state_of
from tests.simulation.violation import Violation
from tests.simulation.world import SimulatedWorld

if TYPE_CHECKING:
    from tests.simulation.simulator import Simulation

MAX_TRIES: Final = 20  # as in engine.driver
CALLS: Final = 20  # in flight at most, as the threads of a real one
LATER_US: Final = 2_000  # between two steps of a busy worker


class Died(Exception):
    """The worker is gone; whatever it was doing is not done."""


@dataclass(slots=True)
class Held:
    """A run in hand, as `engine.hand.Held`."""

    row: Row
    run: RunFacts
    state: State
    head: Head
    fence: int
    seen: int
    wake_at_claim: int
    claims: int
    is_alone: bool
    input: Any
    values: dict[str, Any]
    news: list[News] | None
    parent: uuid.UUID | None = None
    item: Any = None
    parts: dict[str, Any] = field(default_factory=dict)
    call: AgentCall | EffectCall | None = None
    deadline_us: int = 0
    tries: int = 0
    races: int = 0
    without_voters: frozenset[str] = frozenset()


@dataclass(slots=True)
class Turn:
    """What was computed and not committed yet."""

    held: Held
    scene: Scene
    transition: Transition


@dataclass
class Worker:
    name: str
    sim: Simulation
    life: int = 0  # which incarnation; what was planned for an earlier one does not happen
    is_up: bool = True
    is_driving: bool = False
    held: dict[uuid.UUID, Held] = field(default_factory=dict)
    answers: list[tuple[uuid.UUID, int, Replied | EffectAnswered]] = field(default_factory=list)
    renewed_us: int = 0
    turns: Turns = field(default_factory=Turns)
    waits: int = 0  # token of the wait that an answer cuts short

    # --- what wakes it ---

    def ring(self) -> None:
        """A nudge came, or the sweep has its second."""
        if self.is_up and not self.is_driving:
            self.is_driving = True
            self._next(self._loop)

    def sweep(self) -> None:
        if self.is_up:
            try:
                self._pass("sweeping")
            except Died:
                self._die()
                return
            self.sim.expire_requests()
            self.ring()

    def hear(self, run_id: uuid.UUID, fence: int, news: Replied | EffectAnswered, life: int) -> None:
        """A call came back. A dead worker hears nothing; the answers of an earlier life belong to nobody."""
        if life != self.life or not self.is_up:
            return
        try:
            self._pass("call_answered" if isinstance(news, Replied) else "effect_answered")
        except Died:
            self._die()
            return
        self.answers.append((run_id, fence, news))
        if self.waits:
            self.waits = 0
            self._next(self._loop)

    def stop(self) -> None:
        """SIGTERM: leases are given back, calls in flight are lost with the process."""
        self.sim.store.release([(held.row.id, held.fence) for held in self.held.values()])
        self._die()

    # --- the loop ---

    def _next(self, step: Any, *args: Any, delay_us: int = 0) -> None:
        """Go on with `step` in this life. A pause longer than the lease may come in between."""
        life = self.life
        delay = (delay_us or self.sim.jitter(LATER_US)) + self.sim.pause()

        def go_on() -> None:
            if life != self.life or not self.is_up:
                return
            try:
                step(*args)
            except Died:
                self._die()

        self.sim.later(delay, go_on)

    def _loop(self) -> None:
        self._take_answers()
        self._time_out_calls()
        claimed = self._claim()
        ready = [held for held in self.held.values() if held.news is not None]
        alone = [held for held in ready if held.is_alone]
        turns = [turn for held in (alone[:1] or ready[: self.sim.plan.in_hand]) if (turn := self._plan(held))]
        if turns:
            self._pass("planned")
            self._commit_later(turns)
            return
        self._renew()
        if not self.held and not claimed:
            self.is_driving = False
            self._pass("driven")
        elif any(held.news is not None for held in self.held.values()):
            self._next(self._loop)
        else:
            self._wait()

    def _commit_later(self, turns: list[Turn]) -> None:
        self._next(self._commit, turns)

    def _wait(self) -> None:
        """Until an answer comes, a call is overdue, or leases must be renewed."""
        moments = [held.deadline_us for held in self.held.values() if held.call is not None]
        moments.append(self.renewed_us + self._renewal_us)
        self.waits = token = self.sim.token()
        life = self.life

        def go_on() -> None:
            if self.life == life and self.waits == token:
                self.waits = 0
                self._next(self._loop)

        self.sim.later(max(LATER_US, min(moments) - self.sim.store.now_us), go_on)

    @property
    def _renewal_us(self) -> int:
        return min(SECOND, self.sim.store.lease_us // 3)

    def _take_answers(self) -> None:
        answers, self.answers = self.answers, []
        for run_id, fence, news in answers:
            held = self.held.get(run_id)
            if held is None or held.fence != fence or not is_answer(held.call, news):
                continue
            held.call = None
            held.news = [*(held.news or ()), news]

    def _time_out_calls(self) -> None:
        now = self.sim.store.now_us
        for held in self.held.values():
            if held.call is not None and now >= held.deadline_us:
                held.news = [*(held.news or ()), timed_out(held.call)]
                held.call = None

    def _claim(self) -> int:
        room = min(self.sim.plan.in_hand - sum(held.news is not None for held in self.held.values()), CALLS - len(self.held))
        if room <= 0 or any(held.is_alone for held in self.held.values()):
            return 0
        self._pass("claim_written")  # dying before the commit of the claim: nothing was taken
        claimed = self.sim.store.claim(room, f"{self.name}/{self.life}", self.turns)
        for row, was_lost in claimed:
            self.held[row.id] = self._taken(row, was_lost)
        if claimed:
            self._pass("claimed")
        return len(claimed)

    def _taken(self, row: Row, was_lost: bool) -> Held:
        store = self.sim.store
        state = state_of(row.state)
        unread = store.unread(row.id, seen=row.seen, wake=row.wake)
        items = orjson.loads(store.payloads[state.items]) if state.items else None
        return Held(
            row=row,
            run=RunFacts(row.id, row.stream, row.subject, setting.REQUESTER, row.release, is_child=row.parent is not None),
            state=state,
            head=Head(row.seq, row.head),
            fence=row.fence,
            seen=row.seen,
            wake_at_claim=row.wake,
            claims=row.claims,
            is_alone=was_lost,
            input=orjson.loads(store.payloads[state.input or f"{row.stream}/1"]),
            values={step: orjson.loads(store.payloads[place]) for step, place in state.outputs.items()},
            news=[Taken(), *unread],
            parent=row.parent,
            item=items[state.index] if items is not None else None,
            parts={place: orjson.loads(store.payloads[place]) for place in hand._part_places(state, unread)},
        )

    # --- one run's turn ---

    def _plan(self, held: Held) -> Turn | None:
        """Compute the turn; None when there is nothing to commit."""
        world = self._world(held)
        scene = self._scene(held, world)
        scene.lost_races = held.races
        try:
            due_at = self._play(held, scene)
        except (Died, Violation):
            raise
        except Exception as error:
            self.sim.judge.broke(held.row, error)
            return self._fault(held)
        if scene.drafts:
            return Turn(held, scene, self._transition(held, scene, due_at))
        self._rest(held, due_at)
        return None

    def _world(self, held: Held) -> SimulatedWorld:
        sim = self.sim
        return SimulatedWorld(sim.store, held.without_voters, sim.rolls, f"{self.name}/{self.life}", lambda: sim.chance("rate"))

    def _scene(self, held: Held, world: SimulatedWorld) -> Scene:
        scene = Scene(
            run=held.run, state=held.state, seq=held.head.seq, input=held.input, values=dict(held.values), world=world
        )
        scene.item, scene.parts = held.item, dict(held.parts)
        return scene

    def _play(self, held: Held, scene: Scene) -> datetime | None:
        if held.claims > MAX_CLAIMS:
            aside.quarantine(scene, held.news or (), claims=held.claims)
            return None
        if self.sim.is_poison(held.row):
            self.sim.judge.poisoned(held.row, held.fence)
            raise Died
        return turn.take(scene, held.news or ())

    def _fault(self, held: Held) -> Turn | None:
        """As `Driver._fault`: the run is set before people."""
        world = self._world(held)
        scene = self._scene(held, world)
        aside.fault(scene, held.news or (), "broken")
        if not scene.drafts:
            self._rest(held, None)
            return None
        return Turn(held, scene, self._transition(held, scene, None))

    def _rest(self, held: Held, due_at: datetime | None) -> None:
        held.news = None
        if held.call is None and held.state.phase in ("calling", "acting"):
            held.news = [Taken()]
        elif held.call is None:
            self.sim.store.put_down(held.row, held.fence, due_us=self.sim.us(due_at), seen=max(held.seen, held.wake_at_claim))
            del self.held[held.row.id]

    def _transition(self, held: Held, scene: Scene, due_at: datetime | None) -> Transition:
        lease = timedelta(microseconds=self.sim.store.lease_us)
        return transitions.of_turn(held, scene, due_at=due_at, lease=lease)  # type: ignore[arg-type]

    # --- committing ---

    def _commit(self, turns: list[Turn]) -> None:
        turns = [turn for turn in turns if self.held.get(turn.held.row.id) is turn.held]
        for point in ("runs_moved", "waits_written", "journal_written"):
            self._pass(point)  # before the commit: nothing was written
        outcomes = self.sim.store.commit([turn.transition for turn in turns])
        afterwards, self.sim.store.afterwards = self.sim.store.afterwards, []
        if self.sim.chance("gone"):
            self._lose_database()
            return
        if afterwards and not self.sim.chance("missed"):
            self._next(self._look_for_others, afterwards)
        self._pass("committed")
        for item, outcome in zip(turns, outcomes, strict=True):
            match outcome:
                case Committed():
                    self._after_commit(item.held, item.scene, outcome)
                    if item.transition.kin and item.transition.kin.is_any:
                        self.sim.later(1, self.sim.nudge)
                case Refused():
                    self._after_refusal(item.held, outcome)
        self._next(self._loop)

    def _after_commit(self, held: Held, scene: Scene, outcome: Committed) -> None:
        held.seen = max([held.seen, held.wake_at_claim, *scene.consumed])
        held.state, held.values, held.head = scene.state, scene.values, outcome.head
        held.claims, held.is_alone, held.tries, held.races, held.without_voters = 0, False, 0, 0, frozenset()
        unread = self.sim.store.unread(held.row.id, seen=held.seen, wake=outcome.wake) if outcome.wake > held.seen else []
        held.news = [*unread] if unread else None
        if scene.call is not None:
            held.call = scene.call
            held.deadline_us = self.sim.store.now_us + int(scene.call.timeout.total_seconds() * SECOND)
            self.start_call(held, scene.call)
        if held.state.phase not in ("calling", "acting"):
            held.call = None
        if held.call is None:
            del self.held[held.row.id]

    def _look_for_others(self, afterwards: Sequence[Callable[[], bool]]) -> None:
        """As `on_commit` in the real one: bring together what this commit and somebody else's have to do with one another."""
        if sum(look() for look in afterwards):
            self.sim.nudge()

    def _after_refusal(self, held: Held, outcome: Refused) -> None:
        held.tries += 1
        if outcome.why in ("lease", "news"):  # what reached it while its time ran out is read with the next claim
            if outcome.why == "news":
                self.sim.store.lay_down(held.row, held.fence)
            del self.held[held.row.id]
        elif outcome.why == "record":
            held.races += 1
        elif outcome.why == "voters":
            held.without_voters |= {outcome.policy}
        if held.tries >= MAX_TRIES and held.row.id in self.held:
            self.sim.store.release([(held.row.id, held.fence)])
            del self.held[held.row.id]

    def start_call(self, held: Held, call: AgentCall | EffectCall) -> None:
        self._pass("call_starting" if isinstance(call, AgentCall) else "effect_starting")
        self.sim.make_call(self, held.row, held.fence, call)

    def _renew(self) -> None:
        store = self.sim.store
        if store.now_us - self.renewed_us < self._renewal_us:
            return
        self.renewed_us = store.now_us
        wakes = store.renew([(held.row.id, held.fence) for held in self.held.values()])
        for run_id, held in list(self.held.items()):
            if run_id not in wakes:
                del self.held[run_id]
            elif wakes[run_id] > held.seen and held.news is None:
                held.news = list(store.unread(run_id, seen=held.seen, wake=wakes[run_id]))

    # --- ends ---

    def _pass(self, point: str) -> None:
        if self.sim.dies_at(point):
            raise Died

    def _lose_database(self) -> None:
        """As `Driver._give_back` after DATABASE_GONE: the leases are given back if that is possible, or they run out."""
        held = [(one.row.id, one.fence) for one in self.held.values()]
        self._forget()
        if self.sim.flip():
            self.sim.store.release(held)

    def _forget(self) -> None:
        self.life += 1
        self.held, self.answers, self.is_driving, self.waits, self.turns = {}, [], False, 0, Turns()

    def _die(self) -> None:
        self._forget()
        self.is_up = False
        self.sim.restart(self)

    def come_up(self) -> None:
        self.is_up = True
        self.ring()
