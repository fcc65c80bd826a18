"""The grid: roles as columns, capabilities grouped by resource as rows. Built from one matrix version; queries do not grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from django.contrib.auth.models import Group
from django.utils.http import urlencode

from aegis.core.canonical import Json
from aegis.portal.matrix.cells import Cell, cell, unsaved
from orchestration.authority.matrix import Capability, Lock, Matrix, Role

#: Which roles the grid shows: value -> its words.
CHOICES: Final = {
    "all": "all roles",
    "agents": "roles of agents",
    "people": "roles of people",
    "granted": "roles with a cell for what is found",
}


@dataclass(frozen=True)
class Column:
    """A role. `holders` counts the agents that have it, or the active people in its group."""

    role: Role
    holders: int
    is_first_of_people: bool = False
    is_editable: bool = False

    @cached_property
    def query(self) -> str:
        """The role in the address of a cell."""
        return urlencode({"role": self.role.name})

    @property
    def holders_text(self) -> str:
        noun = ("person", "people") if self.role.is_for_people else ("agent", "agents")
        return f"{self.holders} {noun[self.holders != 1]}"


@dataclass(frozen=True, slots=True)
class Row:
    capability: Capability
    verb: str  # the name without its resource: "refund"
    locks: tuple[Lock, ...]
    cells: tuple[Cell, ...]

    @property
    def lead(self) -> str:
        """What comes before the verb: "ticket."."""
        return self.capability.name.removesuffix(self.verb)


@dataclass(frozen=True, slots=True)
class Section:
    resource: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    locks: int

    @property
    def agent_columns(self) -> int:
        return sum(not column.role.is_for_people for column in self.columns)

    @property
    def people_columns(self) -> int:
        return len(self.columns) - self.agent_columns

    @property
    def capabilities(self) -> int:
        return sum(len(section.rows) for section in self.sections)


def build(
    matrix: Matrix,
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
    people = _people([role.name for role in roles if role.is_for_people])
    agents = Counter(name for agent in matrix.agents.values() for name in agent.roles)
    first = next((role.name for role in roles if role.is_for_people), "")
    columns = tuple(
        Column(
            role,
            people[role.name] if role.is_for_people else agents[role.name],
            role.name == first,
            role.name in editable,
        )
        for role in roles
    )
    names = [role.name for role in roles]
    by_resource: dict[str, list[Row]] = {}
    for name, capability in sorted(matrix.capabilities.items()):
        cells = tuple(_cell(matrix, role, name, draft or {}) for role in names)
        row = Row(capability, name.removeprefix(f"{capability.resource}."), matrix.locks.get(name, ()), cells)
        by_resource.setdefault(capability.resource, []).append(row)
    sections = tuple(Section(resource, tuple(rows)) for resource, rows in sorted(by_resource.items()))
    return Grid(columns, sections, sum(len(locks) for locks in matrix.locks.values()))


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


def _people(groups: list[str]) -> Counter[str]:
    rows = Group.objects.filter(name__in=groups, user__is_active=True)
    return Counter(rows.values_list("name", flat=True))
