"""Calls that leave the process or may take their time: agents and remote effects, each in a thread of a bounded pool.

A thread that is stuck in a call nobody waits for any more (an inline agent that never returns) does not count against the pool:
the pool takes another in its place, up to as many again; the stuck one ends when its call does.
"""

from __future__ import annotations

import _thread
import queue
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog
from django.db import connections

from aegis.core import canonical, clock, logs, strangers, tracing
from aegis.core.faults import crash_point
from orchestration.agents import calls as agents
from orchestration.agents import replies
from orchestration.agents.protocol import CallFailed
from orchestration.engine import effects
from orchestration.engine.intended import AgentCall, EffectCall
from orchestration.engine.moves import EffectAnswered, Replied

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 30.0  # a thread without work ends
MAX_DETAIL_CHARS: Final = 4_000

Call = AgentCall | EffectCall


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call brings back."""

    run_id: uuid.UUID
    fence: int
    news: Replied | EffectAnswered


class Pool:
    """Threads that make calls; daemons, so that a stuck call never keeps the process from ending."""

    def __init__(self, size: int) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._size = size
        self._threads = 0
        self._busy = 0  # work given and not finished, stuck ones left out
        self._stuck = 0

    def start(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._busy += 1
            if self._busy > self._threads - self._stuck and self._threads - self._stuck < self._size:
                self._threads += 1
                # Not `Thread.start`, which waits until the thread runs: the driver would stand behind every call just begun.
                _thread.start_new_thread(self._serve, ())
        self._work.put(work)

    def abandon(self) -> None:
        """Nobody waits for one of the calls any more: its thread is replaced."""
        with self._lock:
            if self._stuck < self._size:
                self._stuck += 1
                self._busy -= 1
            else:
                log.error("call_threads_exhausted", stuck=self._stuck)

    def _serve(self) -> None:
        while True:
            try:
                work = self._work.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._work.empty():
                        self._threads -= 1
                        return
                continue
            try:
                work()
                for connection in connections.all(initialized_only=True):
                    connection.close()
            except BaseException:  # a thread that ended of it would be missing from the pool for good
                log.exception("call_broke")
            with self._lock:
                # One of the stuck ones may be this one; which does not matter, the sums do.
                if self._busy > 0:
                    self._busy -= 1
                elif self._stuck > 0:
                    self._stuck -= 1


def make(
    call: Call, run_id: uuid.UUID, fence: int, answer: Callable[[Answer], None], keys: Sequence[bytes] = (), trace: str = ""
) -> None:
    """Make one call in this thread. Never raises; whatever happens becomes an answer.

    Args:
        keys: signing secrets of the agent that is asked; secret.
        trace: that the call belongs to; the run's own if "".
    """
    trace = trace or run_id.hex
    with logs.of_run(run_id, call.step, trace):
        answer(Answer(run_id, fence, _made(call, fence, keys, tracing.traceparent(trace, _span(call, run_id, fence)))))


def _span(call: Call, run_id: uuid.UUID, fence: int) -> str:
    """The span of this very attempt, before anybody exports it."""
    match call:
        case AgentCall():
            return tracing.span_of_attempt(run_id.hex, call.step, call.visit, call.attempt, fence)
        case EffectCall():
            return tracing.span_of_effect(run_id.hex, call.key, call.attempt, fence)


def _made(call: Call, fence: int, keys: Sequence[bytes], traceparent: str) -> Replied | EffectAnswered:
    started = clock.monotonic()
    match call:
        case AgentCall():
            crash_point("call_starting")
            try:
                request = replace(call.request, traceparent=traceparent)
                reply = agents.call(call.agent, request, fence=fence, timeout=call.timeout, keys=keys)
            except BaseException as failure:  # nobody interrupts this thread from outside: an inline agent raised it
                reply = replies.failed("agent_error", strangers.described(failure))
            crash_point("call_answered")
            return Replied(call.step, call.visit, call.attempt, reply, _milliseconds(started))
        case EffectCall():
            crash_point("effect_starting")
            news = _effect(call, fence, started, traceparent)
            crash_point("effect_answered")
            return news


def timed_out(call: Call, detail: str) -> Replied | EffectAnswered:
    """The answer that stands for a call whose time is up."""
    milliseconds = int(call.timeout / timedelta(milliseconds=1))
    match call:
        case AgentCall():
            return Replied(call.step, call.visit, call.attempt, CallFailed("timeout", detail), milliseconds)
        case EffectCall():
            return EffectAnswered(call.step, call.visit, call.key, call.attempt, None, "unknown", detail, milliseconds)


def signer_of(call: Call | None) -> str:
    """The id of the agent whose secrets sign the call; "" if nothing signs it."""
    return call.agent.id if isinstance(call, AgentCall) and call.agent.connector == "http" else ""


def is_inside(call: Call) -> bool:
    """Does it run code in this very process, which could take the process down with it?"""
    match call:
        case AgentCall(agent=agent):
            return agent.connector == "python" and agent.connection.get("mode") != "isolated"
        case EffectCall():
            return True


def _effect(call: EffectCall, fence: int, started: float, traceparent: str) -> EffectAnswered:
    handler = effects.registered(call.handler)
    result, error, detail, retry_after = None, "", "", 0.0
    try:
        if handler is None:
            raise effects.EffectRefused(f"no effect handler is named {call.handler!r}")
        request = effects.EffectRequest(call.key, call.attempt, fence, call.resource, call.parameters, traceparent)
        result = handler(request)
        canonical.check_value(result)  # it acted; an answer that cannot be kept leaves the outcome unknown, never undone
        if len(canonical.dump(result)) > canonical.MAX_PAYLOAD_BYTES:
            raise effects.EffectUnknown("the answer is too large to keep")
    except effects.EffectRefused as refusal:
        error, detail = "refused", str(refusal)
    except effects.EffectUnavailable as away:
        error, detail, retry_after = "unavailable", str(away), away.retry_after
    except effects.EffectUnknown as unknown:
        error, detail = "unknown", str(unknown)
    except BaseException as failure:  # SystemExit and its kind too; a handler that breaks may have acted before it broke
        error, detail = "unknown", strangers.described(failure)
    if error:
        result, detail = None, strangers.kept(detail, MAX_DETAIL_CHARS)
    duration_ms = _milliseconds(started)
    return EffectAnswered(call.step, call.visit, call.key, call.attempt, result, error, detail, duration_ms, retry_after)


def _milliseconds(started: float) -> int:
    return int((clock.monotonic() - started) * 1000)
