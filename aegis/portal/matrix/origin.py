"""Where a cell of the matrix comes from: the change set that made it what it is, by whom, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from approvals.models import ChangeSet, DocumentVersion
from audit import journal
from audit.models import Event
from orchestration.authority.models import Role

MAX_VERSIONS: Final = 500  # looked back; a cell older than that says the oldest of them
_STREAM: Final = "config:Role"


@dataclass(frozen=True, slots=True)
class Origin:
    """`version` is that of the role in which the cell became what it is; `reason` is "" where it was erased."""

    version: int
    at: datetime
    author: str
    reason: str
    is_oldest_known: bool


def of_cell(row: Role, capability: str) -> Origin | None:
    """None for an empty cell, and for a role that came past change control."""
    rows = DocumentVersion.objects.filter(kind="Role", name=row.name).select_related("change_set__author").order_by("-number")
    found: DocumentVersion | None = None
    wanted = _cell(row.document, capability)
    seen = 0
    for version in rows[:MAX_VERSIONS].iterator(chunk_size=50):
        seen += 1
        if wanted is None or _cell(version.document, capability) != wanted:
            break
        found = version
    else:
        seen += 1
    if found is None:
        return None
    author = found.change_set.author
    return Origin(
        version=found.number,
        at=found.created_at,
        author=author.display_name if author else "AEGIS (bootstrap)",
        reason=_reason(found.change_set, row.name),
        is_oldest_known=seen > MAX_VERSIONS,
    )


def _cell(document: str, capability: str) -> Json | None:
    grants = canonical.parse(document)["spec"]["grants"]
    return next((grant for grant in grants if grant["capability"] == capability), None)


def _reason(change_set: ChangeSet, role: str) -> str:
    """The reason that was recorded when the change set was applied; its events bear the moment it was settled at."""
    if change_set.settled_at is None:
        return ""
    at_once = Event.objects.filter(stream=_STREAM, type="config.applied", at=change_set.settled_at).order_by("seq")
    for event in at_once:
        data = canonical.parse(event.line)["data"]
        if data["change"] == str(change_set.pk) and data["name"] == role:
            body = journal.payload(_STREAM, event.seq, "reason")
            return str(canonical.parse(body)) if body else ""
    return ""
