"""Recorded decisions with what they were made from: read in order or newest first, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import QuerySet

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Malformed
from audit import chain
from audit.models import Event, Payload

BATCH: Final = 500
#: What is needed to make a decision again.
PAYLOADS: Final = ("facts", "output", "proposal", "author", "input")


@dataclass(frozen=True, slots=True)
class Decision:
    """One `route.chosen` or `verdict.given`.

    Attributes:
        line: the whole line, parsed.
        payloads: name -> value of those that are still there and are what the line committed to.
        erased: names of those that were emptied; `broken`: of those that are not what the line committed to, or gone.
    """

    place: str
    run: str
    line: Mapping[str, Json]
    payloads: Mapping[str, Json]
    erased: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def data(self) -> Mapping[str, Json]:
        found: Mapping[str, Json] = self.line["data"]
        return found


@dataclass(slots=True)
class _Kept:
    values: dict[str, Json] = field(default_factory=dict)
    erased: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def in_order(type_: str, *, stream: str = "") -> Iterator[Decision]:
    """Every decision of a type, oldest first; two queries per batch, one batch in memory."""
    events = Event.objects.filter(type=type_)
    if stream:
        events = events.filter(stream=stream)
    last = 0
    while rows := list(events.filter(id__gt=last).order_by("id")[:BATCH]):
        yield from _read(rows)
        last = rows[-1].pk


def at(place: str) -> Decision | None:
    """What stands at "<stream>/<seq>", with its payloads; None if nothing does."""
    stream, _, seq = place.rpartition("/")
    rows = list(Event.objects.filter(stream=stream, seq=int(seq))) if seq.isdigit() else []
    return _read(rows)[0] if rows else None


def newest_routes(events: QuerySet[Event], table: str, *, at_most_events: int) -> Iterator[tuple[int, list[Decision]]]:
    """Recorded routes of one table among these events, newest first, in batches, each with the events looked at so far.

    The table's name is in the line, which no index reads: hence the bound on how many events are looked through.
    """
    needle = f'"table":{canonical.dump(table).decode()}'
    found = events.filter(type="route.chosen").order_by("-id")
    looked, last = 0, 0
    while looked < at_most_events:
        rows = list((found.filter(id__lt=last) if last else found)[:BATCH])
        if not rows:
            return
        looked += len(rows)
        last = rows[-1].pk
        yield looked, [one for one in _read([row for row in rows if needle in row.line]) if one.data["table"] == table]


def _read(rows: Sequence[Event]) -> list[Decision]:
    lines = {(row.stream, row.seq): chain.read_line(row.line) for row in rows}
    kept = _payloads(lines)
    found = []
    for row in rows:
        place = (row.stream, row.seq)
        have = kept[place]
        found.append(
            Decision(
                f"{row.stream}/{row.seq}",
                str(row.run_id or ""),
                lines[place],
                have.values,
                tuple(have.erased),
                tuple(have.broken),
            )
        )
    return found


def _payloads(lines: Mapping[tuple[str, int], Mapping[str, Json]]) -> dict[tuple[str, int], _Kept]:
    kept = {place: _Kept() for place in lines}
    rows = Payload.objects.filter(
        stream__in={stream for stream, _ in lines}, seq__in={seq for _, seq in lines}, name__in=PAYLOADS
    ).values_list("stream", "seq", "name", "body", "salt", "erased_at")
    seen: set[tuple[str, int, str]] = set()
    for stream, seq, name, body, salt, erased_at in rows:
        if (stream, seq) not in kept:
            continue
        seen.add((stream, seq, name))
        have = kept[stream, seq]
        if erased_at is not None:
            have.erased.append(name)
            continue
        committed = {entry["name"]: entry["c"] for entry in lines[stream, seq]["payload"]}
        try:
            if committed.get(name) != chain.commitment(salt, body.encode()):
                raise Malformed
            have.values[name] = canonical.load(body)
        except (Malformed, ValueError):
            have.broken.append(name)
    for (stream, seq), line in lines.items():
        names = {entry["name"] for entry in line["payload"]} & set(PAYLOADS)
        kept[stream, seq].broken += sorted(name for name in names if (stream, seq, name) not in seen)
    return kept
