"""What one event changed, field by field: of a record, a document of configuration, or a right.

A record by the two versions its event holds, a document by its version against the one it replaced, a right by the facts of the
line. Payloads come in as the reader may see them (`audit.masking`), and the version before is masked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aegis.core import canonical
from aegis.core.canonical import MAX_PAYLOAD_BYTES, Json
from aegis.core.diffs import Row, diff
from aegis.core.errors import AegisError
from aegis.core.visibility import Viewer
from audit import masking
from audit.models import Payload

#: (kind, name, digest) -> the document as applied, None if no version has this digest.
Documents = Callable[[str, str, str], str | None]

_documents: Documents | None = None
_CONFIGURATION = ("config.applied", "config.proposed")
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


def by(content: Mapping[str, Json], payloads: Sequence[tuple[Payload, str]], viewer: Viewer) -> Changed | None:
    """At most one query, and those of masking one value; None where the event changes no such thing.

    Args:
        payloads: those of the event, each with its body as `viewer` may see it.
    """
    kind = content["type"]
    bodies = {row.name: body for row, body in payloads}
    erased = {row.name: row.erased_at for row, _ in payloads if row.erased_at is not None}
    if kind in _CONFIGURATION:
        return _of_document(content["data"], bodies, erased, viewer)
    if "after" in bodies and "before" in bodies:
        gone = erased.get("after") or erased.get("before")
        return Changed(erased_at=gone) if gone else _between(bodies["before"], bodies["after"])
    return _of_right(kind, content["data"])


def _of_document(
    data: Mapping[str, Json], bodies: Mapping[str, str], erased: Mapping[str, datetime | None], viewer: Viewer
) -> Changed:
    if gone := erased.get("document"):
        return Changed(erased_at=gone)
    before = "null"
    if data.get("base"):
        found = _documents(data["kind"], data["name"], data["base"]) if _documents is not None else None
        if found is None:
            return Changed(is_untold=True)
        before = canonical.dump(masking.value(viewer, None, canonical.parse(found))).decode()
    return _between(before, bodies.get("document", "null"))


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
        return Changed(_differing({fact: old} if old else None, {fact: new} if new else None))
    return None


def _differing(old: Mapping[str, Json] | None, new: Mapping[str, Json] | None) -> tuple[Row, ...]:
    return tuple(row for row in diff(old, new).rows if row.kind != "same")
