"""Keeping the metrics: what follows the journal counts here, in the transaction that moves its cursor; a rebuild clears it.

Which series an event falls into depends on the events before it in leaf order alone, never on how many are handled at a time:
so following and rebuilding agree, whatever stopped in between.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from django.db import connection
from django.db.models import Count

from aegis.core.bulk import Rows
from audit import chain
from audit.metrics import measures, slots
from audit.metrics.measures import First, Measure, Seen
from audit.metrics.models import Bucket, Counted, Series
from audit.models import Event

log = structlog.get_logger(__name__)

NAME: Final = "metrics"  # of the follower
MAX_VALUE_CHARS: Final = 120

_BUCKETS = Rows({"series_id": "int8", "hour": "int", "slot": "int", "count": "int8", "total": "int8"})
_SUMS = Rows({"id": "int8", "count": "int8", "total": "int8"})
_COUNTED = Rows({"series_id": "int8", "position": "int8"})

Key = tuple[str, str, str, str, str, str, str]  # metric, scope, scope id, a, b, c, d

#: Events that a measure could not read: a fault of the program, which must not stop the counting of all others.
UNREADABLE: Final = Measure("unreadable", (), ("measure", "type"), lambda seen: None)


@dataclass(frozen=True, slots=True)
class Found:
    """One event as one measure counts it."""

    measure: Measure
    scope: str
    scope_id: str
    values: tuple[str, ...]
    at: datetime
    position: int
    amount: int | None

    def key(self, values: tuple[str, ...]) -> Key:
        a, b, c, d = (*values, *[""] * (measures.MAX_DIMENSIONS - len(values)))
        return self.measure.name, self.scope, self.scope_id, a, b, c, d


def handle(events: Sequence[Event]) -> None:
    """Take events in leaf order, each with its `leaf_index`, inside the transaction that moves the cursor."""
    _write(list(_found(events)))


def clear() -> None:
    """Empty every table of the metrics, inside the transaction that puts the cursor back."""
    for model in (Counted, Bucket, Series):
        model._default_manager.all().delete()


def hour_number(at: datetime) -> int:
    """Whole hours since 1970."""
    return int(at.timestamp() // 3600)


def _found(events: Sequence[Event]) -> Iterable[Found]:
    readers = measures.by_type()
    counted = [event for event in events if event.type in readers]
    firsts = _firsts(event.stream for event in counted if any(one.needs_first for one in readers[event.type]))
    for event in counted:
        seen = _seen(event, firsts)
        for measure in readers[event.type]:
            if found := _taken(measure, event, seen):
                yield found


def _taken(measure: Measure, event: Event, seen: Seen) -> Found | None:
    try:
        values = measure.take(seen)
        amount = measure.amount(seen) if measure.amount and values is not None else None
        if values is not None and len(values) != len(measure.dimensions):
            raise ValueError(f"{len(values)} values for {len(measure.dimensions)} dimensions")
    except Exception:
        log.exception("metric_unreadable", measure=measure.name, stream=event.stream, seq=event.seq)
        measure, values, amount = UNREADABLE, (measure.name, event.type), None
    if values is None:
        return None
    return Found(
        measure, event.scope, event.scope_id, tuple(map(_clean, values)), event.at,
        event.leaf_index,  # type: ignore[attr-defined]  # annotated by following
        None if amount is None else slots.clipped(amount),
    )  # fmt: skip


def _seen(event: Event, firsts: Mapping[str, First]) -> Seen:
    content: Mapping[str, Any] = chain.read_line(event.line)
    return Seen(
        type=event.type,
        at=event.at,
        agent=event.agent,
        agent_digest=content["agent_version"],
        step=event.step,
        capability=event.capability,
        outcome=event.outcome,
        actor=f"{event.actor_kind}:{event.actor_ref}" if event.actor_ref else event.actor_kind,
        duration_ms=event.duration_ms,
        data=content["data"],
        first=firsts.get(event.stream),
    )


def _firsts(streams: Iterable[str]) -> dict[str, First]:
    """The first events of some streams: sealed before every later one of theirs, so a rebuild finds the same. One query."""
    rows = Event.objects.filter(seq=1, stream__in=set(streams))
    return {stream: First(type_, at) for stream, type_, at in rows.values_list("stream", "type", "at")}


def _clean(value: str) -> str:
    """One line that every database and page takes."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[:MAX_VALUE_CHARS])


def _write(found: Sequence[Found]) -> None:
    if not found:
        return
    keys, ids = _placed(found)
    buckets: dict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
    for one, key in zip(found, keys, strict=True):
        slot = slots.slot_of(one.amount) if one.amount is not None and one.measure.has_spread else slots.NONE
        counted = buckets[ids[key], hour_number(one.at), slot]
        counted[0] += 1
        counted[1] += one.amount or 0
    with connection.cursor() as cursor:
        names = ", ".join(_BUCKETS.columns)
        cursor.execute(
            f"INSERT INTO audit_bucket ({names}) SELECT {names} FROM {_BUCKETS.source()} WHERE true"
            " ON CONFLICT (series_id, hour, slot)"
            " DO UPDATE SET count = audit_bucket.count + excluded.count, total = audit_bucket.total + excluded.total",
            [_BUCKETS.param((*place, *counted) for place, counted in sorted(buckets.items()))],
        )
        cursor.execute(
            "UPDATE audit_series SET count = audit_series.count + v.count, total = audit_series.total + v.total"
            f" FROM {_SUMS.source()} WHERE audit_series.id = v.id",
            [_SUMS.param((series, *both) for series, both in sorted(_sums(buckets).items()))],
        )
        cursor.execute(
            f"INSERT INTO audit_counted (series_id, position) SELECT series_id, position FROM {_COUNTED.source()}",
            [_COUNTED.param((ids[key], one.position) for one, key in zip(found, keys, strict=True))],
        )


def _sums(buckets: Mapping[tuple[int, int, int], Sequence[int]]) -> dict[int, list[int]]:
    """series -> count and total of these buckets."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for (series, _, _), (count, total) in buckets.items():
        sums[series][0] += count
        sums[series][1] += total
    return sums


def _placed(found: Sequence[Found]) -> tuple[list[Key], dict[Key, int]]:
    """The key of each, in order, and the row of each key; new rows are made."""
    ids = _known(found)
    begun: Counter[tuple[str, ...]] | None = None
    keys: list[Key] = []
    new: dict[Key, Series] = {}
    for one in found:
        key = one.key(one.values)
        if key not in ids and key not in new:
            begun = _begun(found) if begun is None else begun
            place = (*key[:3], _month(one.at))
            if begun[place] >= measures.CAP:
                key = one.key(one.measure.rest(one.values))
            begun[place] += 1
            if key not in ids and key not in new:
                new[key] = _series(key, one.at)
        keys.append(key)
    made = Series.objects.bulk_create(new.values())
    return keys, ids | dict(zip(new, (row.pk for row in made), strict=True))


def _known(found: Sequence[Found]) -> dict[Key, int]:
    rows = Series.objects.filter(
        metric__in={one.measure.name for one in found},
        scope_id__in={one.scope_id for one in found},
        a__in={measures.OTHER, "", *(one.values[0] for one in found if one.values)},
    )
    known = rows.values_list("metric", "scope", "scope_id", "a", "b", "c", "d", "pk")
    return {(metric, scope, scope_id, a, b, c, d): pk for metric, scope, scope_id, a, b, c, d, pk in known}


def _begun(found: Sequence[Found]) -> Counter[tuple[str, ...]]:
    """(metric, scope, scope id, month) -> series that began then. One that stands for the rest begins when there is no room."""
    rows = Series.objects.filter(
        metric__in={one.measure.name for one in found},
        scope_id__in={one.scope_id for one in found},
        month__in={_month(one.at) for one in found},
    )
    grouped = rows.values_list("metric", "scope", "scope_id", "month").annotate(n=Count("pk"))
    return Counter({(metric, scope, scope_id, month): count for metric, scope, scope_id, month, count in grouped})


def _series(key: Key, at: datetime) -> Series:
    metric, scope, scope_id, a, b, c, d = key
    return Series(metric=metric, scope=scope, scope_id=scope_id, a=a, b=b, c=c, d=d, first_at=at, month=_month(at))


def _month(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m}"
