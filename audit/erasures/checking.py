"""What `journal verify` says of emptied payloads: each needs the event that says who emptied it, and that event must be true.

Whether a decision stands behind an erasure is asked above, where requests are known (`register_state_check`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from audit import chain
from audit.erasures.emptying import rule_of
from audit.models import Event, Payload
from audit.problems import Problem

AT_ONCE: Final = 500
LEAST_DAYS: Final = 180  # no class is kept for less (HAZARDS section 5)

_Row = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class _Told:
    """What an event says of the places it names."""

    is_retention: bool
    until: datetime | None  # retention: what is younger was emptied too early


def problems() -> Iterator[Problem]:
    """In this order: first what is empty, then what is told, then what is there; so that an erasure meanwhile is no fault."""
    emptied = Payload.objects.filter(erased_at__isnull=False).values_list("stream", "seq", "name")
    rows: list[_Row] = list(emptied.order_by("stream", "seq", "name").iterator(chunk_size=2_000))
    told: dict[str, list[_Told]] = {}
    for stream, seq, at, line in _erasures():
        try:
            one, places = _read(line, at)
        except (ValueError, KeyError, TypeError):
            continue  # a line that is none is found by its bytes
        if one.is_retention and one.until is None:
            yield Problem("erasures", stream, seq, f"it names a retention of less than {LEAST_DAYS} days")
        for place in places:
            told.setdefault(place, []).append(one)
    for part in _parts(rows):
        yield from _faults_of(part, told)
    yield from _still_there(told)


def _erasures() -> Iterator[tuple[str, int, datetime, str]]:
    found = Event.objects.filter(type="payload.erased").order_by("pk")
    yield from found.values_list("stream", "seq", "at", "line").iterator(chunk_size=2_000)


def _read(line: str, at: datetime) -> tuple[_Told, list[str]]:
    data: dict[str, Any] = chain.read_line(line)["data"]
    places = [place for place in data["places"] if isinstance(place, str)]
    if data["basis"] != "retention":
        return _Told(False, None), places
    days = data.get("days")
    if not isinstance(days, int) or days < LEAST_DAYS:
        return _Told(True, None), places
    return _Told(True, at - timedelta(days=days)), places


def _faults_of(rows: Sequence[_Row], told: dict[str, list[_Told]]) -> Iterator[Problem]:
    events = {
        (stream, seq): (type_, at)
        for stream, seq, type_, at in Event.objects.filter(
            stream__in={stream for stream, _, _ in rows}, seq__in={seq for _, seq, _ in rows}
        ).values_list("stream", "seq", "type", "at")
    }
    for stream, seq, name in rows:
        named = told.get(f"{stream}/{seq}", [])
        type_, at = events.get((stream, seq), ("", None))
        if not named:
            yield Problem("erasures", stream, seq, "a payload was emptied, and no event says who erased it")
        elif any(not one.is_retention for one in named) and rule_of(type_, name) == "personal":
            continue
        elif not any(one.until is not None and at is not None and at <= one.until for one in named):
            why = "before its time" if any(one.is_retention for one in named) else "which its type keeps from an erasure"
            yield Problem("erasures", stream, seq, f"payload {name!r} was emptied, {why}")


def _still_there(told: dict[str, list[_Told]]) -> Iterator[Problem]:
    """Payloads that an event says are gone: put back from a copy, or an event that tells what never was."""
    for part in _parts([place for place in told if "/" in place]):
        wanted: set[tuple[str, int]] = set()
        for place in part:
            stream, _, seq = place.rpartition("/")
            with suppress(ValueError):
                wanted.add((stream, int(seq)))
        types = {
            (stream, seq): type_
            for stream, seq, type_ in Event.objects.filter(
                stream__in={stream for stream, _ in wanted}, seq__in={seq for _, seq in wanted}
            ).values_list("stream", "seq", "type")
        }
        for stream, seq in sorted(wanted - types.keys()):
            yield Problem("erasures", stream, seq, "an event says that payloads were erased here, and there is no such event")
        there = Payload.objects.filter(
            stream__in={stream for stream, _ in wanted}, seq__in={seq for _, seq in wanted}, erased_at__isnull=True
        )
        for stream, seq, name in there.order_by("stream", "seq", "name").values_list("stream", "seq", "name"):
            named = told.get(f"{stream}/{seq}", []) if (stream, seq) in wanted else []
            if any(one.is_retention or rule_of(types.get((stream, seq), ""), name) == "personal" for one in named):
                yield Problem("erasures", stream, seq, f"an event says that payload {name!r} was erased, and it is there")


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    remaining = iter(rows)
    while part := list(islice(remaining, AT_ONCE)):
        yield part
