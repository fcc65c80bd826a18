"""Cells of the matrix that nobody used, and the review of grants. From the journal: there is no counter to keep in step.

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
from aegis.core.actors import Actor
from aegis.identity.authority import hold_shared
from aegis.identity.models import User
from aegis.identity.principals import changing_rights, require_area, stated
from approvals.models import DocumentVersion
from audit import journal
from audit.drafts import Context, Draft
from audit.models import Event
from orchestration.authority.live import STREAM
from orchestration.authority.live import current as live
from orchestration.authority.matrix import Matrix
from orchestration.authority.models import MatrixVersion
from orchestration.authority.revealing import HANDLER as REVEALING

DAYS: Final = (30, 90, 180, 365)
DEFAULT_DAYS: Final = 90
EVERY: Final = timedelta(days=90)  # a review of all grants
SOON: Final = timedelta(days=14)  # told this long before


@dataclass(frozen=True, slots=True)
class Use:
    """Of one cell, within the days asked about."""

    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Unused:
    """A cell that lets something through and did not. `holders` counts agents with the role; people are not counted."""

    role: str
    capability: str
    label: str
    is_for_people: bool
    holders: int


@dataclass(frozen=True, slots=True)
class Report:
    """
    Attributes:
        judged: cells that let something through and stood all those days.
        young: those that stand for less than that; not judged.
        silent: cells that show masked fields, of which no verdict is recorded; not judged.
    """

    days: int
    since: datetime
    unused: tuple[Unused, ...]
    judged: int
    young: int
    silent: int


@dataclass(frozen=True, slots=True)
class Reviewed:
    """When grants were reviewed last, and when they are to be again. `by` is "" where nobody ever did."""

    by: str
    at: datetime | None
    due_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        return self.due_at is not None and self.due_at <= now

    def is_soon(self, now: datetime) -> bool:
        return self.due_at is not None and self.due_at - SOON <= now


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
            if grant.effect == "deny":
                continue  # a deny is a guard: that nothing ran into it is what it is for
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


def reviewed() -> Reviewed:
    """Two queries. Nothing is due before there is a matrix."""
    last = Event.objects.filter(type="grants.reviewed").order_by("-id").first()
    if last is not None:
        person = User.objects.filter(pk=last.actor_ref).first()
        return Reviewed(person.display_name if person else "somebody unknown", last.at, last.at + EVERY)
    first = MatrixVersion.objects.order_by("number").values_list("created_at", flat=True).first()
    return Reviewed("", None, first + EVERY if first else None)


def record(actor: Actor, *, days: int, reason: str) -> Report:
    """Somebody looked at all grants: who, when, over how many days, what was unused then. Changes no right.

    Raises:
        Forbidden, NotFound: the actor may not edit the area "access". Recorded.
        Invalid: no reason.
    """
    why = stated(reason)

    def work() -> Report:
        hold_shared()
        require_area(actor, "edit", "access")
        matrix = live().matrix
        found = report(matrix, days)
        data = {"days": days, "judged": found.judged, "unused": len(found.unused), "number": matrix.number}
        draft = Draft("grants.reviewed", actor, data=data, payloads={"reason": canonical.dump(why)}, matrix=matrix.number)
        journal.append(Context(stream=STREAM, scope="access"), [draft], clock.db_now())
        return found

    return changing_rights(work, actor=actor, what="grants.review")  # changes none; a refusal is recorded the same way


def _standing_at(moment: datetime) -> set[tuple[str, str]]:
    """(role, capability) of every cell that let something through then. One query."""
    earlier = DocumentVersion.objects.filter(kind="Role", name=OuterRef("name"), created_at__lte=moment).order_by("-number")
    rows = DocumentVersion.objects.filter(kind="Role", number=Subquery(earlier.values("number")[:1]))
    return {
        (name, cell["capability"])
        for name, text in rows.values_list(F("name"), "document")
        for cell in canonical.parse(text)["spec"]["grants"]
        if cell["effect"] != "deny"
    }
