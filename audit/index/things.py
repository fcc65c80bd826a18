"""Which governed objects an event is about: the part of an object's history that no column of the index tells. Pure.

An object is named "<kind>/<ref>": "Role/clerk", "Person/<id>", "Group/Finance". The life of a run, a request or a review item
has a stream or a column of its own and no names here (`audit.things`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from uuid import UUID

from aegis.core.canonical import Json
from audit import chain
from audit.models import Event

MAX_THING: Final = 200
_PERSON: Final = ("person", "delegate")  # fields that hold the id of somebody
_NAMES: Final = {"group": "Group", "role": "Role", "policy": "ApprovalPolicy"}  # fields that name a thing, by their own name
#: What `access.granted` calls the object of a right, which is the model's own word.
_GRANTED: Final = {
    "agent": "Agent",
    "workflow": "Workflow",
    "review queue": "ReviewQueue",
    "approval policy": "ApprovalPolicy",
    "area": "Area",
}
_GUARDED: Final = {"agent": "Agent", "workflow": "Workflow", "capability": "Capability"}
#: Streams of which every run, request and item writes: nobody's record of a thing that is governed.
_LIVES: Final = frozenset({"run", "request", "review", "message", "keeping", "refusals"})


def things_of(event: Event) -> tuple[str, ...]:
    """Names of the objects an event is about. Reads the line only where the stream may tell of one."""
    prefix, _, rest = event.stream.partition(":")
    if prefix in _LIVES:
        return ()
    return named(prefix, rest, chain.read_line(event.line)["data"])


def named(prefix: str, rest: str, data: Mapping[str, Json]) -> tuple[str, ...]:
    """The same from the two halves of the stream's name and the facts of the line."""
    found = [one for one in _of(prefix, rest, data) if len(one) <= MAX_THING]
    return tuple(dict.fromkeys(found))


def _of(prefix: str, rest: str, data: Mapping[str, Json]) -> Iterator[str]:
    name = data.get("name")
    if prefix == "config" and isinstance(name, str) and name:
        yield f"{rest}/{name}"
    if prefix == "halt" and isinstance(name, str) and (kind := _GUARDED.get(str(data.get("what")))):
        yield f"{kind}/{name}"
    if prefix == "breaker":
        guarded, _, of = str(data.get("key", "")).partition(":")
        if of and guarded in _GUARDED:
            yield f"{_GUARDED[guarded]}/{of}"
    if "right" in data and isinstance(granted := data.get("what"), str):
        yield from (f"{kind}/{granted[len(word) + 1 :]}" for word, kind in _GRANTED.items() if granted.startswith(f"{word} "))
    for field in _PERSON:
        if person := _id(data.get(field)):
            yield f"Person/{person}"
    for field, named_kind in _NAMES.items():
        if isinstance(called := data.get(field), str) and called:
            yield f"{named_kind}/{called}"


def _id(value: Json) -> str:
    try:
        return str(UUID(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""
