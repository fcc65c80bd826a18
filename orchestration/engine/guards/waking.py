"""Waking the held: one pass a second in every worker process, and one right after a slot came free.

What holds runs is looked at, not remembered: a run whose guard no longer stands in the way is woken at the next pass, whoever
let go and whenever it was held. So no wake-up can be lost. Each guard is a transaction of its own that locks its row first; the
run rows are locked without waiting (somebody who holds one may want the guard), and what is skipped comes in the next pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import F, Q

from aegis.core import clock, wake
from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from audit import journal
from audit.drafts import Context, Draft
from orchestration.authority import live
from orchestration.authority.limits import Limits
from orchestration.engine.guards import breakers, counting
from orchestration.engine.guards.models import Breaker, Counter, Halt, HeldRun, Slot
from orchestration.engine.models import InboxItem, Run

log = structlog.get_logger(__name__)

#: Runs a closed breaker lets go per second: what just came back must not be run over.
BREAKER_PACE: Final = 50
#: A woken run that has not looked by then is woken again: its worker died, or the message was consumed in vain.
PATIENCE: Final = timedelta(seconds=30)
#: A pass makes up for at most so many seconds without one.
MAX_CATCH_UP: Final = 3.0


def wake_due() -> int:
    """Wake what no longer has to be held, at each guard's pace. Called by the sweep. Returns how many."""
    woken = 0
    for guard in _guards():
        try:
            woken += in_transaction(lambda guard=guard: _wake_guard(guard))  # type: ignore[misc]  # bound now, not later
        except Exception:
            log.exception("guard_not_woken", guard=guard)  # the others still are
    finish_empty_halts()
    return woken


def wake_slots(key: str) -> int:
    """A call of `key` is over: let the next one in at once. Returns how many were woken."""
    guard = f"concurrency:{key}"
    if not HeldRun.objects.filter(guard=guard).exists():
        return 0
    return in_transaction(lambda: _wake_guard(guard))


def tidy(limit: int = 500) -> int:
    """Drop slots of runs that nobody holds: they do not count, and would only be read over. Returns how many."""

    def work() -> int:
        idle = Slot.objects.filter(run__lease_until__isnull=True).values_list("run_id", flat=True)[:limit]
        # A commit that takes a slot has locked its run first: what is locked here takes none meanwhile.
        rows = Run.objects.filter(pk__in=list(idle), lease_until__isnull=True).order_by("pk")
        if connection.vendor == "postgresql":
            rows = rows.select_for_update(skip_locked=True)
        return Slot.objects.filter(run__in=list(rows.values_list("pk", flat=True))).delete()[0]

    return in_transaction(work) if Slot.objects.exists() else 0


def _guards() -> Iterator[str]:
    """Every guard that holds a run, once: a hop through the index per guard, however many runs each holds."""
    last = ""
    while True:
        found = HeldRun.objects.filter(guard__gt=last).order_by("guard").values_list("guard", flat=True).first()
        if found is None:
            return
        yield found
        last = found


def _wake_guard(guard: str) -> int:
    code, _, by = guard.partition(":")
    now = clock.db_now()
    match code:
        case "halt":
            return _after_halt(guard, UUID(by), now)
        case "breaker":
            return _after_breaker(guard, by, now)
        case _:
            return _within_limits(guard, code, by, now)


def _after_halt(guard: str, halt_id: UUID, now: datetime) -> int:
    halt = Halt.objects.select_for_update(skip_locked=True).filter(pk=halt_id).first()
    if halt is None or halt.status == Halt.Status.STANDING:
        return 0
    count = _wake(guard, _due(halt.pace, halt.released_at or halt.resumed_at, now), now)
    if count:
        halt.released, halt.released_at = halt.released + count, now
        halt.save(update_fields=["released", "released_at"])
        left = HeldRun.objects.filter(guard=guard, woken_at__isnull=True).count()
        tell(halt, "halt.released", now, count=count, released=halt.released, left=left)
    return count


def finish_empty_halts() -> None:
    """A halt is over when nothing is held by it any more."""
    for pk in Halt.objects.filter(status=Halt.Status.RESUMING).values_list("pk", flat=True):
        in_transaction(lambda pk=pk: _finish(pk))  # type: ignore[misc]  # bound now, not later


def _finish(halt_id: UUID) -> None:
    halt = Halt.objects.select_for_update(skip_locked=True).filter(pk=halt_id, status=Halt.Status.RESUMING).first()
    if halt is None or HeldRun.objects.filter(guard=f"halt:{halt_id}", woken_at__isnull=True).exists():
        return
    now = clock.db_now()
    halt.status, halt.lifted_at = Halt.Status.LIFTED, now
    halt.save(update_fields=["status", "lifted_at"])
    tell(halt, "halt.lifted", now, released=halt.released)


def tell(halt: Halt, event: str, at: datetime, **data: int) -> None:
    """A stage of a resuming, on the halt's stream."""
    draft = Draft(event, SYSTEM, data={"halt": str(halt.pk), "what": halt.scope, "name": halt.name, **data}, outcome="")
    journal.append(context_of(halt), [draft], at)


def context_of(halt: Halt) -> Context:
    """A halt is seen by whoever sees what it stops; that of everything under the scope `system`."""
    scope = "system" if halt.scope == Halt.Scope.EVERYTHING else str(halt.scope)
    return Context(stream=halt.stream, scope=scope, scope_id=halt.target)


def _after_breaker(guard: str, key: str, now: datetime) -> int:
    row = Breaker.objects.select_for_update(skip_locked=True).filter(key=key).first()
    if row is None:
        return 0  # locked by a commit, or never made: nothing holds by a breaker without a row
    match breakers.ask(counting.standing(row), "", now):
        case "wait":
            return 0
        case "probe":
            # One at a time, and only if the one before has looked or is past waiting for.
            is_trying = HeldRun.objects.filter(guard=guard, woken_at__gt=now - PATIENCE).exists()
            return 0 if is_trying else _wake(guard, 1, now)
        case _:
            count = _wake(guard, _due(BREAKER_PACE, row.released_at, now), now)
            if count:
                row.released_at = now
                row.save(update_fields=["released_at"])
            return count


def _within_limits(guard: str, code: str, key: str, now: datetime) -> int:
    """As many as may start now, less those that were woken and have not looked yet."""
    counter = Counter.objects.select_for_update(skip_locked=True).filter(key=key).first()
    limits = _limits_of(key)
    found = counting.lately(key, limits, now, counter)
    match code:
        case "concurrency" if limits.concurrency:
            left = found.slots_left(limits)
        case "rate" if limits.rate:
            left = found.starts_left(limits.rate, now)
        case "retries" if limits.retries:
            left = found.retries_left(limits, now)
        case _:
            left = BREAKER_PACE  # the limit is gone
    on_their_way = HeldRun.objects.filter(guard=guard, woken_at__gt=now - PATIENCE).count()
    return _wake(guard, left - on_their_way, now)


def _limits_of(key: str) -> Limits:
    kind, _, name = key.partition(":")
    matrix = live.current().matrix
    if kind == "capability":
        capability = matrix.capabilities.get(name)
        return capability.limits if capability else Limits()
    return next((agent.limits for agent in matrix.agents.values() if agent.name == name), Limits())


def _due(pace: int, since: datetime | None, now: datetime) -> int:
    """How many a pace allows since the stage before."""
    seconds = (now - since).total_seconds() if since else 1.0
    return int(pace * min(max(seconds, 0.0), MAX_CATCH_UP))


def _wake(guard: str, count: int, now: datetime) -> int:
    """Tell the first `count` of a queue to look again: the most urgent, then the oldest. Returns how many were told."""
    if count <= 0:
        return 0
    waiting = HeldRun.objects.filter(guard=guard).filter(Q(woken_at__isnull=True) | Q(woken_at__lte=now - PATIENCE))
    first = list(waiting.order_by("priority", "submitted_at", "run_id").values_list("run_id", flat=True)[:count])
    # Never wait for a run here: its holder may be in a commit that wants the guard this transaction has locked. A run that has
    # something to read will look anyway, however long the workers take to come to it.
    rows = Run.objects.filter(pk__in=first, status=Run.Status.HELD, wake__lte=F("seen")).order_by("pk")
    if connection.vendor == "postgresql":
        rows = rows.select_for_update(skip_locked=True)
    ids = list(rows.values_list("pk", flat=True))
    if not ids:
        return 0
    Run.objects.filter(pk__in=ids).update(wake=F("wake") + 1)
    ordinals = dict(Run.objects.filter(pk__in=ids).values_list("pk", "wake"))
    InboxItem.objects.bulk_create(
        InboxItem(
            run_id=run_id,
            ordinal=ordinals[run_id],
            kind=InboxItem.Kind.RESUMED,
            ref=guard,
            actor_kind=SYSTEM.kind,
            actor_auth=SYSTEM.auth,
            created_at=now,
        )
        for run_id in ids
    )
    HeldRun.objects.filter(run__in=ids).update(woken_at=now)
    wake.nudge()
    return len(ids)
