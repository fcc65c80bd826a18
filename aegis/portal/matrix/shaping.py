"""What an address of the matrix asks to see: whose columns, which two compared. Page, sheet and print draw the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from django.http import HttpRequest
from django.utils.http import urlencode

from aegis.core.canonical import Json
from aegis.portal.matrix import grid, question, subjects
from aegis.portal.matrix.grid import Grid, Head, Pair
from orchestration.authority.matrix import Matrix

#: Whose columns: value -> (word of the tab, word of one column).
VIEWS: Final = {
    "role": ("By role", "role"),
    "agent": ("By agent", "agent"),
    "person": ("By person", "person"),
    "capability": ("By capability", "role"),
}
#: Views whose columns are roles: all capabilities, or those of one type of resource or one alone.
OF_ROLES: Final = frozenset({"role", "capability"})


@dataclass(frozen=True, slots=True)
class Shown:
    """
    Attributes:
        all_columns: those to choose a pair from, before two are compared.
        name: part of the names of agents or people that was asked for.
        is_cut: the reader may see more agents or people than are drawn.
        of: by capability: the type of resource or the capability whose rows are drawn; else "".
        types: what `of` may be, types of resource with their capabilities.
    """

    by: str
    grid: Grid
    all_columns: tuple[Head, ...]
    pair: Pair
    find: str
    name: str
    choice: str
    is_cut: bool
    of: str = ""
    types: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def is_of_roles(self) -> bool:
        return self.by in OF_ROLES

    @property
    def one(self) -> str:
        """The word for one column."""
        return VIEWS[self.by][1]

    @property
    def tabs(self) -> list[tuple[str, str, bool]]:
        return [(value, words, value == self.by) for value, (words, _) in VIEWS.items()]

    @property
    def query(self) -> str:
        """The address that shows the same again."""
        asked = {
            "by": self.by if self.by != "role" else "",
            "of": self.of,
            "roles": self.choice if self.choice != "all" else "",
            "name": self.name,
            "find": self.find,
            "compare": self.pair.one,
            "with": self.pair.other,
            "differences": "on" if self.pair.is_only else "",
        }
        return urlencode({key: value for key, value in asked.items() if value})


def shape(
    request: HttpRequest,
    matrix: Matrix,
    *,
    draft: Mapping[tuple[str, str], Json | None] | None = None,
    editable: Collection[str] = (),
) -> Shown:
    """
    Args:
        draft, editable: as of `grid.build`; they count for roles only.
    """
    by = request.GET.get("by", "")
    by = by if by in VIEWS else "role"
    find, name = question.text(request, "find", 100), question.text(request, "name", 100)
    choice = request.GET.get("roles", "all")
    choice = choice if choice in grid.CHOICES and by in OF_ROLES else "all"
    is_cut = False
    types = _types(matrix) if by == "capability" else ()
    of = _chosen(types, question.text(request, "of"))
    if by in OF_ROLES:
        matrix = _narrowed(matrix, of) if by == "capability" else matrix
        drawn = grid.build(matrix, request.user, choice, find, draft=draft, editable=editable)
        name = ""
    else:
        found = subjects.seen(matrix, by, request.user, name)
        drawn, is_cut = subjects.build(matrix, found.subjects), found.is_cut
    pair = grid.pair_of(drawn, request.GET)
    return Shown(by, grid.compared(drawn, pair), tuple(drawn.columns), pair, find, name, choice, is_cut, of, types)


def _types(matrix: Matrix) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for name, capability in sorted(matrix.capabilities.items()):
        found.setdefault(capability.resource, []).append(name)
    return tuple((resource, tuple(names)) for resource, names in sorted(found.items()))


def _chosen(types: tuple[tuple[str, tuple[str, ...]], ...], asked: str) -> str:
    """What is asked for if it is there, else the first type of resource."""
    known = {resource for resource, _ in types} | {name for _, names in types for name in names}
    return asked if asked in known else next((resource for resource, _ in types), "")


def _narrowed(matrix: Matrix, of: str) -> Matrix:
    """The matrix with the capability, or those of the type of resource, alone. For drawing, never for an effect."""
    kept = {name: one for name, one in matrix.capabilities.items() if of in (name, one.resource)}
    return replace(
        matrix,
        capabilities=kept,
        roles={
            name: replace(role, grants={key: grant for key, grant in role.grants.items() if key in kept})
            for name, role in matrix.roles.items()
        },
        locks={name: locks for name, locks in matrix.locks.items() if name in kept},
    )
