"""The grid of a routing table: rows of cells, findings as one types, tests, what a draft would move, CSV in and out.

It writes nothing by itself: the draft becomes the new document of a change set (`approvals.changes`), as from the text editor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from aegis.core import canonical
from aegis.core.actors import user_actor
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Conflict, Fault, Invalid, Stale
from aegis.core.kinds import Key
from aegis.identity.models import User
from aegis.portal.governed import grids
from aegis.portal.governed.editing import MAX_REASON, done
from aegis.portal.governed.kinds import KindPages
from aegis.portal.governed.pages import editable_row, frame, url_of, visible_row
from approvals import changes
from approvals.models import Governed
from approvals.previews import Preview
from orchestration.engine.replay import DEFAULT_LAST, Replay, replay
from orchestration.routing import drafts, publishing, sheets, tables
from orchestration.routing.analysis import Analysis

_ROWS = ("add", "remove", "up", "down", "cells", "cel", "default", "no-default", "input", "output")


@dataclass(slots=True)
class Draft:
    """The grid as it came, and everything to be said of it."""

    document: Json
    base: str
    reason: str = ""
    faults: list[Fault] = field(default_factory=list)
    analysis: Analysis | None = None
    tests: list[tuple[str, str]] = field(default_factory=list)  # name, failure ("" = it passes)
    preview: Preview | None = None
    replay: Replay | None = None
    error: AegisError | None = None
    said: str = ""  # what a button did

    @property
    def is_stale(self) -> bool:
        return isinstance(self.error, Stale)

    @property
    def may_publish(self) -> bool:
        return not self.faults

    def judge(self) -> None:
        """Faults, analysis and tests of the document, whatever shape it is in."""
        self.faults = drafts.findings(self.document)
        try:
            table = drafts.load(self.document)
        except AegisError:
            return
        self.analysis = publishing.analysis_of(self.document)
        failures = {fault.where: fault.what for fault in tables.failing_tests(table)}
        self.tests = [(test.name, failures.get(f"/spec/tests/{index}", "")) for index, test in enumerate(table.tests)]


@require_http_methods(["GET", "HEAD", "POST"])
def grid_page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    row = editable_row(request, kind, pk)
    standing = canonical.parse(row.document)
    if not grids.fits(standing):
        raise Conflict(f"{row.name} has too many rows for a grid; edit it as text")
    if request.method != "POST":
        draft = Draft(standing, row.digest)
        draft.judge()
        return _page(request, kind, row, draft)
    return _posted(request, kind, row)


@require_safe
def csv_page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    """The rows as they stand, for a spreadsheet."""
    row = visible_row(request, kind, pk)
    answer = HttpResponse(sheets.write(canonical.parse(row.document)), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{row.name}.csv"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _posted(request: HttpRequest, kind: KindPages, row: Governed) -> HttpResponse:
    user, do = cast(User, request.user), request.POST.get("do", "check")
    try:
        draft = _read(request, row)
        if do == "import":
            draft.document = _imported(request, draft.document)
            draft.said = "The rows are those of the sheet now. Nothing is applied yet."
        elif do.partition(":")[0] in _ROWS:
            draft.document = grids.change(draft.document, do, request.POST)
        if not grids.fits(draft.document):
            raise Invalid("These are too many rows for a grid; a longer table is edited as text")
    except AegisError as error:
        draft = _as_far_as_readable(request, row, error)
    if do == "rebase":
        draft.base = row.digest
    draft.judge()
    key = Key(kind.kind, row.name)
    if draft.error is None and do == "replay":
        draft.replay, draft.error = _replayed(draft.document, user)
    if draft.error is None and do in ("check", "apply", "rebase"):
        try:
            draft.preview = changes.preview([(key, draft.document)], user)
            if do == "apply":
                actor = user_actor(user.pk, auth="session")
                bases = {key: draft.base or None}
                made = changes.propose([(key, draft.document)], author=user, actor=actor, reason=draft.reason, bases=bases)
                return done(request, kind, key, made)
        except AegisError as error:
            draft.error = error
    if request.headers.get("X-Requested-With") == "fetch" and do in ("findings", "replay"):
        part = "tables/_findings.html" if do == "findings" else "tables/_replay.html"
        return render(request, part, _context(draft))
    return _page(request, kind, row, draft)


def _read(request: HttpRequest, row: Governed) -> Draft:
    """
    Raises:
        Invalid: the hidden draft was altered into something that is no document of this table.
    """
    document = canonical.parse(request.POST.get("document", ""))
    faults = drafts.form_faults(_without_rows(document)) if isinstance(document, dict) else [Fault("", "is no document")]
    if faults or document["metadata"]["name"] != row.name:
        raise Invalid("The draft that came with the form cannot be read; begin again from what stands", faults=faults)
    document = grids.read(document, {name: value for name, value in request.POST.items() if isinstance(value, str)})
    canonical.check_value(document)
    return Draft(document, request.POST.get("base", "")[:64], request.POST.get("reason", "").strip()[:MAX_REASON])


def _without_rows(document: Json) -> Json:
    """What the grid itself relies on; rows may be as faulty as they were typed, but must be rows."""
    spec = document.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("rules"), list):
        return document
    rows = [rule for rule in spec["rules"] if not _is_row(rule)]
    known = {**spec, "rules": rows}
    if isinstance(spec.get("default"), dict):
        known["default"] = {}
    return {**document, "spec": known}


def _is_row(rule: Json) -> bool:
    return (
        isinstance(rule, dict)
        and isinstance(rule.get("id"), str)
        and isinstance(rule.get("when"), str | dict)
        and isinstance(rule.get("then"), dict)
    )


def _as_far_as_readable(request: HttpRequest, row: Governed, error: AegisError) -> Draft:
    """What goes wrong leaves the draft as it was typed; only one that cannot be read begins again."""
    try:
        draft = _read(request, row)
    except AegisError:
        draft = Draft(canonical.parse(row.document), row.digest, request.POST.get("reason", "").strip()[:MAX_REASON])
    draft.error = error
    return draft


def _imported(request: HttpRequest, document: Json) -> Json:
    """
    Raises:
        Invalid: no file, or one that is no sheet of this table; faults by line and column.
    """
    file = request.FILES.get("sheet")
    if not isinstance(file, UploadedFile):
        raise Invalid("Choose a CSV file first")
    return sheets.read(file.read(sheets.MAX_BYTES + 1), document)


def _replayed(document: Json, user: User) -> tuple[Replay | None, AegisError | None]:
    try:
        return replay(drafts.load(document), last=DEFAULT_LAST, viewer=user), None
    except AegisError as error:
        return None, error


def _context(draft: Draft) -> dict[str, Any]:
    table_faults = [fault for fault in draft.faults if fault.code not in ("gap", "overlap", "conflict", "dead", "never")]
    return {"draft": draft, "faults": draft.faults, "table_faults": table_faults, "last": DEFAULT_LAST}


def _page(request: HttpRequest, kind: KindPages, row: Governed, draft: Draft) -> HttpResponse:
    context = frame(request, kind, row, "grid")
    context |= _context(draft)
    context |= {
        "grid": grids.draw(draft.document, draft.faults),
        "csv_url": url_of(row, "csv"),
        "draft_text": canonical.dump(draft.document).decode(),
        "max_reason": MAX_REASON,
        "reason_fault": next((fault.what for fault in getattr(draft.error, "faults", ()) if fault.where == "/reason"), ""),
        "needs_two": bool(draft.preview and draft.preview.guards),
    }
    return render(request, "tables/grid.html", context, status=draft.error.http_status if draft.error else 200)
