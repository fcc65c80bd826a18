"""The page of a person's delegations: who decides in my place, in whose place I decide, giving one and ending one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from aegis.core import clock, refusals
from aegis.core.actors import user_actor
from aegis.core.errors import AegisError, Conflict, Fault, Invalid
from aegis.core.visibility import one_look
from aegis.identity.models import User
from approvals import delegations
from approvals.models import ApprovalPolicy, Delegation

MAX_SHOWN: Final = 100
MAX_COLLEAGUES: Final = 200
_FIELDS: Final = ("to", "from", "until", "policy", "capability", "reason")


@dataclass(frozen=True, slots=True)
class Lent:
    """One delegation as the page shows it.

    Attributes:
        state: "stands", "comes" or "over".
        until: its last day, or when it was taken back.
    """

    row: Delegation
    state: str
    until: datetime
    scope: str


@require_http_methods(["GET", "HEAD", "POST"])
def delegations_page(request: HttpRequest) -> HttpResponse:
    """Mine and those given to me; a POST gives one."""
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    if request.method != "POST":
        return _page(request, request.user)
    typed = {name: request.POST.get(name, "") for name in _FIELDS}
    try:
        row = delegations.delegate(
            to=_person(typed["to"]),
            starts_at=_day(typed["from"], "/starts_at"),
            ends_at=_day(typed["until"], "/ends_at") + timedelta(days=1),
            policy=typed["policy"],
            capability=typed["capability"].strip(),
            actor=user_actor(request.user.pk, auth="session"),
            reason=typed["reason"],
        )
    except Invalid as error:
        return _page(request, request.user, typed=typed, error=error)
    messages.success(request, f"{row.delegate.display_name} may decide in your place.")
    return redirect("approvals:delegations")


@require_POST
def end_delegation(request: HttpRequest, delegation_id: UUID) -> HttpResponse:
    """Take one back, or decline one. Refused, the page comes back and says why."""
    assert isinstance(request.user, User)
    try:
        delegations.end(delegation_id, actor=user_actor(request.user.pk, auth="session"), reason=request.POST.get("reason", ""))
    except (Invalid, Conflict) as error:
        return _page(request, request.user, error=error)
    messages.success(request, "Ended. It counts as never given: votes under it do not count where nothing is settled yet.")
    return redirect("approvals:delegations")


@one_look()
def _page(
    request: HttpRequest, user: User, *, typed: Mapping[str, str] | None = None, error: AegisError | None = None
) -> HttpResponse:
    rows = Delegation.objects.filter(Q(delegator=user) | Q(delegate=user)).select_related("delegator", "delegate")
    now = clock.now()
    shown = [_lent(row, user, now) for row in rows.order_by("-created_at", "pk")[:MAX_SHOWN]]
    groups = user.groups.values("pk")
    context = {
        "given": [one for one in shown if one.row.delegator_id == user.pk],
        "received": [one for one in shown if one.row.delegate_id == user.pk],
        "colleagues": _colleagues(user),
        "policies": ApprovalPolicy.objects.filter(groups__in=groups).distinct().order_by("name"),
        "capabilities": delegations.nameable_capabilities(user),
        "longest": delegations.LONGEST.days,
        "today": now.date().isoformat(),
        "typed": typed or {},
        "faults": {fault.where.strip("/"): fault.what for fault in error.faults} if error else {},
        "error": error,
        "title": "Delegations",
        "here": reverse("approvals:delegations"),
    }
    answer = render(request, "approvals/delegations.html", context, status=error.http_status if error else 200)
    return refusals.mark(answer, error) if error else answer


def _lent(row: Delegation, user: User, now: datetime) -> Lent:
    scope = _scope(row) or ("everything I may decide" if row.delegator_id == user.pk else "everything they may decide")
    if row.ended_at is not None:
        return Lent(row, "over", row.ended_at, scope)
    last = row.ends_at - timedelta(seconds=1)
    state = "over" if row.ends_at <= now else "comes" if row.starts_at > now else "stands"
    return Lent(row, state, last, scope)


def _scope(row: Delegation) -> str:
    parts = [f"policy {row.policy}" if row.policy else "", f"capability {row.capability}" if row.capability else ""]
    return " and ".join(part for part in parts if part)


def _colleagues(user: User) -> Sequence[User]:
    """Active people of the reader's groups. One query."""
    shared = User.objects.filter(is_active=True, groups__in=user.groups.values("pk")).exclude(pk=user.pk)
    return list(shared.distinct().order_by("first_name", "username")[:MAX_COLLEAGUES])


def _person(text: str) -> UUID:
    """
    Raises:
        Invalid: no such active person; the same for one who is not active.
    """
    named = User.objects.filter(username=text.strip(), is_active=True).values_list("pk", flat=True)
    found = None if "\x00" in text else named.first()  # PostgreSQL takes no such text, not even in a question
    if found is None:
        raise Invalid("This cannot be delegated", faults=[Fault("/to", "there is no such active person")])
    return found


def _day(text: str, where: str) -> datetime:
    """The beginning of a day in UTC.

    Raises:
        Invalid: it is no day.
    """
    try:
        return datetime.combine(date.fromisoformat(text.strip()), time(), UTC)
    except ValueError:
        raise Invalid("The days cannot be read", faults=[Fault(where, "must be a day, as 2026-11-23")]) from None
