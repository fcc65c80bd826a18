"""What one event changed, field by field: of a record, a document of configuration, a right, a request or a person.

A record by the two versions its event holds, a document by its version against the one it replaced, a right and who holds a
request by the facts of the line, a new person by what was typed. Payloads come in as the reader may see them (`audit.masking`),
and the version before is masked here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aegis.core import canonical
from aegis.core.canonical import MAX_PAYLOAD_BYTES, Json
from aegis.core.diffs import Row, diff
from aegis.core.errors import AegisError
from aegis.core.visibility import Viewer
from audit import masking, names
from audit.models import Payload

DocumentKey = tuple[str, str, str]  # kind, name, digest
#: The documents as applied, without those that no version has.
Documents = Callable[[Collection[DocumentKey]], Mapping[DocumentKey, str]]
#: Payloads of one event, each with its body as the reader may see it.
Read = Sequence[tuple[Payload, str]]

_documents: Documents | None = None
_CONFIGURATION = ("config.applied", "config.proposed")
#: Who holds a request: ids of people in `before` and `by`.
_HELD = ("request.claimed", "request.reassigned", "request.released")
#: Type -> facts of the line that came to be; for the second, that ended.
_GIVEN = {
    "access.granted": ("group", "right", "what"),
    "access.group_created": ("group",),
    "access.key_created": ("prefix", "expires_at"),
    "access.right_taken": ("area", "right", "until"),
}
_TAKEN = {
    "access.revoked": ("group", "right", "what"),
    "access.key_revoked": ("prefix",),
    "access.taken_right_ended": ("area", "right"),
}
#: Type -> (fact, before, after); None stands for the group of the line.
_TURNED = {
    "access.group_joined": ("member of", "", None),
    "access.group_left": ("member of", None, ""),
    "access.person_disabled": ("account", "enabled", "disabled"),
    "access.person_enabled": ("account", "disabled", "enabled"),
}


@dataclass(frozen=True, slots=True)
class Changed:
    """The fields that differ.

    Attributes:
        erased_at: when a side of the comparison was erased; then there are no rows.
        is_untold: the version before cannot be read.
    """

    rows: tuple[Row, ...] = ()
    erased_at: datetime | None = None
    is_untold: bool = False


def register_documents(documents: Documents) -> None:
    """Called once at start-up by the app that keeps versions of configuration."""
    global _documents
    _documents = documents


def by(content: Mapping[str, Json], payloads: Read, viewer: Viewer) -> Changed | None:
    """Of one event; None where it changes no such thing. As many queries as `of_all`."""
    return of_all([(content, payloads)], viewer)[0]


def of_all(events: Sequence[tuple[Mapping[str, Json], Read]], viewer: Viewer) -> list[Changed | None]:
    """Of each event. One query for the documents that were replaced, one for people, and those of masking, however many.

    Args:
        events: content of the line, and the payloads, each with its body as `viewer` may see it.
    """
    bases = _bases([content["data"] for content, _ in events if content["type"] in _CONFIGURATION], viewer)
    held = {ref for content, _ in events if content["type"] in _HELD for ref in _sides(content["data"]) if ref}
    people = names.load(held, set(), set()) if held else names.Names()
    return [_one(content, payloads, bases, people) for content, payloads in events]


def _one(content: Mapping[str, Json], payloads: Read, bases: Mapping[DocumentKey, str], people: names.Names) -> Changed | None:
    kind, data = content["type"], content["data"]
    bodies = {row.name: body for row, body in payloads}
    erased = {row.name: row.erased_at for row, _ in payloads if row.erased_at is not None}
    if kind in _CONFIGURATION:
        return _of_document(data, bodies, erased, bases)
    if kind in _HELD:
        old, new = (people.person(ref) if ref else "" for ref in _sides(data))
        return _turned("held by", old, new)
    if kind == "access.person_created":
        return _of_person(data, bodies, erased)
    if "after" in bodies and "before" in bodies:
        gone = erased.get("after") or erased.get("before")
        return Changed(erased_at=gone) if gone else _between(bodies["before"], bodies["after"])
    return _of_right(kind, data)


def _bases(data: Iterable[Mapping[str, Json]], viewer: Viewer) -> dict[DocumentKey, str]:
    """The documents that were replaced, as `viewer` may see them."""
    wanted = {(one["kind"], one["name"], one["base"]) for one in data if one.get("base")}
    found = _documents(wanted) if _documents is not None and wanted else {}
    if not found:
        return {}
    shown = masking.masker().values(viewer, [(None, canonical.parse(text)) for text in found.values()])
    return {key: canonical.dump(value).decode() for key, value in zip(found, shown, strict=True)}


def _of_document(
    data: Mapping[str, Json],
    bodies: Mapping[str, str],
    erased: Mapping[str, datetime | None],
    bases: Mapping[DocumentKey, str],
) -> Changed:
    if gone := erased.get("document"):
        return Changed(erased_at=gone)
    before: str | None = "null"
    if data.get("base"):
        before = bases.get((data["kind"], data["name"], data["base"]))
    return Changed(is_untold=True) if before is None else _between(before, bodies.get("document", "null"))


def _of_person(data: Mapping[str, Json], bodies: Mapping[str, str], erased: Mapping[str, datetime | None]) -> Changed:
    if gone := erased.get("person"):
        return Changed(erased_at=gone)
    told = _between("null", bodies.get("person", "null"))
    groups = _differing(None, {"member of": data["groups"]}) if data.get("groups") else ()
    return Changed((*told.rows, *groups), is_untold=told.is_untold)


def _sides(data: Mapping[str, Json]) -> tuple[str, str]:
    """Ids of who held a request before and who holds it now, "" for nobody."""
    return str(data.get("before") or ""), str(data.get("by") or "")


def _between(before: str, after: str) -> Changed:
    try:
        old, new = (canonical.parse(side, max_bytes=MAX_PAYLOAD_BYTES) for side in (before, after))
    except AegisError:
        return Changed(is_untold=True)
    if not isinstance(old, dict | None) or not isinstance(new, dict | None):
        return Changed(is_untold=True)
    return Changed(_differing(old, new))


def _of_right(kind: str, data: Mapping[str, Json]) -> Changed | None:
    if kind in _GIVEN:
        return Changed(_differing(None, {name: data[name] for name in _GIVEN[kind] if name in data}))
    if kind in _TAKEN:
        return Changed(_differing({name: data[name] for name in _TAKEN[kind] if name in data}, None))
    if kind in _TURNED:
        fact, *sides = _TURNED[kind]
        old, new = (data.get("group", "") if side is None else side for side in sides)
        return _turned(fact, old, new)
    return None


def _turned(fact: str, old: Json, new: Json) -> Changed:
    return Changed(_differing({fact: old} if old else None, {fact: new} if new else None))


def _differing(old: Mapping[str, Json] | None, new: Mapping[str, Json] | None) -> tuple[Row, ...]:
    return tuple(row for row in diff(old, new).rows if row.kind != "same")
