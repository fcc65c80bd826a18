"""planner.next(definition, state, news, now) -> the one Move a run makes next. Pure.

The planner decides *what* happens; `orchestration.engine.steps` says what each move means in events. A run is planned again and
again within one turn until it rests, so one commit carries the outcome of one step and the intent of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from aegis.core import clock_text
from orchestration.engine.moves import (
    CLOCKS,
    Absorb,
    Begin,
    Cancel,
    Complete,
    Conclude,
    EffectAnswered,
    Expire,
    Expiring,
    ForkMore,
    Gather,
    Grant,
    Ignore,
    Join,
    Lose,
    Message,
    Move,
    News,
    Recall,
    Receive,
    Replied,
    Rest,
    Resume,
    Retry,
    Rollback,
    SettleGate,
    SettleReview,
    Stop,
    StopChildren,
    Taken,
    Undo,
    Wake,
)
from orchestration.engine.state import State

MAX_LOSSES = 5  # workers that may die in one visit of a step before a person has to look


def next_move(state: State, news: Sequence[News], now: datetime) -> tuple[Move, Sequence[News]]:
    """The next move, and the news that are left after it.

    Cancel is taken first, then messages by ordinal, then answers; `Taken` last, because an answer that did arrive is no loss.
    """
    if not news:
        return _onward(state, now), ()
    first = min(news, key=_rank)
    rest = tuple(item for item in news if item is not first)
    match first:
        case Message():
            return _about(state, first), rest
        case Replied():
            fits = state.phase == "calling" and _answers(first, state)
            # An answer nobody waits for any more (cancelled, retried by a person) falls on the floor: its attempt is closed.
            return (Absorb(first), rest) if fits else next_move(state, rest, now)
        case EffectAnswered():
            fits = state.phase == "acting" and _answers(first, state)
            return (Absorb(first), rest) if fits else next_move(state, rest, now)
        case Taken():
            return (Lose(), rest) if state.phase in ("calling", "acting") else next_move(state, rest, now)
        case _:
            assert_never(first)


def _answers(answer: Replied | EffectAnswered, state: State) -> bool:
    """Is it about the very call that is awaited? An answer to an earlier step may come while a later one is in flight."""
    if isinstance(answer, EffectAnswered) and state.intent is not None and answer.key != state.intent.key:
        return False  # of an effect that is being undone by now: same step, same visit, same attempt
    return (answer.step, answer.visit, answer.attempt) == (state.step, state.visit, state.attempt)


def _rank(item: News) -> tuple[int, int]:
    match item:
        case Message():
            return (0 if item.kind == "cancel" else 1, item.ordinal)
        case Replied() | EffectAnswered():
            return (2, 0)
        case Taken():
            return (3, 0)
        case _:
            assert_never(item)


def _about(state: State, message: Message) -> Move:
    match message.kind:
        case "cancel" if may_cancel(state):
            return Cancel(message)
        case "retry" if may_retry(state):
            return Retry(message)
        case "resumed" if state.phase == "held" and message.ref == f"{state.hold}:{state.held_by}":
            return Resume(message)
        case "gate_settled" if state.phase == "deciding" and state.request == message.ref:
            return SettleGate(message)
        case "review_settled" if state.phase == "reviewing" and state.item == message.ref:
            return SettleReview(message)
        case "rollback" if may_roll_back(state):
            return Rollback(message)
        case "message" if state.phase == "listening" and state.awaits == message.ref:
            return Receive(message)
        case "resource_granted" if state.phase == "queueing" and state.awaits == message.ref:
            return Grant(message)
        case "child_ended" if _is_awaited(state, message.ref):
            return Join(message)
        case "recall" if state.is_ended:
            return Recall(message)
        case _:
            return Ignore(message)


def may_cancel(state: State) -> bool:
    """A run whose rollback is asked for has completed: there is nothing to cancel, only a request to decide."""
    return not (state.is_ended or state.ending or state.stopped_by or state.rollback)


def may_roll_back(state: State) -> bool:
    """It completed, and kept what it did for that."""
    return state.ended == "completed" and bool(state.effects)


def _is_awaited(state: State, child: str) -> bool:
    """Also by a run that was set before people meanwhile; and by one that has told the child to undo what it did."""
    if state.phase == "recalling":
        return state.undoes == child
    return state.fork is not None and child in state.fork.open.values()


def may_retry(state: State) -> bool:
    """May a person begin the step again: after the run failed, before its next attempt is due, out of a review queue?"""
    if state.stopped_by or state.is_compensated:
        return False
    return state.ended == "failed" or state.phase in ("retrying", "reviewing")


def _onward(state: State, now: datetime) -> Move:
    if state.is_ended:
        return Rest()
    if state.fork and state.fork.open and state.stopped_by:  # children first
        return Rest() if state.fork.stopping else StopChildren()
    is_block_aside = state.phase == "reviewing" and state.fork is not None  # no effect there waits for a word of a person
    if state.stopped_by and (is_block_aside or state.phase in ("ready", "retrying", "held", "joining")):
        return Stop()
    if (overdue := _overdue(state, now)) is not None:
        return Expire(overdue)
    move = _next(state, now)
    return Rest(_earliest(state, move.until)) if isinstance(move, Rest) else move


def _overdue(state: State, now: datetime) -> Expiring | None:
    """The clock that has passed. None counts while a call is under way (its answer may still come in time, and the outcome of
    an effect must be known), nor once the run is ending."""
    if not may_expire(state):
        return None
    for name in CLOCKS:
        clock = getattr(state, name)
        if clock is not None and clock_text.parse(clock.due) <= now:
            return name
    return None


def may_expire(state: State) -> bool:
    is_between = state.phase not in ("calling", "acting", "ended") and bool(state.step)
    return is_between and not (state.ending or state.stopped_by or state.rollback)


def _earliest(state: State, until: datetime | None) -> datetime | None:
    if not may_expire(state):
        return until
    dues = [clock_text.parse(clock.due) for name in CLOCKS if (clock := getattr(state, name)) is not None]
    return min([*dues, until] if until else dues, default=None)


def _next(state: State, now: datetime) -> Move:
    match state.phase:
        case "ready" if state.ending:
            return Undo() if state.effects else Conclude()
        case "ready":
            return Begin() if state.step else Complete()
        case "retrying":
            until = clock_text.parse(state.until)
            again = Undo() if state.ending else Begin()
            return again if until <= now else Rest(until)
        case "held":
            # Without a time it is woken: a thousand runs behind one breaker must not all look again at once.
            look_again = clock_text.parse(state.until) if state.until else None
            return Resume() if look_again and look_again <= now else Rest(look_again)
        case "sleeping":
            until = clock_text.parse(state.until)
            return Wake() if until <= now else Rest(until)
        case "joining":
            return _joining(state)
        case "calling" | "acting" | "deciding" | "reviewing" | "listening" | "queueing" | "recalling" | "ended":
            return Rest()
        case _:
            assert_never(state.phase)


def _joining(state: State) -> Move:
    """Branches, items or another workflow are under way. Nothing is left behind: the block ends after its last child."""
    fork = state.fork
    assert fork is not None
    if fork.next_ordinals():
        return ForkMore()
    if not fork.open:
        return Gather()
    return StopChildren() if fork.is_decided and not fork.stopping else Rest()
