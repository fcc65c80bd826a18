"""The history of one governed object: every event about it that a reader may see, newest first, each with what it changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from django.db.models import Q
from django.urls import reverse

from aegis.core.visibility import Viewer
from audit import changed, masking, scopes
from audit.changed import Changed
from audit.index.models import Indexed, Touched
from audit.models import Event, Payload
from audit.telling import Told

PAGE: Final = 25  # each may bring a document of 256 KB, and the one it replaced
#: Payloads that tell what was changed; the others are not read.
_TELLING: Final = ("before", "after", "document", "person")
#: Events that changed an object: the rest is about proposals that came to nothing, looks and reminders.
CHANGES: Final = (
    "config.applied", "effect.done", "agent.disabled", "agent.enabled", "agent.credential_issued", "agent.credential_revoked",
    "halt.placed", "halt.resuming", "halt.lifted", "breaker.opened", "breaker.closed", "role.reviewed", "access.granted",
    "access.revoked", "access.founded", "access.group_joined", "access.group_left", "access.group_created",
    "access.person_created", "access.person_disabled", "access.person_enabled", "access.key_created", "access.key_revoked",
    "access.right_taken", "access.taken_right_ended", "access.password_changed", "delegation.given", "delegation.ended",
    "delegation.declined", "decision.made", "request.claimed", "request.reassigned", "request.released", "request.edited",
    "request.settled", "request.withdrawn", "run.submitted", "run.completed", "run.cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Beside:
    """The changes of the same document before and after an event; "" where there is none that the reader may see."""

    before: str = ""
    after: str = ""


def changes(told: Sequence[Told], viewer: Viewer) -> list[Changed | None]:
    """What each event changed, as `viewer` may see it. A fixed number of queries."""
    places = [Q(stream=one.event.stream, seq=one.event.seq) for one in told if _is_telling(one)]
    bodies: dict[tuple[str, int], list[tuple[Payload, str]]] = defaultdict(list)
    if places:
        rows = Payload.objects.filter(reduce(or_, places), name__in=_TELLING)
        for row, body in masking.bodies(viewer, rows.order_by("stream", "seq", "name")):
            bodies[(row.stream, row.seq)].append((row, body))
    return changed.of_all([(one.content, bodies[(one.event.stream, one.event.seq)]) for one in told], viewer)


def beside(event: Event, keys: Sequence[str], position: int | None, viewer: Viewer) -> Beside:
    """Of an event of configuration, whose stream holds all documents of a kind. Two queries, none for other events.

    Args:
        keys: the objects it is about (`things.of_event`), the document first.
        position: of the event, None if it is not sealed yet.
    """
    if not event.stream.startswith("config:") or not keys or position is None:
        return Beside()
    seen = scopes.reach(viewer)
    of_document = Touched.objects.filter(thing=keys[0]).values("position")
    rows = Indexed.objects.within(seen).filter(position__in=of_document, type="config.applied")
    earlier = rows.filter(position__lt=position).order_by("-position").values_list("event_id", flat=True)[:1]
    later = rows.filter(position__gt=position).order_by("position").values_list("event_id", flat=True)[:1]
    return Beside(_url_of(earlier.first()), _url_of(later.first()))


def _url_of(event_id: int | None) -> str:
    place = Event.objects.filter(pk=event_id).values_list("stream", "seq").first() if event_id else None
    return reverse("audit:event", args=place) if place else ""


def _is_telling(told: Told) -> bool:
    return any(entry["name"] in _TELLING for entry in told.content["payload"])
