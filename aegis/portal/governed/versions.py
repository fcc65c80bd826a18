"""History of one document: every version as applied, by whom, why, and what changed. Read-only; nothing is restored from here.

The pages read `DocumentVersion` and the journal through the reader's own visibility. simple-history's admin is never mounted
(its history form writes, HAZARDS T1); its rows only add what a version does not tell: columns changed outside a document.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Malformed, NotFound
from aegis.core.kinds import Change, Key, get_kind
from aegis.core.visibility import Viewer
from aegis.portal.governed import texts
from aegis.portal.governed.kinds import KindPages
from aegis.portal.governed.pages import frame, url_of, visible_row
from approvals.models import DocumentVersion, Governed
from audit import journal
from audit.models import Event

MAX_LISTED = 200
MAX_TOLD = 50  # versions whose change is told in words on the list
_CONTEXT_LINES = 3
_OWN_COLUMNS = {"document", "digest", "version", "updated_at", "title", "name"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One version in the list."""

    number: int
    at: datetime
    author: str
    reason: str
    digest: str
    url: str
    is_current: bool
    words: tuple[str, ...]  # what changed; () where the list is too long to say it


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a text diff: tone and sign repeat each other, so it reads without colour."""

    sign: str  # "+", "-", " " or "@"
    text: str


@dataclass(frozen=True, slots=True)
class SideLine:
    """One row of a side-by-side diff. `sign`: " " same, "~" changed, "-" only before, "+" only after, "@" lines left out."""

    sign: str
    old_number: int | None = None
    old: str = ""
    new_number: int | None = None
    new: str = ""


@require_safe
def history_page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    row = visible_row(request, kind, pk)
    found = _versions(row, kind).select_related("change_set__author").order_by("-number")[: MAX_LISTED + 1]
    reasons = _reasons(kind, row, request.user)
    found = list(found)
    words = _words(kind, row, found)
    entries = [
        Entry(
            number=version.number,
            at=version.created_at,
            author=version.change_set.author.display_name if version.change_set.author else "AEGIS (bootstrap)",
            reason=reasons.get(str(version.change_set_id), ""),
            digest=version.digest,
            url=url_of(row, "version", number=version.number),
            is_current=version.digest == row.digest,
            words=words.get(version.number, ()),
        )
        for version in found
    ]
    context = frame(request, kind, row, "history")
    context |= {"entries": entries[:MAX_LISTED], "is_cut": len(entries) > MAX_LISTED, "columns": _column_changes(row)}
    return render(request, "portal/history.html", context)


@require_safe
def version_page(request: HttpRequest, kind: KindPages, pk: UUID, number: int) -> HttpResponse:
    """One version beside the one before, or another given as `?with=`: in words and as text."""
    row = visible_row(request, kind, pk)
    version = _versions(row, kind).filter(number=number).select_related("change_set__author").first()
    if version is None:
        raise NotFound
    other = _other(request, row, kind, number)
    document = canonical.parse(version.document)
    before = canonical.parse(other.document) if other else None
    context = frame(request, kind, row, "history")
    context |= {
        "version": version,
        "other": other,
        "numbers": _versions(row, kind).order_by("-number").values_list("number", flat=True)[:MAX_LISTED],
        "author": version.change_set.author.display_name if version.change_set.author else "AEGIS (bootstrap)",
        "reason": _reasons(kind, row, request.user).get(str(version.change_set_id), ""),
        "words": diff_in_words(kind.kind, row.name, before, document),
        "lines": diff_as_text(before, document),
        "sides": diff_side_by_side(before, document),
        "text": texts.to_text(document),
    }
    return render(request, "portal/version.html", context)


def diff_in_words(kind: str, name: str, old: Json | None, new: Json | None) -> list[str]:
    """The kind's own sentences; a version that this release can no longer read is still shown as text."""
    if old == new:
        return []
    try:
        return get_kind(kind).diff(Change(Key(kind, name), old, new))
    except (LookupError, TypeError, AttributeError):
        return ["This change can only be shown as text: it was written for an older form of the kind."]


def diff_as_text(old: Json | None, new: Json) -> list[TextLine]:
    """A unified diff of both documents as YAML."""
    before = texts.to_text(old).splitlines() if old is not None else []
    after = texts.to_text(new).splitlines()
    lines = difflib.unified_diff(before, after, lineterm="", n=_CONTEXT_LINES)
    return [TextLine(line[0], line[1:]) for line in lines if not line.startswith(("---", "+++"))]


def diff_side_by_side(old: Json | None, new: Json) -> list[SideLine]:
    """The same as `diff_as_text`, with both texts beside each other."""
    before = texts.to_text(old).splitlines() if old is not None else []
    after = texts.to_text(new).splitlines()
    rows: list[SideLine] = []
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(_CONTEXT_LINES):
        rows.append(SideLine("@", group[0][1] + 1, "", group[0][3] + 1))
        for tag, old_from, old_to, new_from, new_to in group:
            sign = {"equal": " ", "replace": "~", "delete": "-", "insert": "+"}[tag]
            for index in range(max(old_to - old_from, new_to - new_from)):
                left, right = old_from + index, new_from + index
                has_left, has_right = left < old_to, right < new_to
                rows.append(
                    SideLine(
                        sign if has_left and has_right else "-" if has_left else "+",
                        left + 1 if has_left else None,
                        before[left] if has_left else "",
                        right + 1 if has_right else None,
                        after[right] if has_right else "",
                    )
                )
    return rows


def _words(kind: KindPages, row: Governed, versions: list[DocumentVersion]) -> dict[int, tuple[str, ...]]:
    """Number -> what it changed against the one before, for the newest."""
    told: dict[int, tuple[str, ...]] = {}
    for version, before in pairwise([*versions[: MAX_TOLD + 1], None]):
        if version is None or len(told) == MAX_TOLD or (before is None and len(versions) > MAX_TOLD):
            break
        old = canonical.parse(before.document) if before else None
        told[version.number] = tuple(diff_in_words(kind.kind, row.name, old, canonical.parse(version.document)))
    return told


def _versions(row: Governed, kind: KindPages) -> Any:
    return DocumentVersion.objects.filter(kind=kind.kind, name=row.name)


def _other(request: HttpRequest, row: Governed, kind: KindPages, number: int) -> DocumentVersion | None:
    wanted = request.GET.get("with", "")
    rows = _versions(row, kind)
    if wanted.isdecimal() and len(wanted) < 9:
        chosen: DocumentVersion | None = rows.filter(number=int(wanted)).first()
        return chosen
    before: DocumentVersion | None = rows.filter(number__lt=number).order_by("-number").first()
    return before


def _reasons(kind: KindPages, row: Governed, user: Viewer) -> dict[str, str]:
    """change set id -> reason, as far as the reader may see the events that carry them."""
    stream = f"config:{kind.kind}"
    events = Event.objects.visible_to(user).filter(stream=stream, type="config.applied").order_by("-seq")[:1000]
    changes: dict[str, int] = {}
    for event in events:
        data = canonical.parse(event.line).get("data", {})
        if data.get("name") == row.name and data.get("change"):
            changes[str(data["change"])] = event.seq
    return {change: _text(journal.payload(stream, seq, "reason")) for change, seq in changes.items()}


def _text(raw: bytes | None) -> str:
    if raw is None:
        return ""
    try:
        value = canonical.parse(raw)
    except Malformed:
        return raw.decode("utf-8", "replace")
    return value if isinstance(value, str) else raw.decode()


def _column_changes(row: Governed) -> list[tuple[datetime, str]]:
    """Changes of columns that no document holds (an agent disabled), from simple-history; newest first."""
    records = list(row.history.order_by("-history_date")[:50])
    changes: list[tuple[datetime, str]] = []
    for newer, older in pairwise(records):
        delta = newer.diff_against(older, excluded_fields=_known_columns(newer, _OWN_COLUMNS))
        changes += [
            (newer.history_date, f"{change.field.replace('_', ' ')}: was {change.old}, now {change.new}")
            for change in delta.changes
        ]
    return changes


def _known_columns(record: Any, names: Iterable[str]) -> list[str]:
    tracked = {field.name for field in record.tracked_fields}
    return sorted(tracked & set(names))
