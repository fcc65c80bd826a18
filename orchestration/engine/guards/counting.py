"""The guards' part of a commit: takes are checked again against locked rows, answers reach breakers, the held are queued.

`write` runs inside the transaction that moves the runs, after their rows and records (lock order: counters and breakers by key,
then streams). It is equal for one transition and for many: items are handled by key, and per key in the order of the batch.
A transition without takes and marks that is not held costs nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol, assert_never
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from aegis.core import clock_text
from aegis.core.actors import SYSTEM
from aegis.core.bulk import as_stored
from aegis.core.canonical import Json
from audit import journal
from audit.drafts import Context, Draft
from orchestration.authority.limits import Limits, Rate
from orchestration.engine.guards import breakers, rates, spending
from orchestration.engine.guards.asking import (
    Answered,
    Mark,
    Probe,
    Seen,
    SlotFreed,
    Spent,
    Take,
    Unspent,
    Use,
    WasHeld,
    key_of,
)
from orchestration.engine.guards.models import Breaker, Counter, HeldRun, Slot
from orchestration.engine.state import State


class Moved(Exception):
    """Somebody else took the probe, the slot or the last of a rate or limit since it was looked at: compute the turn again."""


class Guarded(Protocol):
    """What `write` reads of a transition."""

    @property
    def run_id(self) -> UUID: ...
    @property
    def state(self) -> State: ...
    @property
    def at(self) -> datetime: ...
    @property
    def takes(self) -> Sequence[Take]: ...
    @property
    def marks(self) -> Sequence[Mark]: ...


@dataclass(frozen=True, slots=True)
class Lately:
    """What one key used lately: its logs, and how many calls are under way."""

    starts: rates.Log = rates.EMPTY
    calls: rates.Log = rates.EMPTY
    retries: rates.Log = rates.EMPTY
    under_way: int = 0

    def slots_left(self, limits: Limits) -> int:
        return (limits.concurrency or 0) - self.under_way

    def starts_left(self, rate: Rate, now: datetime) -> int:
        """0 too when the clock is older than what the log remembers: a newer one is read then."""
        used = rates.used(self.starts, rates.milliseconds(now), rate.per)
        return 0 if used is None else rate.count - used

    def allowed(self, limits: Limits, now: datetime) -> int:
        """Retries the budget allows at all, within its stretch of time up to now."""
        if limits.retries is None:
            return 0
        calls = rates.used(self.calls, rates.milliseconds(now), limits.retries.within) or 0
        return max(limits.retries.floor, calls * limits.retries.share // 100)

    def retries_left(self, limits: Limits, now: datetime) -> int:
        assert limits.retries is not None
        used = rates.used(self.retries, rates.milliseconds(now), limits.retries.within)
        return 0 if used is None else self.allowed(limits, now) - used

    def after(self, use: Use, now: datetime) -> Lately:
        """With one more use."""
        at, limits, later = rates.milliseconds(now), use.limits, self
        if limits.rate:
            later = replace(later, starts=rates.take(later.starts, at, limits.rate.per))
        if limits.retries:
            later = replace(later, calls=rates.take(later.calls, at, limits.retries.within))
            if use.is_retry:
                later = replace(later, retries=rates.take(later.retries, at, limits.retries.within))
        if limits.concurrency and not use.is_local:
            later = replace(later, under_way=later.under_way + 1)
        return later

    def allows(self, use: Use, now: datetime) -> bool:
        limits = use.limits
        if limits.concurrency and not use.is_local and self.slots_left(limits) <= 0:
            return False
        if limits.rate and self.starts_left(limits.rate, now) <= 0:
            return False
        return not (limits.retries and use.is_retry and self.retries_left(limits, now) <= 0)


def write(*transitions: Guarded) -> None:
    """Write what these transitions have to do with guards. Inside the commit, after the run rows are moved.

    Raises:
        Moved: a take is no longer there. Nothing may stand of the whole transaction.
    """
    items: list[tuple[str, Guarded, Take | Mark]] = []
    for transition in transitions:
        if transition.state.phase == "held":
            _hold(transition)
        elif any(isinstance(mark, WasHeld) for mark in transition.marks):
            HeldRun.objects.filter(run=transition.run_id).delete()
        items += [(key_of(item), transition, item) for item in (*transition.marks, *transition.takes)]
    by_key: dict[str, list[tuple[Guarded, Take | Mark]]] = {}
    for key, transition, item in items:
        by_key.setdefault(key, []).append((transition, item))
    for key in sorted(by_key):  # one order for everybody who locks several
        if key:
            _write_key(key, by_key[key])


def standing(row: Breaker) -> breakers.Breaker:
    """The state of a breaker's row."""
    return breakers.Breaker(
        phase=row.phase,  # type: ignore[arg-type]  # a choice of the model
        failures=breakers.load(row.failures),
        openings=row.openings,
        until=row.until,
        probe=str(row.probe) if row.probe else "",
        probe_until=row.probe_until,
    )


def put(row: Breaker, breaker: breakers.Breaker, at: datetime) -> None:
    """Store a breaker's state on its (locked) row."""
    if row.phase != Breaker.Phase.CLOSED and breaker.phase == "closed":
        row.released_at = at  # what it holds is let go from now on: no stage of an earlier closing may be made up for
    row.phase, row.failures, row.openings = breaker.phase, breakers.dump(breaker.failures), breaker.openings
    row.until, row.probe_until = breaker.until, breaker.probe_until
    row.probe = UUID(breaker.probe) if breaker.probe else None
    row.is_stirred, row.changed_at = not breaker.is_pristine, at
    row.save()


def breaker_row(key: str, target: str, at: datetime) -> Breaker:
    """The row, locked until the transaction ends; made if nothing ever failed."""
    row = Breaker.objects.select_for_update().filter(key=key).first()
    if row is None:
        # Two first failures may both come here: the second insert waits for the first one's commit, then does nothing.
        Breaker.objects.bulk_create([Breaker(key=key, target=target, changed_at=at)], ignore_conflicts=True)
        row = Breaker.objects.select_for_update().get(key=key)
    return row


def record(row: Breaker, drafts: Iterable[Draft], at: datetime) -> None:
    """Append to the breaker's stream, under the scope of what it guards."""
    scope = "agent" if row.key.startswith("agent:") else "access"
    journal.append(Context(stream=row.stream, scope=scope, scope_id=row.target), list(drafts), at)


def lately(key: str, limits: Limits, now: datetime, row: Counter | None = None, *, but: UUID | None = None) -> Lately:
    """What a key used lately. One query, two with a concurrency limit.

    Args:
        row: its counter, if the caller holds it locked.
        but: a run that is not counted among those under way.
    """
    row = row or Counter.objects.filter(key=key).first()
    logs = Lately()
    if row is not None:
        logs = Lately(rates.load(row.starts), rates.load(row.calls), rates.load(row.retries))
    return replace(logs, under_way=_under_way(key, now, but)) if limits.concurrency else logs


def _write_key(key: str, items: Sequence[tuple[Guarded, Take | Mark]]) -> None:
    row: Breaker | None = None
    counter: Counter | None = None
    is_counted = False
    for transition, item in items:
        match item:
            case Probe() | Answered():
                row = row or breaker_row(key, item.target, transition.at)
                _move_breaker(row, transition, item)
            case Use():
                counter = counter or _counter_row(key)
                _count(counter, transition, item)
                is_counted = True
            case Seen() | Spent() | Unspent():
                counter = counter or _counter_row(key)
                _spend(transition, item)
            case SlotFreed():
                transaction.on_commit(lambda: _wake(key), robust=True)
            case WasHeld():
                pass
            case _:
                assert_never(item)
    if counter is not None and is_counted:
        counter.save(update_fields=["starts", "calls", "retries"])


def _move_breaker(row: Breaker, transition: Guarded, item: Probe | Answered) -> None:
    before, run, at = standing(row), str(transition.run_id), transition.at
    after: breakers.Breaker | None
    match item:
        case Probe():
            after = breakers.take_probe(before, run, at, item.seconds)
            if after is None:
                raise Moved
        case Answered(code=""):
            after = breakers.succeed(before, run)
        case Answered():
            failure = breakers.Failure(item.place, item.code, at)
            after = breakers.fail(before, run, failure, item.settings, random.random())
        case _:
            assert_never(item)
    if after == before:
        return
    put(row, after, at)
    if drafts := _told(row.key, before, after, item, at):
        record(row, drafts, at)


def _told(key: str, before: breakers.Breaker, after: breakers.Breaker, item: Probe | Answered, at: datetime) -> list[Draft]:
    """The events of a change of phase; counting a failure is none, the run's own event says it."""
    data: dict[str, Json]
    match after.phase:
        case "open" if after.until is not None:
            data = {
                "key": key,
                "cause": "probe" if before.phase == "half_open" else "failures",
                "failures": [failure.place for failure in after.failures],
                "openings": after.openings,
                "cooldown_ms": int((after.until - at) / timedelta(milliseconds=1)),
                "until": clock_text.render(after.until),
            }
            return [Draft("breaker.opened", SYSTEM, data=data, cause=after.failures[-1].place, outcome="opened")]
        case "half_open" if after.probe_until is not None:
            data = {"key": key, "run": after.probe, "until": clock_text.render(after.probe_until)}
            return [Draft("breaker.probing", SYSTEM, data=data, outcome="probing")]
        case "closed" if before.phase != "closed" and isinstance(item, Answered):
            data = {"key": key, "cause": "probe", "place": item.place}
            return [Draft("breaker.closed", SYSTEM, data=data, cause=item.place, outcome="closed")]
        case _:
            return []


def _count(row: Counter, transition: Guarded, use: Use) -> None:
    now = transition.at
    found = lately(use.key, use.limits, now, row, but=transition.run_id)
    if not found.allows(use, now):
        raise Moved
    after = found.after(use, now)
    row.starts, row.calls, row.retries = rates.dump(after.starts), rates.dump(after.calls), rates.dump(after.retries)
    if use.limits.concurrency and not use.is_local:
        Slot.objects.update_or_create(run_id=transition.run_id, defaults={"key": use.key, "step": use.step})


def _spend(transition: Guarded, item: Seen | Spent | Unspent) -> None:
    if not isinstance(item, Seen):
        spending.write(item, transition.at)
    elif not spending.is_as_seen(item, transition.at):
        raise Moved


def _counter_row(key: str) -> Counter:
    row = Counter.objects.select_for_update().filter(key=key).first()
    if row is None:
        Counter.objects.bulk_create([Counter(key=key)], ignore_conflicts=True)
        row = Counter.objects.select_for_update().get(key=key)
    return row


def _under_way(key: str, now: datetime, but: UUID | None) -> int:
    """Runs that hold a slot: leased, and still at the step they took it for. A dead worker's are free with its lease."""
    rows = Slot.objects.filter(key=key, run__lease_until__gt=now, run__step=F("step"))
    return (rows.exclude(run=but) if but else rows).count()


def _hold(transition: Guarded) -> None:
    """Put the run into the queue of what holds it; a run that stays held by the same guard keeps its place."""
    state = transition.state
    until = clock_text.parse(state.until) if state.until else None
    values = (f"{state.hold}:{state.held_by}", transition.at, until, transition.run_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orchestration_heldrun (run_id, guard, priority, submitted_at, since, until, woken_at)"
            " SELECT id, %s, priority, submitted_at, %s, %s, NULL FROM orchestration_run WHERE id = %s"
            " ON CONFLICT (run_id) DO UPDATE SET guard = excluded.guard, until = excluded.until, woken_at = NULL",
            [as_stored(value) for value in values],
        )


def _wake(key: str) -> None:
    from orchestration.engine.guards import waking  # it stands on this module

    waking.wake_slots(key)
