"""Retention by class: what ended long enough ago is emptied, business payloads too; the lines stay.

Two classes: `runs` (a run with all that was recorded of it, counted from its end) and `access` (sign-ins, refusals, searches,
exports, counted from the event). Configuration is kept: it is what the documents that stand are compared with.

The sweep looks once an hour, and again at once while there is more; each look is bounded in time. It goes by the moment things
ended, remembers how far it came, and begins again when a hold is lifted: emptying twice empties once. What was recorded of a
run after its end is younger than the run, and comes by its own moment (`late`); what is of no run too (`unbound`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from aegis.core import clock
from aegis.core.db import in_transaction
from aegis.identity.authority import hold_shared
from audit.drafts import Context
from audit.erasures import emptying, holds
from audit.erasures.emptying import Basis, Spot
from audit.index import store
from audit.models import Event, Retained
from orchestration.engine.erasing import applying, subjects
from orchestration.engine.erasing.verbs import STREAM
from orchestration.engine.messages.models import SentMessage
from orchestration.engine.models import Run

LOOK_EVERY: Final = timedelta(hours=1)
RUNS_AT_ONCE: Final = 50
EVENTS_AT_ONCE: Final = 500
SECONDS: Final = 1.0  # of one look


@dataclass(frozen=True, slots=True)
class Class:
    """One class as configured. `days` 0: kept for ever."""

    name: str
    title: str
    days: int


@dataclass(frozen=True, slots=True)
class Due:
    """What a class would empty now.

    Attributes:
        things: runs, or events of access.
        held: things past their time that a hold keeps.
        is_cut: there are more.
    """

    kept: Class
    things: int
    payloads: int
    held: int
    is_cut: bool = False


_Work = Callable[[Class, Retained, datetime, datetime], tuple[int, bool]]


def classes() -> list[Class]:
    days = settings.RETENTION_DAYS
    return [
        Class("runs", "Runs, counted from their end", days["runs"]),
        Class("access", "Access: sign-ins, refusals, searches, exports", days["access"]),
    ]


def keep() -> int:
    """One look at every class that is due for one. Called by the sweep. Returns how many payloads were emptied."""
    emptied = sum(_look(one, name, work) for one in classes() if one.days for name, work in _WORK[one.name].items())
    if emptied:
        in_transaction(store.forget_words)
    return emptied


def run_through() -> int:
    """Everything that is due, however long it takes: for the command."""
    Retained.objects.update(done_to=None, last="", looked_at=None)
    emptied = 0
    while any(one.days and _is_due(name) for one in classes() for name in _WORK[one.name]):
        emptied += keep()
    return emptied


def due(one: Class, limit: int = 1_000) -> Due:
    """What would be emptied, without emptying it: for the dry run and the page. Bounded by `limit` runs or events."""
    if not one.days:
        return Due(one, 0, 0, 0)
    cutoff = clock.db_now() - timedelta(days=one.days)
    if one.name == "access":
        found = _access(Retained(), cutoff, limit + 1)
        if holds.over_everything():
            return Due(one, 0, 0, len(found[:limit]), len(found) > limit)
        return Due(one, len(found[:limit]), len(_spots(found[:limit])), 0, len(found) > limit)
    runs = list(_ended(Retained(), cutoff)[: limit + 1])
    held = subjects.held(runs[:limit])
    counts = [len(_spots_of(run, cutoff)) for run in runs[:limit] if run.pk not in held]
    return Due(one, sum(1 for count in counts if count), sum(counts), len(held), len(runs) > limit)


def next_at(one: Class) -> datetime | None:
    """When the next thing of a class reaches its time, holds left aside; None if nothing is there. Two queries."""
    done = Retained.objects.filter(name=one.name).first() or Retained()
    if one.name == "runs":
        oldest = _ended(done, clock.db_now()).values_list("ended_at", flat=True).first()
    else:
        oldest = next((event.at for event in _access(done, clock.db_now(), 1)), None)
    return oldest + timedelta(days=one.days) if oldest and one.days else None


def _look(one: Class, name: str, work: _Work) -> int:
    """One transaction per batch; who holds the row of the name works, others wait for him.

    Under the authority lock, shared: a hold is placed under it exclusively, so before a batch has looked or after it is done.
    """
    until = clock.monotonic() + SECONDS
    emptied, is_more = 0, _is_due(name)
    while is_more and clock.monotonic() < until:

        def batch() -> tuple[int, bool]:
            hold_shared()
            now = clock.db_now()
            Retained.objects.bulk_create([Retained(name=name)], ignore_conflicts=True)
            row = Retained.objects.select_for_update().get(name=name)
            count, more = work(one, row, now - timedelta(days=one.days), now)
            row.looked_at = None if more else now
            row.save(update_fields=["done_to", "last", "looked_at"])
            return count, more

        count, is_more = in_transaction(batch)
        emptied += count
    return emptied


def _is_due(name: str) -> bool:
    looked = Retained.objects.filter(name=name).values_list("looked_at", flat=True).first()
    return looked is None or looked <= clock.db_now() - LOOK_EVERY


def _runs(one: Class, row: Retained, cutoff: datetime, now: datetime) -> tuple[int, bool]:
    ids = list(_ended(row, cutoff).values_list("pk", flat=True)[:RUNS_AT_ONCE])
    # Locked by id, as everybody does: one that was tried again meanwhile is open, and not emptied.
    runs = list(Run.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk"))
    held = subjects.held(runs)
    free = [run for run in runs if run.pk not in held and run.status in Run.TERMINAL]
    basis = _basis(one)
    spots = {run.pk: _spots_of(run, cutoff) for run in free}
    applying.empty_keys([run.pk for run in free])
    emptied = sum(
        emptying.empty(spots[run.pk], emptying.of_run(run.pk, "workflow", str(run.workflow_id)), basis, now)
        for run in sorted(free, key=lambda run: str(run.pk))
    )
    if ids:
        last = next(run for run in runs if run.pk == ids[-1])
        row.done_to, row.last = last.ended_at, str(last.pk)
    return emptied, len(ids) == RUNS_AT_ONCE


def _access_due(one: Class, row: Retained, cutoff: datetime, now: datetime) -> tuple[int, bool]:
    if holds.over_everything():
        return 0, False
    found = _access(row, cutoff, EVENTS_AT_ONCE)
    emptied = emptying.empty(_spots(found), Context(stream=STREAM, scope="access"), _basis(one), now)
    if found:
        row.done_to, row.last = found[-1].at, str(found[-1].pk)
    return emptied, len(found) == EVENTS_AT_ONCE


def _late(one: Class, row: Retained, cutoff: datetime, now: datetime) -> tuple[int, bool]:
    """Events about runs that had ended before: votes on what was asked, reviews, holds, evidence taken."""
    found = _behind(row, cutoff).filter(run_id__isnull=False).order_by("at", "pk")[:EVENTS_AT_ONCE]
    events = list(found.only("stream", "seq", "type", "at", "run_id"))
    ids = {event.run_id for event in events if event.run_id is not None}
    runs = list(Run.objects.select_for_update(of=("self",)).filter(pk__in=ids, status__in=Run.TERMINAL).order_by("pk"))
    held = subjects.held(runs) if runs else frozenset()
    emptied = 0
    for run in runs:
        late = [event for event in events if event.run_id == run.pk and run.ended_at is not None and event.at > run.ended_at]
        if run.pk not in held and late:
            context = emptying.of_run(run.pk, "workflow", str(run.workflow_id))
            emptied += emptying.empty(_spots(late), context, _basis(one), now)
    if events:
        row.done_to, row.last = events[-1].at, str(events[-1].pk)
    return emptied, len(events) == EVENTS_AT_ONCE


def _unbound(one: Class, row: Retained, cutoff: datetime, now: datetime) -> tuple[int, bool]:
    """Refused input and messages, and messages that no run took. What they are about is not known: any hold keeps them."""
    if holds.is_any():
        return 0, False
    found = _behind(row, cutoff).filter(run_id__isnull=True, type__in=_UNBOUND).order_by("at", "pk")[:EVENTS_AT_ONCE]
    events = list(found.only("stream", "seq", "type", "at"))
    waiting = set(_waiting(events))
    settled = [*takewhile(lambda event: event.stream not in waiting, events)]  # one that may still be taken: looked at again
    emptied = emptying.empty(_spots(settled), Context(stream=STREAM, scope="system"), _basis(one), now)
    if settled:
        row.done_to, row.last = settled[-1].at, str(settled[-1].pk)
    return emptied, len(settled) == EVENTS_AT_ONCE


def _waiting(events: Sequence[Event]) -> Iterator[str]:
    ids = [event.stream.removeprefix("message:") for event in events if event.type == "message.sent"]
    for pk in SentMessage.objects.filter(pk__in=ids, status=SentMessage.Status.KEPT).values_list("pk", flat=True):
        yield f"message:{pk}"


_UNBOUND: Final = ("run.refused", "message.refused", "message.sent")

#: Class -> name of the row that remembers how far it came -> what is done.
_WORK: Final[Mapping[str, Mapping[str, _Work]]] = {
    "runs": {"runs": _runs, "late": _late, "unbound": _unbound},
    "access": {"access": _access_due},
}


def _ended(done: Retained, cutoff: datetime) -> QuerySet[Run]:
    """Runs that ended until `cutoff`, oldest first, behind those that were looked at."""
    found = Run.objects.filter(status__in=Run.TERMINAL, ended_at__lte=cutoff)
    if done.done_to:  # the first condition says the same, and is one that an index begins at
        behind = Q(ended_at__gt=done.done_to) | Q(pk__gt=UUID(done.last))
        found = found.filter(ended_at__gte=done.done_to).filter(behind)
    return found.order_by("ended_at", "pk")


def _access(done: Retained, cutoff: datetime, limit: int) -> Sequence[Event]:
    found = _behind(done, cutoff).filter(~Q(type__in=emptying.OWN_TYPES), scope="access")
    return list(found.order_by("at", "pk")[:limit])


def _behind(done: Retained, cutoff: datetime) -> QuerySet[Event]:
    found = Event.objects.filter(at__lte=cutoff)
    if done.done_to:
        found = found.filter(at__gte=done.done_to).filter(Q(at__gt=done.done_to) | Q(pk__gt=int(done.last)))
    return found


def _spots(events: Sequence[Event]) -> list[Spot]:
    return emptying.spots([(event.pk, event.stream, event.seq, event.type) for event in events], personal_only=False)


def _spots_of(run: Run, cutoff: datetime) -> list[Spot]:
    """Of a run that ended in time; what was recorded of it since is younger, and waits."""
    young = set(Event.objects.filter(run_id=run.pk, at__gt=cutoff).values_list("pk", flat=True))
    return emptying.spots([event for event in subjects.events_of(run) if event[0] not in young], personal_only=False)


def _basis(one: Class) -> Basis:
    return Basis("retention", f"retention of {one.name} after {one.days:,} days", days=one.days)
