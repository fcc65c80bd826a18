"""Keeping the index: what follows the journal writes here, a rebuild clears it, an erasure empties the words of an event.

Plain SQL for the writes: one statement per table and batch, because this runs behind every event there is (`bench/audit.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection
from django.db.models import F

from aegis.core.bulk import Rows, Type
from audit.index.content import DIMENSIONS, Entry, entry
from audit.index.models import Hour, Indexed, Tally
from audit.models import Event, Payload

NAME: Final = "search"  # of the follower
BODIES_AT_ONCE: Final = 500  # events whose payloads are in memory; each may hold a megabyte

_TYPES: dict[str, Type] = {"position": "int8", "event_id": "int8", "at": "timestamptz", "run_id": "uuid", "is_bad": "int"}
_ROWS = Rows({str(field.column): _TYPES.get(str(field.column), "text") for field in Indexed._meta.concrete_fields})
_TALLIES = Rows(
    {
        "grain": "text", "start": "timestamptz", "scope": "text", "scope_id": "text", "dimension": "text", "value": "text",
        "count": "int8", "bad": "int8",
    }
)  # fmt: skip
_HOURS = Rows({"start": "timestamptz", "first": "int8", "last": "int8"})

Counts = dict[tuple[Any, ...], list[int]]


def handle(events: Sequence[Event]) -> None:
    """Take events in leaf order, each with its `leaf_index`, inside the transaction that moves the cursor."""
    entries: list[Entry] = []
    for first in range(0, len(events), BODIES_AT_ONCE):
        some = events[first : first + BODIES_AT_ONCE]
        bodies = _bodies(some)
        entries += [entry(event.leaf_index, event, bodies.get((event.stream, event.seq), {})) for event in some]  # type: ignore[attr-defined]
    write(entries)


def clear() -> None:
    """Empty every table of the index, inside the transaction that puts the cursor back."""
    for model in (Indexed, Tally, Hour):
        model._default_manager.all().delete()


def forget(stream: str, seq: int) -> None:
    """Take what a payload contributed out of the words of an event; what the line says stays. Called by whoever erases, in the
    transaction that empties the payload. An event that is not indexed yet will be without it anyway."""
    Indexed.objects.filter(event_id__in=Event.objects.filter(stream=stream, seq=seq).values("pk")).update(whole=F("open"))


def write(entries: Sequence[Entry]) -> None:
    """Insert rows, and count them. The part of `handle` that a benchmark can feed by itself."""
    if not entries:
        return
    names = ", ".join(_ROWS.columns)
    values = ", ".join(_value_of(name) for name in _ROWS.columns)
    with connection.cursor() as cursor:
        rows = [_row(one) for one in entries]
        cursor.execute(f"INSERT INTO audit_indexed ({names}) SELECT {values} FROM {_ROWS.source()}", [_ROWS.param(rows)])
        tallies = [(*key, *counted) for key, counted in sorted(tally(entries).items(), key=lambda item: item[0])]
        cursor.execute(
            f"INSERT INTO audit_tally ({', '.join(_TALLIES.columns)}) SELECT {', '.join(_TALLIES.columns)}"
            f" FROM {_TALLIES.source()} WHERE true ON CONFLICT (grain, start, dimension, scope, scope_id, value)"
            " DO UPDATE SET count = audit_tally.count + excluded.count, bad = audit_tally.bad + excluded.bad",
            [_TALLIES.param(tallies)],
        )
        # "last" is a word of SQL's window functions, "first" too: quoted.
        least, most = ("LEAST", "GREATEST") if connection.vendor == "postgresql" else ("MIN", "MAX")
        cursor.execute(
            f'INSERT INTO audit_hour (start, "first", "last") SELECT start, "first", "last" FROM {_HOURS.source()} WHERE true'
            f' ON CONFLICT (start) DO UPDATE SET "first" = {least}(audit_hour."first", excluded."first"),'
            f' "last" = {most}(audit_hour."last", excluded."last")',
            [_HOURS.param(_hours(entries))],
        )


def tally(entries: Iterable[Entry]) -> Counts:
    """(grain, start, scope, scope id, dimension, value) -> [events, bad ones]."""
    found: Counts = defaultdict(lambda: [0, 0])
    for one in entries:
        values = [("all", ""), *((name, value) for name in DIMENSIONS if (value := getattr(one, name)))]
        for grain, start in (("h", hour_of(one.at)), ("d", day_of(one.at)), ("m", month_of(one.at))):
            for dimension, value in values:
                counted = found[(grain, start, one.scope, one.scope_id, dimension, value)]
                counted[0] += 1
                counted[1] += one.is_bad
    return found


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> datetime:
    return hour_of(at).replace(hour=0)


def month_of(at: datetime) -> datetime:
    return day_of(at).replace(day=1)


def _hours(entries: Iterable[Entry]) -> list[tuple[datetime, int, int]]:
    found: dict[datetime, tuple[int, int]] = {}
    for one in entries:
        first, last = found.get(start := hour_of(one.at), (one.position, one.position))
        found[start] = (min(first, one.position), max(last, one.position))
    return [(start, *ends) for start, ends in sorted(found.items())]


def _row(one: Entry) -> tuple[Any, ...]:
    return (
        one.position, one.event_id, one.at, one.type, one.actor, one.scope, one.scope_id, one.run_id, one.agent, one.capability,
        one.outcome, one.gate, one.risk, int(one.is_bad), one.open, one.whole,
    )  # fmt: skip


def _value_of(column: str) -> str:
    if connection.vendor == "postgresql" and column in ("open", "whole"):
        # Our own words as they are: no parser, no dictionary, no positions, so that SQLite finds the same.
        return f"array_to_tsvector(string_to_array({column}, ' '))"
    return "is_bad = 1" if column == "is_bad" else column


def _bodies(events: Sequence[Event]) -> Mapping[tuple[str, int], dict[str, str]]:
    """The payloads of some events that were not erased. One query."""
    places = {(event.stream, event.seq) for event in events}
    rows = Payload.objects.filter(
        stream__in={stream for stream, _ in places}, seq__in={seq for _, seq in places}, erased_at__isnull=True
    )
    found: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for stream, seq, name, body in rows.values_list("stream", "seq", "name", "body"):
        if (stream, seq) in places:
            found[(stream, seq)][name] = body
    return found
