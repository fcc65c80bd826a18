"""Events as people read them: a sentence, on whose behalf, under which rule, why. Used by pages, API and exports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import orjson
from django.db.models import Q

from aegis.core.canonical import Json
from aegis.core.visibility import Viewer
from audit import catalogue, chain, masking, names
from audit.catalogue import EventType, Part
from audit.models import Event, Payload
from audit.names import Names
from audit.outcomes import LANE_ICONS, Mark, mark

QUOTE_CHARS = 160
_WHY = ("reason", "detail")  # payloads whose text explains an event in its row
_RULES = ("policy", "rule", "table", "contract")  # fields that name what decided


@dataclass(frozen=True, slots=True)
class Told:
    """One event for people. Everything in it is plain text; templates escape it.

    Attributes:
        proof: how the actor proved themselves.
        rule: what decided, from the line ("policy two-people, matrix 311").
        why: beginning of the reason, "" if there is none, it was erased, or it may not be read.
    """

    event: Event
    content: Mapping[str, Json]
    parts: tuple[Part, ...]
    mark: Mark
    lane: str
    lane_icon: str
    actor: str
    actor_icon: str
    on_behalf: str
    proof: str
    rule: str
    why: str
    place: str
    subject: str

    @property
    def sentence(self) -> str:
        return "".join(part.text for part in self.parts)


def tell(events: Sequence[Event], viewer: Viewer) -> list[Told]:
    """At most one query for people, one for each kind of scope, one for runs and one for reasons, however many events."""
    contents = [chain.read_line(event.line) for event in events]
    known = names.load(
        {ref for content in contents for ref in _ids_in(content)},
        {
            *((event.scope, event.scope_id) for event in events),
            *(("agent", event.actor_ref) for event in events if event.actor_kind == "agent"),
        },
        # Seeing the events of a policy is not seeing the run: its key is shown under the run's own scope only.
        {event.run_id for event in events if event.run_id is not None and event.scope == "workflow"},
    )
    reasons = _reasons(events, contents, viewer)
    return [
        _told(event, content, known, reasons.get((event.stream, event.seq), ""))
        for event, content in zip(events, contents, strict=True)
    ]


def _told(event: Event, content: Mapping[str, Json], known: Names, why: str) -> Told:
    kind = type_of(content)
    actor = known.actor(event.actor_kind, event.actor_ref, event.agent)
    on_behalf = known.person(content["on_behalf"]) if content["on_behalf"] else ""
    subject = known.subject(event.run_id) or known.scopes.get((event.scope, event.scope_id), "")
    words = {
        "actor": actor,
        "on_behalf": on_behalf,
        "subject": subject or names.stream_label(event.stream),
        "run": names.label("run", str(event.run_id)) if event.run_id else "",
        "step": event.step,
        "agent": event.agent,
        "capability": event.capability,
        "outcome": event.outcome.replace("_", " "),
        "scope": known.scopes.get((event.scope, event.scope_id), event.scope),
    }
    data = {name: _named(value, known) for name, value in content["data"].items()}
    lane = kind.lane if kind else "system"
    return Told(
        event=event,
        content=content,
        parts=tuple(catalogue.parts(kind, words, data)) if kind else (Part(actor, is_value=True), Part(f": {event.type}")),
        mark=mark(kind, event.outcome),
        lane=lane,
        lane_icon=LANE_ICONS[lane],
        actor=actor,
        actor_icon={"agent": "bot", "system": "shield"}.get(event.actor_kind, "person"),
        on_behalf=on_behalf,
        proof=_proof(content["actor"]),
        rule=_rule(content),
        why=why,
        place=f"{names.stream_label(event.stream)} #{event.seq}",
        subject=subject,
    )


def type_of(content: Mapping[str, Json]) -> EventType | None:
    """The type a line was written under, in its version; None if this release does not know it."""
    try:
        return catalogue.get(content["type"], content["type_version"])
    except catalogue.UnknownEventType:
        return None


def as_text(body: str) -> str:
    """A payload for reading: JSON indented, a JSON string as the text it is, anything else as it stands."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _ids_in(content: Mapping[str, Json]) -> Iterable[str]:
    yield content["actor"]["ref"]
    yield content["on_behalf"]
    for value in content["data"].values():
        if isinstance(value, str):
            yield value


def _named(value: Json, known: Names) -> Json:
    return known.people.get(value, value) if isinstance(value, str) else value


def _proof(actor: Mapping[str, str]) -> str:
    auth, _, detail = actor["auth"].partition(":")
    words = {
        "session": "signed-in session",
        "password": "signed in with a password",
        "api_key": f"API key {detail}",
        "cli": "command line",
        "engine": "by itself" if actor["kind"] == "system" else "called by AEGIS",
    }
    return words.get(auth, actor["auth"])


def _rule(content: Mapping[str, Json]) -> str:
    data = content["data"]
    found = [f"{name} {data[name]}" for name in _RULES if isinstance(data.get(name), str | int) and data[name] != ""]
    if content["matrix"]:
        found.append(f"matrix {content['matrix']}")
    return ", ".join(found)


def _reasons(events: Sequence[Event], contents: Sequence[Mapping[str, Json]], viewer: Viewer) -> dict[tuple[str, int], str]:
    places = [
        Q(stream=event.stream, seq=event.seq)
        for event, content in zip(events, contents, strict=True)
        if any(entry["name"] in _WHY for entry in content["payload"])
    ]
    if not places:
        return {}
    rows = Payload.objects.filter(reduce(or_, places), name__in=_WHY, erased_at__isnull=True).order_by("-name")
    masked = masking.shown(viewer, rows.values_list("stream", "seq", "name", "body"))
    found = {(row.stream, row.seq): _quote(row.body) for row in masked}
    return {place: text for place, text in found.items() if text}


def _quote(body: str) -> str:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = body
    if isinstance(value, dict):
        value = value.get("reason", "")
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text if len(text) <= QUOTE_CHARS else text[: QUOTE_CHARS - 1] + "…"
