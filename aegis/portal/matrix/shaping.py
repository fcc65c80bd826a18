"""What an address of the matrix asks to see: whose columns, which two compared. Page, sheet and print draw the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.utils.http import urlencode

from aegis.core.canonical import Json
from aegis.portal.matrix import grid, question, subjects
from aegis.portal.matrix.grid import Grid, Head, Pair
from orchestration.authority.matrix import Matrix

#: Whose columns: value -> (word of the tab, word of one column).
VIEWS: Final = {"role": ("By role", "role"), "agent": ("By agent", "agent"), "person": ("By person", "person")}


@dataclass(frozen=True, slots=True)
class Shown:
    """
    Attributes:
        all_columns: those to choose a pair from, before two are compared.
        name: part of the names of agents or people that was asked for.
        is_cut: the reader may see more agents or people than are drawn.
    """

    by: str
    grid: Grid
    all_columns: tuple[Head, ...]
    pair: Pair
    find: str
    name: str
    choice: str
    is_cut: bool

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
    choice = choice if choice in grid.CHOICES and by == "role" else "all"
    is_cut = False
    if by == "role":
        drawn = grid.build(matrix, request.user, choice, find, draft=draft, editable=editable)
        name = ""
    else:
        found = subjects.seen(matrix, by, request.user, name)
        drawn, is_cut = subjects.build(matrix, found.subjects), found.is_cut
    pair = grid.pair_of(drawn, request.GET)
    return Shown(by, grid.compared(drawn, pair), tuple(drawn.columns), pair, find, name, choice, is_cut)
