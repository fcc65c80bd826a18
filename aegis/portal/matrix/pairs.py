"""Two capabilities side by side: what each role, agent or person may do of the one and of the other. Read-only.

Two subjects are compared on the matrix itself (`grid.compared`); here the capabilities are the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aegis.core.visibility import one_look
from aegis.portal.matrix import cells, grid, question, subjects
from aegis.portal.matrix.cells import Cell
from aegis.portal.matrix.grid import Grid, Head
from aegis.portal.matrix.views import require_access
from orchestration.authority.matrix import Matrix
from orchestration.authority.matrix import Role as MatrixRole

#: Whose rows: value -> its words.
OF: Final = {"role": "roles", **subjects.KINDS}


@dataclass(frozen=True, slots=True)
class Line:
    """What one subject may do of both."""

    head: Head
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        return len({(one.label, one.detail) for one in self.cells}) > 1

    @property
    def is_silent(self) -> bool:
        """It has a cell for neither."""
        return all(one.label == "empty" for one in self.cells)


@require_safe
@one_look()
def pair_page(request: HttpRequest) -> HttpResponse:
    require_access(request)
    matrix = cells.current()
    of = request.GET.get("of", "")
    of = of if of in OF else "role"
    one, other = (_known(matrix, question.text(request, name)) for name in ("one", "other"))
    chosen = [name for name in dict.fromkeys((one, other)) if name]
    is_only = bool(request.GET.get("differences"))
    lines, is_cut = _lines(matrix, of, chosen, request) if len(chosen) == 2 else ([], False)
    kept = [line for line in lines if not line.is_silent and (line.differs or not is_only)]
    context = {
        "title": "Two capabilities",
        "matrix": matrix,
        "columns": [(matrix.capabilities[name], matrix.locks.get(name, ())) for name in chosen],
        "capabilities": sorted(matrix.capabilities),
        "one": one,
        "other": other if other != one else "",
        "of": of,
        "choices": OF.items(),
        "is_only": is_only,
        "is_whole": len(chosen) == 2,
        "is_cut": is_cut,
        "lines": kept,
        "differing": sum(line.differs for line in lines),
        "silent": sum(line.is_silent for line in lines),
    }
    return render(request, "portal/matrix_pair.html", context)


def _lines(matrix: Matrix, of: str, names: Sequence[str], request: HttpRequest) -> tuple[list[Line], bool]:
    """A line per subject that the reader may see, in the order of the matrix; whether there are more than are drawn."""
    drawn, is_cut = _drawn(_of_both(matrix, names), of, request)
    rows = {row.capability.name: row.cells for section in drawn.sections for row in section.rows}
    return [Line(head, tuple(rows[name][at] for name in names)) for at, head in enumerate(drawn.columns)], is_cut


def _drawn(matrix: Matrix, of: str, request: HttpRequest) -> tuple[Grid, bool]:
    if of == "role":
        return grid.build(matrix, request.user), False
    found = subjects.seen(matrix, of, request.user)
    return subjects.build(matrix, found.subjects), found.is_cut


def _of_both(matrix: Matrix, names: Sequence[str]) -> Matrix:
    """The matrix with these capabilities alone. For drawing, never for an effect."""

    def kept(role: MatrixRole) -> MatrixRole:
        return replace(role, grants={name: grant for name, grant in role.grants.items() if name in names})

    return replace(
        matrix,
        capabilities={name: matrix.capabilities[name] for name in names},
        roles={name: kept(role) for name, role in matrix.roles.items()},
        locks={name: locks for name, locks in matrix.locks.items() if name in names},
    )


def _known(matrix: Matrix, name: str) -> str:
    return name if name in matrix.capabilities else ""
