"""The driver: takes runnable runs in hand and moves them until nothing is left to do.

One thread talks to the database; agent calls and remote effects run in threads of their own, so a slow call holds nobody.
Each turn: take answers, claim, advance (pure), commit, start the calls whose intents were committed.

A run leaves the hand when it waits for something that is not in this process, when its commit was refused, or at shutdown.
"""

from __future__ import annotations

import queue
import threading
import traceback
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connections

from aegis.core import canonical, clock
from aegis.core.errors import Unavailable
from audit.drafts import Context
from orchestration.agents import python as python_agents
from orchestration.engine import effects, hand, inbox, lease, turn
from orchestration.engine.commit import (
    Committed,
    EpochMoved,
    LeaseLost,
    NobodyToAsk,
    RecordMoved,
    Transition,
    commit,
)
from orchestration.engine.hand import Held
from orchestration.engine.planner import CallFailed, EffectAnswered, News, Replied, Taken
from orchestration.engine.scene import AgentCall, EffectCall, Scene
from orchestration.engine.steps import act
from orchestration.engine.world import LiveWorld

log = structlog.get_logger(__name__)

MAX_TRIES = 20  # of one turn against a world that keeps moving; then the run is given back and tried later
IDLE_WAIT_SECONDS = 0.05
GRACE_SECONDS = 5.0  # for calls in flight when asked to stop; then they are lost and made again by the next holder

#: The database is away, not the run at fault: everything in hand is dropped and its leases run out.
DATABASE_GONE = (OperationalError, InterfaceError, Unavailable)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call thread brings back."""

    run_id: uuid.UUID
    fence: int
    news: Replied | EffectAnswered


@dataclass(slots=True)
class Driver:
    """One drive of one worker process. Not shared between threads."""

    stop: threading.Event = field(default_factory=threading.Event)
    among: Sequence[uuid.UUID] = ()
    lease: timedelta = field(default_factory=lambda: timedelta(seconds=settings.LEASE_SECONDS))
    held: dict[uuid.UUID, Held] = field(default_factory=dict)
    answers: queue.SimpleQueue[Answer] = field(default_factory=queue.SimpleQueue)
    renewed_at: float = field(default_factory=clock.monotonic)
    stopped_at: float = 0.0
    committed: int = 0  # transitions, for those who measure

    def drive(self) -> None:
        """Work until no run is runnable and no call is in flight. `stop` ends claiming; calls in flight get a grace.

        Raises:
            DATABASE_GONE: the database is not there; leases run out by themselves and nothing is lost.
        """
        try:
            while not self._is_over():
                self._take_answers()
                self._time_out_calls()
                claimed = self._claim()
                moved = self._advance_all()
                self._renew()
                if not self.held and not claimed:
                    return
                if not moved:
                    self._wait()
        finally:
            self._give_back()

    def _is_over(self) -> bool:
        if not self.stop.is_set():
            return False
        moment = clock.monotonic()
        self.stopped_at = self.stopped_at or moment
        return not self.held or moment - self.stopped_at > GRACE_SECONDS

    def _claim(self) -> int:
        if self.stop.is_set():
            return 0
        room = settings.RUNS_IN_HAND - len(self.held)
        if room <= 0 or any(held.is_alone for held in self.held.values()):
            return 0
        claimed = lease.claim(room, lease=self.lease, among=self.among)
        for run in claimed:
            try:
                held = hand.take(run)
            except DATABASE_GONE:
                raise
            except Exception:
                log.exception("run_cannot_be_taken", run=str(run.id))  # its lease runs out; counted by claims_since_commit
                continue
            held.news = [Taken(), *inbox.unread(run.id, seen=run.seen, wake=run.wake)]
            self.held[run.id] = held
        return len(claimed)

    def _advance_all(self) -> bool:
        """Give every run that has news its turn. True if there was one."""
        ready = [held for held in self.held.values() if held.news is not None]
        for held in ready:
            try:
                self._turn(held)
            except DATABASE_GONE:
                raise
            except Exception:
                self._fault(held, traceback.format_exc(limit=8))
        return bool(ready)

    def _turn(self, held: Held) -> None:
        """Advance and commit one run until it rests or waits for a call."""
        races, without_voters = 0, frozenset[str]()
        for _ in range(MAX_TRIES):
            world = LiveWorld(without_voters=without_voters)
            scene = held.scene(world)
            scene.lost_races = races
            due_at = self._play(held, scene)
            if not scene.drafts:
                self._rest(held, due_at)
                return
            outcome = commit([self._transition(held, scene, world, due_at)])[0]
            match outcome:
                case Committed():
                    self.committed += 1
                    self._after_commit(held, scene, outcome)
                    return
                case EpochMoved():
                    continue
                case RecordMoved():
                    races += 1
                case NobodyToAsk(policy=policy):
                    without_voters |= {policy}
                case LeaseLost():
                    self.held.pop(held.run.id, None)
                    return
        lease.release([(held.run.id, held.fence)])
        self.held.pop(held.run.id, None)

    def _play(self, held: Held, scene: Scene) -> datetime | None:
        if held.claims > lease.MAX_CLAIMS and not scene.state.is_ended:
            scene.emit("run.quarantined", {"step": scene.state.step, "visit": scene.state.visit, "losses": held.claims})
            scene.review("quarantined", scene.run.release.definition.fallback_queue)
            return None
        if held.erased and not scene.state.is_ended and scene.state.phase == "ready":
            scene.review("payload_erased", scene.run.release.definition.fallback_queue)
            return None
        return turn.take(scene, held.news or ())

    def _after_commit(self, held: Held, scene: Scene, outcome: Committed) -> None:
        """Take over what the commit made true, and start the call it intended."""
        held.absorb(scene, outcome.head)
        unread = inbox.unread(held.run.id, seen=held.seen, wake=outcome.wake) if outcome.wake > held.seen else []
        held.news = [*unread] if unread else None
        if scene.call is not None:
            held.call, held.deadline = scene.call, clock.monotonic() + scene.call.timeout.total_seconds()
            self._start(held, scene.call)
        if held.state.phase not in ("calling", "acting"):
            held.call = None
        if held.call is None:
            self.held.pop(held.run.id, None)  # the commit gave the lease back; unread messages make it claimable at once

    def _transition(self, held: Held, scene: Scene, world: LiveWorld, due_at: datetime | None) -> Transition:
        in_flight = scene.call is not None or (held.call is not None and scene.state.phase in ("calling", "acting"))
        messages = [item.ordinal for item in held.news or () if hasattr(item, "ordinal")]
        return Transition(
            run_id=held.run.id,
            workflow_id=held.run.release.workflow_id,
            requester_id=uuid.UUID(held.run.requester) if held.run.requester else None,
            fence=held.fence,
            head=held.head,
            state=scene.state,
            drafts=scene.drafts,
            context=Context(
                stream=held.run.stream,
                scope="workflow",
                scope_id=str(held.run.release.workflow_id),
                run_id=held.run.id,
                subject=held.run.subject,
                trace=held.run.id.hex,
                definition=held.run.release.digest,
                fence=held.fence,
            ),
            seen=max([held.seen, *messages, held.wake_at_claim]),
            at=world.now,
            due_at=due_at,
            keeps_lease=in_flight,
            has_read=bool(scene.consumed),
            lease=self.lease,
            epoch=world.epoch if scene.asked_authority else None,
            openings=scene.openings,
            items=scene.items,
            patches=scene.patches,
            closes_waits=scene.closes_waits,
        )

    def _rest(self, held: Held, due_at: datetime | None) -> None:
        """Nothing to record. Keep the run while a call is in flight, else put it down."""
        held.news = None
        if held.call is None and held.state.phase in ("calling", "acting"):
            held.news = [Taken()]  # nobody will answer: on record as lost, and made again
        elif held.call is None:
            hand.put_down(held, due_at=due_at)
            self.held.pop(held.run.id, None)

    def _fault(self, held: Held, detail: str) -> None:
        """Something broke that no rule foresaw: the run is set before people, alone; its neighbours go on."""
        log.error("run_faulted", run=str(held.run.id), detail=detail)
        try:
            world = LiveWorld()
            scene = held.scene(world)
            if scene.state.is_ended:
                self._rest(held, None)
                return
            scene.emit(
                "run.faulted",
                {"step": scene.state.step, "visit": scene.state.visit, "code": "fault"},
                payloads={"detail": {"detail": _kept(detail[-4000:])}},
                outcome="failed",
            )
            act.fault(scene)
            held.news = None
            commit([self._transition(held, scene, world, None)])
        except DATABASE_GONE:
            raise
        except Exception:
            log.exception("fault_not_recorded", run=str(held.run.id))  # the lease runs out; quarantined after MAX_CLAIMS
        self.held.pop(held.run.id, None)

    def _start(self, held: Held, call: AgentCall | EffectCall) -> None:
        threading.Thread(
            target=_make_call, args=(self.answers, held.run.id, held.fence, call), name=f"call-{call.step}", daemon=True
        ).start()

    def _take_answers(self, first: Answer | None = None) -> None:
        while True:
            try:
                answer = first or self.answers.get_nowait()
            except queue.Empty:
                return
            first = None
            held = self.held.get(answer.run_id)
            # The sweep may have handed the run to another worker while the agent was thinking (another fence, another hand), or
            # the call timed out and the run went on to another one: what answers no call in flight falls on the floor.
            if held is None or held.fence != answer.fence or not _answers(held.call, answer.news):
                continue
            held.call = None
            held.news = [*(held.news or ()), answer.news]

    def _time_out_calls(self) -> None:
        moment = clock.monotonic()
        for held in self.held.values():
            if held.call is None or moment < held.deadline:
                continue
            seconds = held.call.timeout.total_seconds()
            held.news = [*(held.news or ()), _timed_out(held.call, f"no answer within {seconds:g} s")]
            held.call = None

    def _renew(self) -> None:
        """Keep the leases of runs whose calls are in flight, and hear of messages that came meanwhile."""
        moment = clock.monotonic()
        if moment - self.renewed_at < min(1.0, self.lease.total_seconds() / 3):
            return
        self.renewed_at = moment
        wakes = lease.renew([(held.run.id, held.fence) for held in self.held.values()], lease=self.lease)
        for run_id, held in list(self.held.items()):
            if run_id not in wakes:
                self.held.pop(run_id)
            elif wakes[run_id] > held.seen and held.news is None:
                held.news = list[News](inbox.unread(run_id, seen=held.seen, wake=wakes[run_id]))

    def _wait(self) -> None:
        try:
            first = self.answers.get(timeout=IDLE_WAIT_SECONDS)
        except queue.Empty:
            return
        self._take_answers(first)

    def _give_back(self) -> None:
        """Shutdown or a broken database: release what is held. Calls in flight are lost and made again by the next holder."""
        held = [(item.run.id, item.fence) for item in self.held.values()]
        self.held.clear()
        try:
            lease.release(held)
        except DATABASE_GONE:
            log.warning("leases_not_released", runs=len(held))  # they run out


def _answers(call: AgentCall | EffectCall | None, news: Replied | EffectAnswered) -> bool:
    return call is not None and (call.step, call.visit, call.attempt) == (news.step, news.visit, news.attempt)


def _make_call(answers: queue.SimpleQueue[Answer], run_id: uuid.UUID, fence: int, call: AgentCall | EffectCall) -> None:
    """Runs in a thread of its own. Never raises; whatever happens becomes an answer."""
    started = clock.monotonic()
    news: Replied | EffectAnswered
    match call:
        case AgentCall():
            reply = python_agents.call(call.agent, call.request)
            news = Replied(call.step, call.visit, call.attempt, reply, _milliseconds(started))
        case EffectCall():
            news = _make_effect(call, fence, started)
    answers.put(Answer(run_id, fence, news))


def _make_effect(call: EffectCall, fence: int, started: float) -> EffectAnswered:
    handler = effects.registered(call.handler)
    result, error, detail = None, "", ""
    try:
        if handler is None:
            raise effects.EffectRefused(f"no effect handler is named {call.handler!r}")
        result = handler(effects.EffectRequest(call.key, call.attempt, fence, call.resource, call.parameters))
        canonical.check_value(result)  # it acted; an answer that cannot be kept leaves the outcome unknown, never undone
        if len(canonical.dump(result)) > canonical.MAX_PAYLOAD_BYTES:
            raise effects.EffectUnknown("the answer is too large to keep")
    except effects.EffectRefused as refusal:
        error, detail = "refused", str(refusal)
    except effects.EffectUnknown as unknown:
        error, detail = "unknown", str(unknown)
    except Exception as failure:  # a handler that breaks may have acted before it broke
        error, detail = "unknown", f"{type(failure).__name__}: {failure}"
    finally:
        connections.close_all()
    if error:
        result, detail = None, _kept(detail)
    return EffectAnswered(call.step, call.visit, call.key, call.attempt, result, error, detail, _milliseconds(started))


def _kept(detail: str) -> str:
    """What another system said, in a form that every database keeps."""
    return detail.replace("\x00", "").encode("utf-8", "replace").decode()[:4000]


def _timed_out(call: AgentCall | EffectCall, detail: str) -> Replied | EffectAnswered:
    milliseconds = int(call.timeout / timedelta(milliseconds=1))
    match call:
        case AgentCall():
            return Replied(call.step, call.visit, call.attempt, CallFailed("timeout", detail), milliseconds)
        case EffectCall():
            return EffectAnswered(call.step, call.visit, call.key, call.attempt, None, "unknown", detail, milliseconds)


def _milliseconds(started: float) -> int:
    return int((clock.monotonic() - started) * 1000)
