"""Emptying payloads: the one place that does. Bodies, salts and search text go, lines stay, an event says it.

The salt goes too: without it nobody can confirm a guess of the text against the commitment in the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from django.db.models import F

from aegis.core.actors import SYSTEM
from aegis.core.canonical import Json
from audit import catalogue, journal
from audit.catalogue import UnknownEventType
from audit.drafts import Context, Draft
from audit.index import projection
from audit.models import Event, Follower, Indexed, Payload

PLACES_AT_ONCE: Final = 500  # of a line, which holds 64 KiB
#: Events that tell of emptying and holds: an erasure leaves their reasons.
OWN_TYPES: Final = ("payload.erased", "erasure.asked", "erasure.settled", "hold.placed", "hold.lifted")


class Spot(NamedTuple):
    """One payload that is there, with the event it belongs to."""

    payload: int
    event: int
    stream: str
    seq: int


@dataclass(frozen=True, slots=True)
class Basis:
    """Why payloads are emptied.

    Attributes:
        by: in words, after "emptied by": "decision APR-3F2A91".
        cause: the line that settled the request, of a decision.
        days: what retention keeps.
    """

    kind: Literal["decision", "retention"]
    by: str
    cause: str = ""
    days: int = 0


def spots(events: Sequence[tuple[int, str, int, str]], *, personal_only: bool) -> list[Spot]:
    """The payloads of some events that are still there, and that the erasure rules of their types let go.

    Args:
        events: (id, stream, seq, type).
        personal_only: an erasure; else retention, which takes business payloads too.
    """
    known = {(stream, seq): (pk, type_) for pk, stream, seq, type_ in events if type_ not in OWN_TYPES}
    found = Payload.objects.filter(stream__in={stream for stream, _ in known}, erased_at__isnull=True).order_by("pk")
    result = []
    for pk, stream, seq, name in found.values_list("pk", "stream", "seq", "name"):
        event, type_ = known.get((stream, seq), (0, ""))
        if event and (not personal_only or rule_of(type_, name) == "personal"):
            result.append(Spot(pk, event, stream, seq))
    return result


def rule_of(type_: str, name: str) -> str:
    """What empties a payload; of a type that nobody knows any more: as if it told of a person."""
    try:
        return catalogue.get(type_).erasure.get(name, "personal")
    except UnknownEventType:
        return "personal"


def empty(where: Sequence[Spot], context: Context, basis: Basis, at: datetime) -> int:
    """Empty payloads and say so in `context.stream`, inside the caller's transaction. Returns how many there still were.

    Twice is once: what is empty already is not counted, and nothing left leaves no event.
    """
    if not where:
        return 0
    # Whoever fills the index holds this row while he reads payloads and writes their words: either he has done so before, and
    # the words are taken out below, or he will read the payloads empty.
    list(Follower.objects.select_for_update().filter(name=projection.NAME))
    emptied = 0
    for part in _parts(where):
        count = Payload.objects.filter(pk__in=[spot.payload for spot in part], erased_at__isnull=True).update(
            body="", salt="", erased_at=at
        )
        Indexed.objects.filter(event_id__in={spot.event for spot in part}).update(whole=F("open"))
        if count:
            places: Json = sorted({f"{spot.stream}/{spot.seq}" for spot in part})
            data: dict[str, Json] = {"places": places, "count": count, "basis": basis.kind, "by": basis.by}
            if basis.days:
                data["days"] = basis.days
            journal.append(context, [Draft("payload.erased", SYSTEM, data=data, cause=basis.cause)], at)
        emptied += count
    return emptied


def of_run(run_id: UUID, scope: str, scope_id: str) -> Context:
    """Where what was kept and emptied of a run is told: a stream beside its own, which only the holder of its lease writes."""
    return Context(stream=f"keeping:{run_id}", scope=scope, scope_id=scope_id, run_id=run_id)


def events_of_run(run_id: UUID, until: datetime | None = None) -> list[tuple[int, str, int, str]]:
    found = Event.objects.filter(run_id=run_id)
    if until is not None:
        found = found.filter(at__lte=until)
    return list(found.values_list("pk", "stream", "seq", "type"))


def _parts(where: Sequence[Spot]) -> Iterable[Sequence[Spot]]:
    for start in range(0, len(where), PLACES_AT_ONCE):
        yield where[start : start + PLACES_AT_ONCE]
