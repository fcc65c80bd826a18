"""The grid as a sheet: one line per cell that is drawn, of the matrix that stands."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from aegis.portal.matrix import cells, grid
from aegis.portal.matrix.views import require_access

COLUMNS: Final = (
    "matrix version", "capability", "resource", "risk", "role", "role of", "cell", "condition, policy and limits",
    "floor locks", "raised by a lock",
)  # fmt: skip


@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """The same roles and capabilities as the page shows under the same address; changes not applied are not in it."""
    require_access(request)
    matrix = cells.current()
    find = request.GET.get("find", "")[:100].strip()
    drawn = grid.build(matrix, request.GET.get("roles", "all"), find)
    people = {column.role.name: column.role.is_for_people for column in drawn.columns}
    text = StringIO()
    sheet = csv.writer(text)
    sheet.writerow(COLUMNS)
    for section in drawn.sections:
        for row in section.rows:
            if find.lower() not in row.capability.name.lower():
                continue
            locks = ", ".join(lock.name for lock in row.locks)
            for cell in row.cells:
                whose = "people" if people[cell.role] else "agents"
                values = (row.capability.name, section.resource, row.capability.risk, cell.role, whose, cell.word, cell.detail)
                raised = "yes" if cell.raised else "no"
                sheet.writerow([matrix.number, *(_plain(value) for value in (*values, locks)), raised])
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="access-matrix-{matrix.number}.csv"'
    return answer


def _plain(text: str) -> str:
    """A spreadsheet runs what begins with one of these; a quote before it makes it text."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
