"""Cells of the matrix that nobody used. From the journal: there is no counter to keep in step.

A verdict names the cells that led to it, so a cell is used when a verdict of those days names it, whatever the answer was.
Two queries, grouped by the database, whatever the number of cells; the rows it reads are the verdicts of those days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, F, JSONField, Max, OuterRef, Subquery
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast

from aegis.core import canonical, clock
from approvals.models import DocumentVersion
from audit.models import Event
from orchestration.authority.matrix import Matrix
from orchestration.authority.revealing import HANDLER as REVEALING

DAYS: Final = (30, 90, 180, 365)
DEFAULT_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Use:
    """Of one cell, within the days asked about."""

    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Unused:
    """An allow that nobody used. `holders` counts those agents of the given matrix that have the role."""

    role: str
    capability: str
    label: str
    is_for_people: bool
    holders: int


@dataclass(frozen=True, slots=True)
class Report:
    """
    Attributes:
        judged: cells that allow and stood as such all those days. A gate or deny is a guard and is never judged.
        young: those that stand for less than that; not judged.
        silent: cells that show masked fields, of which no verdict is recorded; not judged.
    """

    days: int
    since: datetime
    unused: tuple[Unused, ...]
    judged: int
    young: int
    silent: int


def uses(since: datetime) -> dict[str, Use]:
    """ "role/capability" -> how often a verdict rested on it since then."""
    named = KeyTextTransform("grants", KeyTransform("data", Cast("line", JSONField())))
    rows = Event.objects.filter(type="verdict.given", at__gte=since).annotate(named=named).values_list("named")
    found: dict[str, Use] = {}
    for text, count, last in rows.annotate(count=Count("pk"), last=Max("at")).order_by():
        for cell in canonical.parse(text or "[]"):
            before = found.get(cell)
            found[cell] = Use(count + (before.count if before else 0), max(last, before.last_at) if before else last)
    return found


def report(matrix: Matrix, days: int, *, now: datetime | None = None) -> Report:
    since = (now or clock.db_now()) - timedelta(days=days)
    used, stood = uses(since), _standing_at(since)
    unused, judged, young, silent = [], 0, 0, 0
    for name, role in sorted(matrix.roles.items()):
        for capability, grant in sorted(role.grants.items()):
            known = matrix.capabilities.get(capability)
            if grant.effect != "allow":
                continue  # a guard: that nothing ran into it is what it is for, and without it more is allowed
            if known is not None and known.handler == REVEALING:
                silent += 1
            elif (name, capability) not in stood:
                young += 1
            else:
                judged += 1
                if f"{name}/{capability}" not in used:
                    holders = sum(name in agent.roles for agent in matrix.agents.values())
                    unused.append(Unused(name, capability, grant.label, role.is_for_people, holders))
    return Report(days, since, tuple(unused), judged, young, silent)


def _standing_at(moment: datetime) -> set[tuple[str, str]]:
    """(role, capability) of every cell that allowed something then. One query."""
    earlier = DocumentVersion.objects.filter(kind="Role", name=OuterRef("name"), created_at__lte=moment).order_by("-number")
    rows = DocumentVersion.objects.filter(kind="Role", number=Subquery(earlier.values("number")[:1]))
    return {
        (name, cell["capability"])
        for name, text in rows.values_list(F("name"), "document")
        for cell in canonical.parse(text)["spec"]["grants"]
        if cell["effect"] == "allow"
    }
