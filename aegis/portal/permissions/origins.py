"""Where a right or a membership comes from: the newest event that gave it. Read from the journal, never from a copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.identity.models import User
from audit.models import Event, Payload

MAX_EVENTS: Final = 2_000  # looked back, newest first; what is older says so
GRANTED: Final = ("access.granted", "access.revoked")
JOINED: Final = ("access.group_joined", "access.group_left")


@dataclass(frozen=True, slots=True)
class Origin:
    """By whom, when and why. `reason` is "" once erased; `giver` is "AEGIS" for the command line and the set-up."""

    giver: str
    at: datetime
    reason: str


Found = dict[tuple[str, ...], Origin]


def of_rights(groups: Collection[int]) -> Found:
    """(group id, object id, verb) -> who granted it. Three queries."""
    return _origins(
        [f"group:{pk}" for pk in groups],
        GRANTED,
        lambda data, about: (about.removeprefix("group:"), data["object"], data["right"]),
    )


def of_memberships(people: Collection[object]) -> Found:
    """(person id, group name) -> who put him in. Three queries."""
    return _origins([str(pk) for pk in people], JOINED, lambda data, about: (about, data["group"]))


def _origins(about: list[str], types: tuple[str, str], key: object) -> Found:
    rows = Event.objects.filter(scope="access", scope_id__in=about, type__in=types).order_by("-id")[:MAX_EVENTS]
    newest: dict[tuple[str, ...], Event] = {}
    for event in rows:
        data: Mapping[str, Json] = canonical.parse(event.line)["data"]
        newest.setdefault(tuple(map(str, key(data, event.scope_id))), event)  # type: ignore[operator]  # a function of two
    given = {place: event for place, event in newest.items() if event.type == types[0]}
    reasons = _reasons(list(given.values()))
    names = {
        str(one.pk): one.display_name
        for one in User.objects.filter(pk__in={e.actor_ref for e in given.values() if e.actor_kind == "user"})
    }
    return {
        place: Origin(
            names.get(event.actor_ref, "AEGIS" if event.actor_kind == "system" else "somebody unknown"),
            event.at,
            reasons.get((event.stream, event.seq), ""),
        )
        for place, event in given.items()
    }


def _reasons(events: list[Event]) -> dict[tuple[str, int], str]:
    rows = Payload.objects.filter(
        stream__in={event.stream for event in events},
        seq__in={event.seq for event in events},
        name="reason",
        erased_at__isnull=True,
    )
    return {(stream, seq): str(canonical.parse(body)) for stream, seq, body in rows.values_list("stream", "seq", "body")}
