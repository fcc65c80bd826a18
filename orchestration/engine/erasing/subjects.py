"""What an erasure covers: the runs about a business key, or one run, with those forked from them; and what is in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from django.db.models import Q

from aegis.core.visibility import Viewer
from audit.erasures import emptying, holds
from audit.erasures.emptying import Spot
from audit.models import Event
from orchestration.engine.messages.models import SentMessage
from orchestration.engine.models import Run
from orchestration.records.models import Record, RecordVersion

MAX_RUNS: Final = 200  # one decision, one transaction

#: Code -> why nothing is erased now.
OBSTACLES: Final[Mapping[str, str]] = {
    "hold": "a legal hold stands over it",
    "too_few": "fewer than two others approved it; its approval policy was changed meanwhile",
    "open_run": "a run about it has not ended; a worker may still hold what it needs, and write it again",
}


def covered(viewer: Viewer, *, run_id: UUID | None = None, key: str = "") -> list[Run]:
    """Runs that `viewer` may see: the one, or all about the key, and what they forked. More than `MAX_RUNS` are too many: the
    caller refuses. In the order of their ids, as everybody locks them."""
    visible = Run.objects.visible_to(viewer).select_related("workflow")
    first = visible.filter(pk=run_id) if run_id else visible.filter(business_key=key) if key else visible.none()
    found = {run.pk: run for run in first.order_by("pk")[: MAX_RUNS + 1]}
    generation = list(found)
    while generation and len(found) <= MAX_RUNS:
        forked = visible.filter(parent__in=generation).exclude(pk__in=list(found)).order_by("pk")[: MAX_RUNS + 1]
        generation = [run.pk for run in forked]
        found |= {run.pk: run for run in forked}
    return [found[pk] for pk in sorted(found)]


def obstacle(runs: Sequence[Run]) -> str:
    """A code of `OBSTACLES`, or "". Under the authority lock it stands until the transaction ends: holds are placed under it
    exclusively; runs are locked by whoever applies."""
    if held(runs):
        return "hold"
    return "open_run" if any(run.status not in Run.TERMINAL for run in runs) else ""


def held(runs: Sequence[Run]) -> frozenset[UUID]:
    """Those that a hold keeps: on the run, on a run that forked it, on what it is about, or on everything."""
    above: dict[UUID, list[UUID]] = {run.pk: [run.pk] for run in runs}
    keys = {run.pk: run.business_key for run in runs}
    parents = {run.pk: run.parent_id for run in runs if run.parent_id}
    while parents:
        rows = {row.pk: row for row in Run.objects.filter(pk__in=set(parents.values())).only("parent_id", "business_key")}
        keys |= {pk: row.business_key for pk, row in rows.items()}
        for run, parent in parents.items():
            above[run].append(parent)
        parents = {run: row.parent_id for run, parent in parents.items() if (row := rows[parent]).parent_id}
    kept = holds.held(keys)
    return frozenset(run for run, chain in above.items() if not kept.isdisjoint(chain))


def spots_of(run: Run) -> list[Spot]:
    """The payloads of a run that an erasure empties: of its own events and of those about it elsewhere (requests, review items,
    messages it took)."""
    return emptying.spots(events_of(run), personal_only=True)


def events_of(run: Run) -> list[tuple[int, str, int, str]]:
    """(id, stream, seq, type)"""
    taken = [f"message:{pk}" for pk in SentMessage.objects.filter(run=run.pk).values_list("pk", flat=True)]
    messages = Event.objects.filter(stream__in=taken).values_list("pk", "stream", "seq", "type") if taken else ()
    return list(dict.fromkeys([*emptying.events_of_run(run.pk), *messages]))


def records_of(runs: Sequence[Run]) -> tuple[list[Record], int]:
    """Records that these runs alone have written, and how many they share with others."""
    ids = [run.pk for run in runs]
    theirs = set(RecordVersion.objects.filter(run_id__in=ids).values_list("record_id", flat=True))
    if not theirs:
        return [], 0
    foreign = RecordVersion.objects.filter(~Q(run_id__in=ids), record__in=theirs)
    shared = set(foreign.values_list("record_id", flat=True))
    # A record that was there before any run wrote it has a first version of nobody.
    first = set(RecordVersion.objects.filter(record__in=theirs, version=1).values_list("record_id", flat=True))
    own = theirs & first - shared
    return list(Record.objects.filter(pk__in=own).order_by("type", "key")), len(theirs - own)
