"""The compliance document: the grid as a sheet and as a page to print, exactly what its address shows. Each is an event.

Both are of the matrix that stands: changes not applied are not in them. Taking one is `export.created`, with the digest of what
was handed out; it changes nothing else.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from io import StringIO
from typing import Final, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aegis.core import canonical, clock
from aegis.core.actors import user_actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.visibility import one_look
from aegis.identity.models import User
from aegis.portal.matrix import cells, shaping
from aegis.portal.matrix.cells import Cell
from aegis.portal.matrix.grid import Head, Row
from aegis.portal.matrix.shaping import Shown
from aegis.portal.matrix.views import LockView, lock_views, require_access
from audit import journal
from audit.access import stream_of
from audit.drafts import Context, Draft
from orchestration.authority.matrix import Matrix

COLUMNS: Final = (
    "matrix version", "capability", "resource", "risk", "role", "role of", "cell", "condition, policy and limits",
    "floor locks", "raised by a lock",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Printed:
    """One capability on paper: the columns with a cell, and the names of those without one, which are denied."""

    row: Row
    said: tuple[tuple[Head, Cell], ...]
    empty: tuple[str, ...]


@require_safe
@one_look()
def export(request: HttpRequest) -> HttpResponse:
    require_access(request)
    matrix = cells.current()
    shown = shaping.shape(request, matrix)
    text = StringIO()
    sheet = csv.writer(text)
    sheet.writerow([name.replace("role", shown.one, 1) for name in COLUMNS] if not shown.is_of_roles else COLUMNS)
    rows = 0
    for row in _rows(shown):
        locks = ", ".join(lock.name for lock in row.locks)
        known = row.capability
        for head, cell in zip(shown.grid.columns, row.cells, strict=True):
            whose = "people" if head.is_for_people else "agents"
            values = (known.name, known.resource, known.risk, head.key, whose, cell.word, cell.detail, locks)
            sheet.writerow([matrix.number, *(_plain(value) for value in values), "yes" if cell.raised else "no"])
            rows += 1
    _record(request, "the access matrix as a sheet", rows, text.getvalue().encode(), shown)
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="access-matrix-{matrix.number}.csv"'
    return answer


@require_safe
@one_look()
def print_page(request: HttpRequest) -> HttpResponse:
    """Every cell in words, by resource; A4 landscape when it is printed."""
    require_access(request)
    matrix = cells.current()
    shown = shaping.shape(request, matrix)
    found = [_printed(shown, row) for row in _rows(shown)]
    resources: dict[str, list[Printed]] = {}
    for one in found:
        resources.setdefault(one.row.capability.resource, []).append(one)
    context = {
        "title": "Access matrix, to print",
        "matrix": matrix,
        "shown": shown,
        "resources": resources.items(),
        "locks": _locks(matrix, found),
        "marks": cells.MARKS.values(),
        "at": clock.now(),
    }
    answer = render(request, "portal/matrix_print.html", context)
    _record(request, "the access matrix to print", len(found), answer.content, shown)
    return answer


def _rows(shown: Shown) -> list[Row]:
    every = (row for section in shown.grid.sections for row in section.rows)
    return [row for row in every if shown.find.lower() in row.capability.name.lower()]


def _printed(shown: Shown, row: Row) -> Printed:
    both = list(zip(shown.grid.columns, row.cells, strict=True))
    return Printed(
        row,
        tuple((head, cell) for head, cell in both if cell.label != "empty"),
        tuple(head.label for head, cell in both if cell.label == "empty"),
    )


def _locks(matrix: Matrix, found: list[Printed]) -> list[tuple[str, LockView]]:
    """(capability, lock) of the rows drawn. One query."""
    named = [(one.row.capability.name, lock.name) for one in found for lock in one.row.locks]
    known = lock_views([lock for _, lock in named])
    return [(capability, known[lock]) for capability, lock in named if lock in known]


def _record(request: HttpRequest, what: str, rows: int, body: bytes, shown: Shown) -> None:
    if request.method != "GET":
        return  # HEAD hands nothing out
    person = cast(User, request.user)
    data: Json = {"what": what, "rows": rows, "digest": canonical.digest(body)}
    draft = Draft(
        "export.created",
        user_actor(person.pk, auth="session"),
        data=data,
        payloads={"query": canonical.dump(shown.query)},
    )
    context = Context(stream=stream_of("user", str(person.pk)), scope="access")
    in_transaction(lambda: journal.append(context, [draft], clock.db_now()))


def _plain(text: str) -> str:
    """A spreadsheet runs what begins with one of these; a quote before it makes it text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
