"""The driver: takes runnable runs in hand and moves them until nothing is left to do.

One thread talks to the database; agent calls and remote effects run in a pool of threads, so a slow call holds nobody. Each
round: take answers, claim, give every run that has news its turn (pure), commit all of these turns together, start the calls
whose intents now stand.

A run leaves the hand when it waits for something that is not in this process, when its commit was refused, or at shutdown.
"""

from __future__ import annotations

import queue
import threading
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import structlog
from django.conf import settings

from aegis.core import clock, strangers
from aegis.core.faults import crash_point
from orchestration.agents import credentials
from orchestration.engine import aside, calls, hand, inbox, lease, transitions, turn
from orchestration.engine.calls import Answer, Call
from orchestration.engine.commit import (
    DATABASE_GONE,
    Broken,
    Committed,
    LeaseLost,
    NewsFirst,
    NobodyToAsk,
    Outcome,
    RecordMoved,
    Transition,
    commit,
)
from orchestration.engine.hand import Held
from orchestration.engine.intended import EffectCall
from orchestration.engine.lease import Claimed
from orchestration.engine.moves import EffectAnswered, Message, News, Replied, Taken
from orchestration.engine.scene import Scene
from orchestration.engine.world import LiveWorld, Wave

log = structlog.get_logger(__name__)

MAX_TRIES: Final = 20  # of one turn against a world that keeps moving; then the run is given back and tried later
LOOK_SECONDS: Final = 0.25  # between two looks for claimable runs while calls are in flight and nobody rings
LINGER_SECONDS: Final = 0.001  # to let answers that come together share a commit
TICK_SECONDS: Final = 0.02  # how finely call deadlines are watched
GRACE_SECONDS: Final = 5.0  # for calls in flight when asked to stop; then they are lost and made again by the next holder
MARGIN_SECONDS: Final = 2.0  # a connector ends a call outside by itself; should it not, this much later nobody waits for it


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn that was played and waits for its commit."""

    held: Held
    scene: Scene
    due_at: datetime | None

    @property
    def has_told(self) -> bool:
        """Does it make other runs runnable: its children, or its parent?"""
        is_end = self.held.parent is not None and self.scene.state.is_ended
        return bool(self.scene.children or self.scene.tells or is_end)


@dataclass(slots=True)
class Driver:
    """One drive of one worker process. Not shared between threads, but for `look` and `has_room`."""

    stop: threading.Event = field(default_factory=threading.Event)
    among: Sequence[uuid.UUID] = ()
    lease: timedelta = field(default_factory=lambda: timedelta(seconds=settings.LEASE_SECONDS))
    held: dict[uuid.UUID, Held] = field(default_factory=dict)
    answers: queue.SimpleQueue[Answer | None] = field(default_factory=queue.SimpleQueue)
    wave: Wave = field(default_factory=Wave)
    waiting: list[Held] = field(default_factory=list)  # their calls are intended and not begun
    look_at: float = 0.0  # when to look for claimable runs again
    watched_at: float = 0.0
    renewed_at: float = field(default_factory=clock.monotonic)
    stopped_at: float = 0.0
    has_told: bool = False  # since the last look, a commit made other runs runnable: children, or a parent
    committed: int = 0  # transitions, for those who measure

    @property
    def has_room(self) -> bool:
        """Could it claim a run now?"""
        return not self.stop.is_set() and self._room() > 0

    def look(self) -> None:
        """Look for claimable runs at once, waiting or not. Called by other threads; never blocks."""
        self.look_at = 0.0
        self.answers.put(None)

    def drive(self) -> None:
        """Work until no run is runnable and no call is in flight. `stop` ends claiming; calls in flight get a grace.

        Raises:
            DATABASE_GONE: the database is not there; leases run out by themselves and nothing is lost.
        """
        try:
            while not self._is_over():
                self._take_answers()
                self._time_out_calls()
                is_drained = self._claim() == 0
                moved = self._advance()
                self._start_calls()
                self._renew()
                if is_drained and not (self.held or self.has_told):
                    return
                if not moved:
                    self._wait()
        finally:
            self._give_back()

    # ---- claiming --------------------------------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        if not self.stop.is_set():
            return False
        moment = clock.monotonic()
        self.stopped_at = self.stopped_at or moment
        return not self.held or moment - self.stopped_at > GRACE_SECONDS

    def _room(self) -> int:
        """Runs that may be claimed: K in hand at most, and not more in flight than there are threads for."""
        held = list(self.held.values())
        if any(run.is_alone for run in held):
            return 0
        in_hand = sum(run.news is not None for run in held)
        return min(settings.RUNS_IN_HAND - in_hand, settings.CALLS_IN_FLIGHT - len(held))

    def _claim(self) -> int | None:
        """Take what is runnable. How many were taken, or None without a look: the hand is full, or it is too soon."""
        moment = clock.monotonic()
        room = 0 if self.stop.is_set() else self._room()
        if room <= 0 or (self.held and moment < self.look_at):
            return None
        self.look_at, self.has_told = moment + LOOK_SECONDS, False
        claimed = lease.claim(room, lease=self.lease, among=self.among)
        if claimed:
            crash_point("claimed")
            self.look_at = 0.0  # there may be more
            taken, broken = hand.take(claimed)
            self.held |= {held.run.id: held for held in taken}
            for run in broken:
                self._set_aside(run)
        return len(claimed)

    def _set_aside(self, run: Claimed) -> None:
        """A run that cannot be read. Its lease runs out, another worker may have better luck; after too many it fails."""
        if run.claims <= lease.MAX_CLAIMS:
            return
        log.error("run_failed_unread", run=str(run.id))
        commit([transitions.of_unreadable(run, at=clock.db_now(), lease=self.lease)])

    # ---- turns -----------------------------------------------------------------------------------------------------------

    def _advance(self) -> bool:
        """Give runs that have news their turn, as many as share a commit. True if there was one."""
        ready = [held for held in self.held.values() if held.news is not None]
        if not ready:
            return False
        alone = [held for held in ready if held.is_alone]
        self._play_wave(alone[:1] or ready[: settings.RUNS_IN_HAND])
        return True

    def _play_wave(self, ready: Sequence[Held]) -> None:
        self.wave.begin()
        turns: list[_Turn] = []
        for held in ready:
            try:
                played = self._play(held)
            except DATABASE_GONE:
                raise
            except Exception:
                log.exception("turn_broken", run=str(held.run.id))
                self._fault(held, traceback.format_exc(limit=8))
                continue
            if played.scene.drafts:
                turns.append(played)
            else:
                self._rest(held, played.due_at)
        if not turns:
            return
        crash_point("planned")
        outcomes = commit([self._transition(played) for played in turns])
        crash_point("committed")
        self._after_commit(turns, outcomes)

    def _play(self, held: Held) -> _Turn:
        scene = held.scene(LiveWorld(self.wave, without_voters=held.without_voters))
        news = held.news or ()
        if held.claims > lease.MAX_CLAIMS:
            aside.quarantine(scene, news, claims=held.claims)
            return _Turn(held, scene, None)
        return _Turn(held, scene, turn.take(scene, news))

    def _after_commit(self, turns: Sequence[_Turn], outcomes: Sequence[Outcome]) -> None:
        won: list[tuple[_Turn, Committed]] = []
        for played, outcome in zip(turns, outcomes, strict=True):
            match outcome:
                case Committed():
                    won.append((played, outcome))
                case LeaseLost():
                    self._let_go(played.held)
                case NewsFirst():
                    self._hear_first(played.held)
                case Broken(detail=detail):
                    self._fault(played.held, detail)
                case _:
                    self._again(played.held, outcome)
        self.committed += len(won)
        if any(played.has_told for played, _ in won):
            self.look_at, self.has_told = 0.0, True
        unread = inbox.unread(
            {played.held.run.id: (transitions.read_up_to(played.held), outcome.wake) for played, outcome in won}
        )
        for played, outcome in won:
            self._settle(played, outcome, unread.get(played.held.run.id))

    def _settle(self, played: _Turn, outcome: Committed, unread: Sequence[Message] | None) -> None:
        """Take over what the commit made true, and get the call it intended going."""
        held, scene = played.held, played.scene
        held.absorb(scene, outcome.head)
        held.news = [*unread] if unread else None
        if scene.call is not None:
            held.call, held.deadline = scene.call, 0.0
            self.waiting.append(held)
        if held.state.phase not in ("calling", "acting"):
            held.call = None
        if held.call is None:
            self._let_go(held)  # the commit gave the lease back
            if unread:
                self.look_at = 0.0  # and the messages make it claimable at once

    def _hear_first(self, held: Held) -> None:
        """What reached the run while its time was running out is read with the next claim, which may be at once."""
        lease.lay_down(held.run.id, held.fence)
        self._let_go(held)
        self.look_at = 0.0

    def _again(self, held: Held, outcome: Outcome) -> None:
        """The world moved under the turn: the next wave computes it anew, a bounded number of times."""
        held.tries += 1
        match outcome:
            case RecordMoved():
                held.lost_races += 1
            case NobodyToAsk(policy=policy):
                held.without_voters |= {policy}
            case _:
                pass
        if held.tries >= MAX_TRIES:
            lease.release([(held.run.id, held.fence)])
            self._let_go(held)

    def _transition(self, played: _Turn) -> Transition:
        return transitions.of_turn(played.held, played.scene, due_at=played.due_at, lease=self.lease)

    def _rest(self, held: Held, due_at: datetime | None) -> None:
        """Nothing to record. Keep the run while a call is in flight, else put it down."""
        held.news = None
        if held.call is None and held.state.phase in ("calling", "acting"):
            held.news = [Taken()]  # nobody will answer: on record as lost, and made again
        elif held.call is None:
            hand.put_down(held, due_at=due_at)
            self._let_go(held)

    def _fault(self, held: Held, detail: str) -> None:
        """Something broke that no rule foresaw: the run is set before people, alone; its neighbours go on."""
        log.error("run_faulted", run=str(held.run.id))  # what it said is on record, where it is masked
        try:
            scene = held.scene(LiveWorld(self.wave))
            aside.fault(scene, held.news or (), strangers.kept(detail[-calls.MAX_DETAIL_CHARS :], calls.MAX_DETAIL_CHARS))
            held.call = None
            if not scene.drafts:
                self._rest(held, None)
                return
            outcome = commit([self._transition(_Turn(held, scene, None))])[0]
            if isinstance(outcome, Broken):  # the lease runs out; quarantined after MAX_CLAIMS
                log.error("fault_not_recorded", run=str(held.run.id))
        except DATABASE_GONE:
            raise
        except Exception:
            log.exception("fault_not_recorded", run=str(held.run.id))
        self._let_go(held)

    def _let_go(self, held: Held) -> None:
        self.held.pop(held.run.id, None)

    # ---- calls -----------------------------------------------------------------------------------------------------------

    def _start_calls(self) -> None:
        """Begin what was intended. A call that may have killed its worker runs without others that it could take along."""
        if not self.waiting:
            return
        # Cancelled or lost meanwhile: no longer held.
        waiting = [held for held in self.waiting if held.call is not None and self.held.get(held.run.id) is held]
        self.waiting = []
        # Read after the intents stand, for each wave: what was revoked before signs nothing that begins now.
        keys = credentials.keys_of({signer for held in waiting if (signer := calls.signer_of(held.call))})
        inside = [run for run in self.held.values() if run.deadline and run.call is not None and calls.is_inside(run.call)]
        suspects = [held for held in waiting if _is_suspect(held)]
        if suspects and not inside:
            self._start(suspects[0], keys)
        are_others_barred = bool(suspects) or any(_is_suspect(run) for run in inside)
        for held in waiting:
            if held.deadline:
                continue
            if are_others_barred and held.call is not None and calls.is_inside(held.call):
                self.waiting.append(held)
            else:
                self._start(held, keys)

    def _start(self, held: Held, keys: Mapping[str, Sequence[bytes]]) -> None:
        call = held.call
        assert call is not None
        margin = 0.0 if calls.is_inside(call) else MARGIN_SECONDS
        held.deadline = clock.monotonic() + call.timeout.total_seconds() + margin
        _pool().start(_work(call, held, self.answers, keys.get(calls.signer_of(call), ())))

    def _take_answers(self) -> None:
        while True:
            try:
                answer = self.answers.get_nowait()
            except queue.Empty:
                return
            self._take(answer)

    def _take(self, answer: Answer | None) -> None:
        if answer is None:
            return
        held = self.held.get(answer.run_id)
        # The sweep may have handed the run to another worker while the agent was thinking (another fence, another hand), or
        # the call timed out and the run went on to another one: what answers no call in flight falls on the floor.
        if held is None or held.fence != answer.fence or not _answers(held.call, answer.news):
            return
        held.call = None
        held.news = [*(held.news or ()), answer.news]

    def _time_out_calls(self) -> None:
        moment = clock.monotonic()
        if moment < self.watched_at + TICK_SECONDS:
            return
        self.watched_at = moment
        for held in self.held.values():
            if held.call is None or not held.deadline or moment < held.deadline:
                continue
            seconds = held.call.timeout.total_seconds()
            held.news = [*(held.news or ()), calls.timed_out(held.call, f"no answer within {seconds:g} s")]
            held.call = None
            _pool().abandon()

    def _renew(self) -> None:
        """Keep the leases of runs whose calls are in flight, and hear of messages that came meanwhile."""
        moment = clock.monotonic()
        if moment - self.renewed_at < min(1.0, self.lease.total_seconds() / 3):
            return
        self.renewed_at = moment
        wakes = lease.renew([(held.run.id, held.fence) for held in self.held.values()], lease=self.lease)
        silent = [held for held in self.held.values() if held.news is None and wakes.get(held.run.id, 0) > held.seen]
        unread = inbox.unread({held.run.id: (held.seen, wakes[held.run.id]) for held in silent})
        for held in list(self.held.values()):
            if held.run.id not in wakes:
                self._let_go(held)
            elif messages := unread.get(held.run.id):
                held.news = list[News](messages)

    def _wait(self) -> None:
        """Until an answer comes, `look` is called or deadlines are to be watched; then a moment for answers that follow."""
        until = clock.monotonic() + TICK_SECONDS
        try:
            self._take(self.answers.get(timeout=TICK_SECONDS))
            while clock.monotonic() < until:
                self._take(self.answers.get(timeout=LINGER_SECONDS))
        except queue.Empty:
            return

    def _give_back(self) -> None:
        """Shutdown or a broken database: release what is held. Calls in flight are lost and made again by the next holder."""
        held = [(item.run.id, item.fence) for item in self.held.values()]
        self.held.clear()
        try:
            lease.release(held)
        except DATABASE_GONE:
            log.warning("leases_not_released", runs=len(held))  # they run out


def _is_suspect(held: Held) -> bool:
    """A worker died with this very call in flight."""
    return held.call is not None and calls.is_inside(held.call) and held.state.losses > 0


def _answers(call: Call | None, news: Replied | EffectAnswered) -> bool:
    """Is it about the very call that is awaited? What undoes an effect has its step, visit and attempt, and its own key."""
    if isinstance(call, EffectCall) and isinstance(news, EffectAnswered) and call.key != news.key:
        return False
    return call is not None and (call.step, call.visit, call.attempt) == (news.step, news.visit, news.attempt)


def _work(call: Call, held: Held, answers: queue.SimpleQueue[Answer | None], keys: Sequence[bytes]) -> Callable[[], None]:
    run, fence = held.run, held.fence
    return lambda: calls.make(call, run.id, fence, answers.put, keys, run.trace_id)


@cache
def _pool() -> calls.Pool:
    """The threads of this process; made at first use, which is after the fork."""
    return calls.Pool(settings.CALLS_IN_FLIGHT)
