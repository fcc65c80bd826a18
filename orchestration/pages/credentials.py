"""Signing secrets of an agent: the card on its page, and the forms that issue and revoke. Rules are in the verbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from aegis.core import canonical, clock
from aegis.core.errors import Conflict, Invalid
from aegis.core.pages import safe_next
from approvals.pages.words import Mark
from orchestration.agents import alarms, credentials
from orchestration.agents.models import Agent, AgentCredential
from orchestration.pages.runs import actor_of, person_of

MAX_SHOWN: Final = 20
#: Days until a new secret ends, and days those valid now go on beside it ("" leaves them as they are).
LIFETIMES: Final = (30, 90, 180, 366)
OVERLAPS: Final = (
    ("7", "7 days more"),
    ("1", "1 day more"),
    ("30", "30 days more"),
    ("0", "not a moment longer"),
    ("", "as long as they would"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One secret, without it."""

    prefix: str
    mark: Mark
    by: str
    issued_at: datetime
    expires_at: datetime
    last_used_on: Any  # a date, or None
    is_valid: bool


@dataclass(frozen=True, slots=True)
class Card:
    """The signing secrets of one agent.

    Attributes:
        named: the secret of the environment that its document names as well; "" for none.
    """

    lines: tuple[Line, ...]
    named: str
    may_issue: bool
    is_full: bool

    @property
    def has_valid(self) -> bool:
        return any(line.is_valid for line in self.lines)


def card(agent: Agent, *, may_operate: bool) -> Card | None:
    """None for an agent whose calls are not signed. One query."""
    connector = canonical.parse(agent.document)["spec"]["connector"]
    if "http" not in connector:
        return None
    now = clock.now()
    rows = list(agent.credentials.select_related("issued_by").order_by("-created_at")[:MAX_SHOWN])
    lines = tuple(_line(row, now) for row in rows)
    valid = sum(line.is_valid for line in lines)
    return Card(lines, connector["http"].get("secret", ""), may_operate, valid >= credentials.MAX_LIVE)


@require_POST
@never_cache
@sensitive_variables()
def issue(request: HttpRequest, name: str) -> HttpResponse:
    """Issue one and show it, this once: nothing that is kept could show it again."""
    days, overlap = request.POST.get("days", ""), request.POST.get("others", "")
    back = safe_next(request, reverse("admin:orchestration_agent_changelist"))
    try:
        issued = credentials.issue(
            name,
            expires_at=clock.now() + timedelta(days=_number(days, "/days")),
            others_end_in=timedelta(days=_number(overlap, "/others")) if overlap else None,
            actor=actor_of(person_of(request)),
            reason=request.POST.get("reason", ""),
        )
    except (Invalid, Conflict) as error:
        faults = "; ".join(f"{fault.where.strip('/').replace('_', ' ')} {fault.what}" for fault in error.faults)
        messages.error(request, f"{error.detail}{f' ({faults})' if faults else ''}")
        return redirect(back)
    context = {"title": f"Signing secret of {name}", "name": name, "issued": issued, "back": back}
    return render(request, "agents/issued.html", context)


@require_POST
def revoke(request: HttpRequest, name: str, prefix: str) -> HttpResponse:
    try:
        is_new = credentials.revoke(name, prefix, actor=actor_of(person_of(request)), reason=request.POST.get("reason", ""))
        messages.success(request, f"The signing secret {prefix} is {'' if is_new else 'already '}revoked.")
    except (Invalid, Conflict) as error:
        messages.error(request, error.detail)
    return redirect(safe_next(request, reverse("admin:orchestration_agent_changelist")))


def _line(row: AgentCredential, now: datetime) -> Line:
    is_valid = row.revoked_at is None and row.expires_at > now
    if row.revoked_at is not None:
        mark = Mark("grey", "x-circle", "Revoked")
    elif row.expires_at <= now:
        mark = Mark("grey", "clock", "Ended")
    elif credentials.remade(row) is None:
        mark = Mark("red", "alert", "Cannot be made again")
    elif row.expires_at - now < alarms.SOON:
        mark = Mark("amber", "hourglass", "Ends soon")
    else:
        mark = Mark("green", "check-circle", "Signs")
    by = row.issued_by.display_name if row.issued_by else "AEGIS"
    return Line(row.prefix, mark, by, row.created_at, row.expires_at, row.last_used_on, is_valid)


def _number(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise Invalid(f"{where.strip('/')} must be a number of days")
    return int(text)
