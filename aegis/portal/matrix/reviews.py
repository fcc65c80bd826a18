"""Reviews of access: which roles are due and who reviews them, and the page on which a reviewer confirms or drops grants."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from aegis.core import clock
from aegis.core.actors import user_actor
from aegis.core.errors import AegisError, Forbidden, NotFound
from aegis.core.visibility import one_look
from aegis.identity.models import User
from aegis.portal.governed.editing import MAX_REASON
from aegis.portal.matrix import cells
from aegis.portal.matrix.cells import Cell
from aegis.portal.matrix.views import require_access
from approvals.models import ApprovalRequest
from orchestration.authority import confirming, reviewers, reviewing, role_reviews
from orchestration.authority.matrix import Matrix
from orchestration.authority.revealing import HANDLER as REVEALING
from orchestration.authority.reviewing import Use
from orchestration.authority.role_reviews import Standing
from orchestration.engine import explaining

#: What a passed due date came to, where nobody could be asked to drop what is unused; any other code is a refusal of lint.
_LAPSED: Final = {
    "all_used": "Every grant was used, so nothing is proposed.",
    "all_guarding": "What was unused limits what another role lets through, so it is not proposed.",
    "asked": "The proposal to drop what was unused is decided, or ran out.",
    "guarded_change": "No approval policy “config-change” asks two people, so nobody could be asked to drop what is unused.",
    "nobody_eligible": "Too few people may decide, so nobody could be asked to drop what is unused.",
    "change_invalid": "Dropping what is unused would break a rule or a scope test, so it is not proposed.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One role of the list.

    Attributes:
        tone, icon, word: how its date stands.
        is_linked: the reader may open the proposal that waits.
    """

    standing: Standing
    tone: str
    icon: str
    word: str
    lapsed: str
    may_review: bool
    is_linked: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One grant of the role under review.

    Attributes:
        state: "left", "confirmed" or "proposed".
        widens: what would become more allowed if it were dropped; "" if nothing.
        used: how it was used within the days between two reviews, in words; tone, icon beside it.
    """

    cell: Cell
    reason: str
    state: str
    tone: str
    icon: str
    used: str
    last_at: datetime | None
    widens: str = ""


@require_safe
@one_look()
def reviews_page(request: HttpRequest) -> HttpResponse:
    """Every role that the reader may see or review, the next due first."""
    user = cast(User, request.user)
    found = role_reviews.readable_by(user, role_reviews.of_all())
    if not found:
        require_access(request)
    now = clock.now()
    rows = _rows(user, found, now)
    if request.GET.get("show") == "due":
        rows = [row for row in rows if row.standing.is_soon(now)]
    context = {
        "title": "Reviews of access",
        "rows": rows,
        "is_due_only": request.GET.get("show") == "due",
        "due": sum(one.is_due(now) for one in found),
        "mine": sum(one.may_review(user) and one.is_soon(now) for one in found),
        "may_access": role_reviews.may_see_list(user),
    }
    return render(request, "portal/matrix_reviews.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def role_page(request: HttpRequest) -> HttpResponse:
    """One role under review; a post is the reviewer's word, on all that is listed or on one grant."""
    user = cast(User, request.user)
    given = request.POST if request.method == "POST" else request.GET
    name = given.get("role", "").replace("\x00", "")
    standing = role_reviews.readable(user, name)
    refused: AegisError | None = None
    reason = request.POST.get("reason", "").replace("\x00", "").strip()
    if request.method == "POST":
        try:
            return _settled(request, standing, reason)
        except (Forbidden, NotFound):
            raise
        except AegisError as error:
            refused = error
            with suppress(NotFound):
                standing = role_reviews.readable(user, name)
    with one_look():
        context = _context(user, standing) | {
            "ticked": set(request.POST.getlist("confirm")) if refused else set(standing.left),
            "reason": reason,
            "refused": refused,
        }
        return render(request, "portal/matrix_role_review.html", context, status=refused.http_status if refused else 200)


def _settled(request: HttpRequest, standing: Standing, reason: str) -> HttpResponse:
    user = cast(User, request.user)
    confirm, drop = _chosen(request)
    said = confirming.settle(
        standing.name,
        actor=user_actor(user.pk, auth="session"),
        reason=reason,
        seen=request.POST.get("seen", "")[:64],
        confirm=confirm,
        drop=drop,
        told=request.POST.getlist("told"),
    )
    told = [f"{len(confirm)} of {standing.name} confirmed."] if confirm else []
    if said.request is not None:
        told.append(f"{len(drop)} proposed to be dropped: others decide, nothing has changed yet.")
    if said.left:
        told.append(f"{len(said.left)} left.")
    messages.success(request, " ".join(told))
    if said.left:
        return redirect(f"{reverse('portal:matrix-role-review')}?{urlencode({'role': standing.name})}")
    return redirect(reverse("portal:matrix-reviews"))


def _chosen(request: HttpRequest) -> tuple[set[str], set[str]]:
    """What is confirmed and what dropped: one grant by its own button, else all that was listed, by its tick."""
    verb, _, one = request.POST.get("one", "").partition(" ")
    if one:
        return ({one}, set()) if verb == "confirm" else (set(), {one})
    ticked = set(request.POST.getlist("confirm"))
    return ticked, set(request.POST.getlist("listed")) - ticked


def _rows(user: User, found: list[Standing], now: datetime) -> list[Row]:
    asked = {one.request for one in found if one.request is not None}
    open_to = (
        set(ApprovalRequest.objects.visible_to(user).filter(pk__in=asked).values_list("pk", flat=True)) if asked else set()
    )
    return [Row(one, *_date_mark(one, now), _lapsed(one, now), one.may_review(user), one.request in open_to) for one in found]


def _date_mark(one: Standing, now: datetime) -> tuple[str, str, str]:
    if one.is_due(now):
        return "red", "alarm", "overdue"
    return ("amber", "clock", "soon") if one.is_soon(now) else ("grey", "clock", "later")


def _lapsed(one: Standing, now: datetime) -> str:
    """What came of a due date that has passed; "" while a proposal waits."""
    if not one.is_due(now) or one.lapsed_due != one.due_at or one.request is not None:
        return ""
    return _LAPSED.get(one.lapse_code, "Nobody could be asked to drop what is unused.")


def _context(user: User, standing: Standing) -> dict[str, Any]:
    matrix, now = cells.current(), clock.now()
    (row,) = _rows(user, [standing], now)
    days = standing.terms.every_days
    refusal = ""
    try:
        reviewers.require(user, standing.role, standing.seats, standing.terms)
    except (Forbidden, NotFound) as error:
        refusal = error.detail
    return {
        "title": f"Review of {standing.name}",
        "row": row,
        "standing": standing,
        "lines": _lines(matrix, standing, days),
        "days": days,
        "refusal": refusal,
        "agents": _agents(user, matrix, standing.name),
        "may_access": role_reviews.may_see_list(user),
        "max_reason": MAX_REASON,
    }


def _lines(matrix: Matrix, standing: Standing, days: int) -> list[Line]:
    used = reviewing.uses(clock.db_now() - timedelta(days=days))
    unused = {one.capability for one in reviewing.report(matrix, days).unused if one.role == standing.name}
    widens = confirming.widening(standing.role, standing.grants)
    return [
        Line(
            cells.cell(matrix, standing.name, name),
            str(grant.get("reason", "")),
            standing.state_of(name),
            *_used(matrix, name, used.get(f"{standing.name}/{name}"), days, is_unused=name in unused),
            widens.get(name, ""),
        )
        for name, grant in standing.grants.items()
    ]


def _used(matrix: Matrix, name: str, use: Use | None, days: int, *, is_unused: bool) -> tuple[str, str, str, datetime | None]:
    if use is not None:
        return "green", "check", f"{use.count:,} {'time' if use.count == 1 else 'times'}", use.last_at
    if is_unused:
        return "amber", "alert", f"not in {days} days", None
    known = matrix.capabilities.get(name)
    if known is not None and known.handler == REVEALING:
        return "grey", "minus", "looks are not counted", None
    return "grey", "clock", f"younger than {days} days", None


def _agents(user: User, matrix: Matrix, role: str) -> list[str]:
    """Agents with the role that the reader may see."""
    return sorted(entry.name for entry in explaining.as_seen(matrix, user).agents.values() if role in entry.roles)
