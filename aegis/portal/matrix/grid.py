"""The grid: columns against capabilities grouped by resource. Built from one matrix version; queries do not grow.

Columns are roles here; those of agents and people are made by `matrix.subjects`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol, TypeVar

from django.urls import reverse
from django.utils.http import urlencode

from aegis.core.canonical import Json
from aegis.core.visibility import Viewer
from aegis.portal.matrix.cells import Cell, cell, unsaved
from orchestration.authority.matrix import Capability, Lock, Matrix, Role
from orchestration.engine.explaining import as_seen, people_counted

#: Which roles the grid shows: value -> its words.
CHOICES: Final = {
    "all": "all roles",
    "agents": "roles of agents",
    "people": "roles of people",
    "granted": "roles with a cell for what is found",
}


@dataclass(frozen=True)
class Column:
    """A role. `holders` counts the agents that have it, or the active people in its group, of those that the reader may see."""

    role: Role
    holders: int
    is_first_of_people: bool = False
    is_editable: bool = False

    @property
    def key(self) -> str:
        """What its cells are told apart by."""
        return self.role.name

    @property
    def label(self) -> str:
        return self.role.name

    @property
    def is_for_people(self) -> bool:
        return self.role.is_for_people

    @cached_property
    def url(self) -> str:
        return f"{reverse('portal:open', kwargs={'kind': 'Role'})}?{urlencode({'name': self.role.name})}"

    @cached_property
    def query(self) -> str:
        """The role in the address of a cell."""
        return urlencode({"role": self.role.name})

    @property
    def note(self) -> str:
        noun = ("person", "people") if self.role.is_for_people else ("agent", "agents")
        return f"{self.holders} {noun[self.holders != 1]}" if self.holders else "none you may see"


class Head(Protocol):
    """A column, whatever it is of."""

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def is_for_people(self) -> bool: ...
    @property
    def is_first_of_people(self) -> bool: ...
    @property
    def is_editable(self) -> bool: ...


C = TypeVar("C", bound=Head)


@dataclass(frozen=True, slots=True)
class Row:
    capability: Capability
    verb: str  # the name without its resource: "refund"
    locks: tuple[Lock, ...]
    cells: tuple[Cell, ...]

    @property
    def differs(self) -> bool:
        """Do its cells say different things? Asked of two columns that are compared."""
        return len({(one.label, one.detail) for one in self.cells}) > 1

    @property
    def lead(self) -> str:
        """What comes before the verb: "ticket."."""
        return self.capability.name.removesuffix(self.verb)


@dataclass(frozen=True, slots=True)
class Section:
    resource: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns to compare, by key; "" where none is chosen."""

    one: str
    other: str
    is_only: bool  # only rows that differ

    @property
    def is_whole(self) -> bool:
        return bool(self.one and self.other)


@dataclass(frozen=True, slots=True)
class Grid:
    columns: Sequence[Head]
    sections: tuple[Section, ...]
    locks: int

    @property
    def agent_columns(self) -> int:
        return sum(not column.is_for_people for column in self.columns)

    @property
    def people_columns(self) -> int:
        return len(self.columns) - self.agent_columns

    @property
    def capabilities(self) -> int:
        return sum(len(section.rows) for section in self.sections)


def build(
    matrix: Matrix,
    reader: Viewer,
    choice: str = "all",
    find: str = "",
    *,
    draft: Mapping[tuple[str, str], Json | None] | None = None,
    editable: Collection[str] = (),
) -> Grid:
    """Agent roles first, then roles of people; both by name.

    Args:
        draft: (role, capability) -> the cell as it shall be, of those not applied yet.
        editable: roles whose cells the reader may change.
        choice: which roles, a key of CHOICES.
        find: part of the names of the capabilities that "granted" looks at; every row is drawn.
    """
    roles = sorted(_chosen(matrix, choice, find), key=lambda role: (role.is_for_people, role.name))
    people = people_counted([role.name for role in roles if role.is_for_people], reader)
    agents = Counter(name for agent in as_seen(matrix, reader).agents.values() for name in agent.roles)
    first = next((role.name for role in roles if role.is_for_people), "")
    columns = tuple(
        Column(
            role,
            people.get(role.name, 0) if role.is_for_people else agents[role.name],
            role.name == first,
            role.name in editable,
        )
        for role in roles
    )
    return of_columns(matrix, columns, lambda column, name: _cell(matrix, column.key, name, draft or {}))


def of_columns(matrix: Matrix, columns: Sequence[C], cell_of: Callable[[C, str], Cell]) -> Grid:
    by_resource: dict[str, list[Row]] = {}
    for name, capability in sorted(matrix.capabilities.items()):
        cells = tuple(cell_of(column, name) for column in columns)
        row = Row(capability, name.removeprefix(f"{capability.resource}."), matrix.locks.get(name, ()), cells)
        by_resource.setdefault(capability.resource, []).append(row)
    sections = tuple(Section(resource, tuple(rows)) for resource, rows in sorted(by_resource.items()))
    return Grid(columns, sections, sum(len(locks) for locks in matrix.locks.values()))


def compared(grid: Grid, pair: Pair) -> Grid:
    """The two columns of a pair side by side, in its order; only the rows that differ, if it asks for those."""
    if not pair.is_whole:
        return grid
    at = [next(index for index, column in enumerate(grid.columns) if column.key == key) for key in (pair.one, pair.other)]
    rows = (
        (section.resource, tuple(replace(row, cells=tuple(row.cells[index] for index in at)) for row in section.rows))
        for section in grid.sections
    )
    kept = ((resource, tuple(row for row in found if row.differs or not pair.is_only)) for resource, found in rows)
    sections = tuple(Section(resource, found) for resource, found in kept if found)
    return replace(grid, columns=tuple(grid.columns[index] for index in at), sections=sections)


def pair_of(grid: Grid, given: Mapping[str, str]) -> Pair:
    """What an address asks to compare; a name that is no column shown to the reader is not there."""
    keys = {column.key for column in grid.columns}
    one, other = (given.get(name, "") if given.get(name, "") in keys else "" for name in ("compare", "with"))
    return Pair(one, other if other != one else "", bool(given.get("differences")))


def _cell(matrix: Matrix, role: str, capability: str, draft: Mapping[tuple[str, str], Json | None]) -> Cell:
    standing = cell(matrix, role, capability)
    return unsaved(standing, draft[role, capability]) if (role, capability) in draft else standing


def _chosen(matrix: Matrix, choice: str, find: str) -> list[Role]:
    match choice:
        case "agents" | "people":
            return [role for role in matrix.roles.values() if role.is_for_people == (choice == "people")]
        case "granted":
            return [role for role in matrix.roles.values() if any(find.lower() in name.lower() for name in role.grants)]
        case _:
            return list(matrix.roles.values())
