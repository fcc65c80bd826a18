"""Columns of agents and of people: what each may do through all its roles, as the verdict answers. Read-only.

Agents are those the reader may see, people those he may ask about (else himself). Of the others nothing is told, nor how many
they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from django.urls import reverse
from django.utils.http import urlencode

from aegis.core import clock
from aegis.core.visibility import Viewer
from aegis.identity.seen import people_seen
from aegis.portal.matrix.cells import Cell
from aegis.portal.matrix.grid import Grid, of_columns
from orchestration.agents.models import Agent
from orchestration.authority.explainer import Line, table
from orchestration.authority.grant_documents import words
from orchestration.authority.grant_limits import clock_fact
from orchestration.authority.matrix import Matrix
from orchestration.authority.verdicts import Principal

#: Views with columns other than roles: value -> its words.
KINDS: Final = {"agent": "agents", "person": "people"}
MAX_COLUMNS: Final = 100  # more are found by name


@dataclass(frozen=True)
class Subject:
    """An agent or a person as a column. `key` is "agent:<name>" or "person:<user name>"."""

    key: str
    label: str
    roles: tuple[str, ...]
    principal: Principal
    is_first_of_people: bool = False
    is_editable: bool = False

    @property
    def is_for_people(self) -> bool:
        return self.principal.kind == "user"

    @cached_property
    def query(self) -> str:
        return urlencode({"who": self.key})

    @cached_property
    def url(self) -> str:
        return f"{reverse('portal:matrix-what')}?{self.query}"

    @property
    def note(self) -> str:
        return ", ".join(self.roles) or "no role"


@dataclass(frozen=True, slots=True)
class Seen:
    """`is_cut`: more are there than are drawn, all of whom the reader may see."""

    subjects: tuple[Subject, ...]
    is_cut: bool


def seen(matrix: Matrix, by: str, reader: Viewer, name: str = "", *, is_whole: bool = False) -> Seen:
    """
    Args:
        by: a key of KINDS.
        name: part of the names of those to draw; the whole of one, if `is_whole`.
    """
    how = "exact" if is_whole else "icontains"
    found = _agents(matrix, reader, name, how) if by == "agent" else _people(matrix, reader, name, how)
    return Seen(tuple(found[:MAX_COLUMNS]), len(found) > MAX_COLUMNS)


def named(matrix: Matrix, by: str, reader: Viewer, key: str) -> Subject | None:
    """The one of this key; None if the reader may not see it, as if there were none."""
    name = key.partition(":")[2]
    return next((one for one in seen(matrix, by, reader, name, is_whole=True).subjects if one.key == key), None)


def build(matrix: Matrix, subjects: tuple[Subject, ...]) -> Grid:
    lines = _lines(matrix, subjects)
    return of_columns(matrix, subjects, lambda one, name: _cell(matrix, one, name, lines[one.key].get(name)))


def line_of(matrix: Matrix, subject: Subject, capability: str) -> Line | None:
    """None where no role of it has a cell."""
    return _lines(matrix, (subject,))[subject.key].get(capability)


def cell_of(matrix: Matrix, subject: Subject, capability: str) -> Cell:
    return _cell(matrix, subject, capability, line_of(matrix, subject, capability))


def _lines(matrix: Matrix, subjects: tuple[Subject, ...]) -> dict[str, dict[str, Line]]:
    return table(matrix, [(one.key, one.principal) for one in subjects], clock_fact(clock.now(), matrix.zones))


def _agents(matrix: Matrix, reader: Viewer, name: str, how: str) -> list[Subject]:
    rows = Agent.objects.visible_to(reader).filter(**{f"name__{how}": name}).order_by("name").values_list("pk", "name")
    return [
        Subject(f"agent:{shown}", shown, tuple(sorted(matrix.agents[str(pk)].roles)), Principal("agent", str(pk)))
        for pk, shown in rows[: MAX_COLUMNS + 1]
        if str(pk) in matrix.agents
    ]


def _people(matrix: Matrix, reader: Viewer, name: str, how: str) -> list[Subject]:
    rows = people_seen(reader).filter(**{f"username__{how}": name}).order_by("username").prefetch_related("groups")
    found = []
    for one in rows[: MAX_COLUMNS + 1]:
        groups = tuple(sorted(group.name for group in one.groups.all()))
        roles = tuple(group for group in groups if (role := matrix.roles.get(group)) and role.is_for_people)
        found.append(Subject(f"person:{one.username}", one.display_name, roles, Principal("user", str(one.pk), groups)))
    return found


def _cell(matrix: Matrix, subject: Subject, capability: str, line: Line | None) -> Cell:
    is_locked = bool(matrix.locks.get(capability))
    if line is None:
        return Cell(subject.key, capability, "empty", is_locked=is_locked)
    return Cell(subject.key, capability, line.label, _detail(line), is_locked, limits=_limits(line))


def _detail(line: Line) -> str:
    """The answer's policy and condition, and the roles that lead to it."""
    leading = [one.name for one in line.deciders if one.what == "cell" and not one.says.endswith("a stricter cell decides")]
    through = f"through {', '.join(dict.fromkeys(leading))}" if leading else ""
    conditions = [f"if {grant.when}" for grant in line.cells if grant.when and grant.role in leading]
    raised = "raised by a floor lock" if line.most.raised_by or line.least.raised_by else ""
    return " · ".join(part for part in (line.most.policy, *conditions, _limits(line), raised, through) if part)


def _limits(line: Line) -> str:
    return "; ".join(found for grant in line.cells if (found := words(grant.limits)))
