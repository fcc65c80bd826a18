"""The page on which several requests are decided together: the diff of each, and a tick that can be taken away."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from aegis.core.errors import Invalid
from aegis.core.visibility import one_look
from aegis.identity import signins
from aegis.identity.models import User
from approvals import bulk
from approvals.models import ApprovalRequest, Decision
from approvals.pages import proving
from approvals.pages.detail import Detail, detail
from approvals.pages.inbox import Filters, waiting_for
from approvals.pages.words import plural

_VERDICTS = ("approve", "reject")


@dataclass(frozen=True, slots=True)
class Item:
    """One request on the page. `opened` marks when its digest was shown."""

    detail: Detail
    opened: str


@require_http_methods(["GET", "HEAD", "POST"])
def together(request: HttpRequest) -> HttpResponse:
    """What waits for the reader and may be decided together, in the order of the list; a POST decides what is ticked."""
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    if request.method == "POST":
        return _decide(request, request.user)
    return _page(request, request.user, Filters.of(request.GET))


@one_look()
def _page(
    request: HttpRequest, user: User, filters: Filters, *, reason: str = "", fault: str = "", status: int = 200
) -> HttpResponse:
    picked = set(request.GET.getlist("pick"))
    waiting = [row for row in waiting_for(user, filters) if not picked or str(row.pk) in picked]
    alone = bulk.alone_of(waiting, user)
    fit = [row for row in waiting if row.pk not in alone]
    items = [_item(user, row) for row in fit[: bulk.MAX_TOGETHER]]
    context = {
        "items": [item for item in items if item.detail.may_approve],
        "alone": len(waiting) - len(fit),
        "more": max(0, len(fit) - bulk.MAX_TOGETHER),
        "query": filters.query(),
        "reason": reason,
        "fault": fault,
        "title": "Decide together",
    }
    return render(request, "approvals/together.html", context, status=status)


def _item(user: User, row: ApprovalRequest) -> Item:
    shown = detail(user, row)
    return Item(shown, proving.opened(row, shown.shown_digest))


def _decide(request: HttpRequest, user: User) -> HttpResponse:
    filters = Filters.of(QueryDict(request.POST.get("query", "").lstrip("?")[:2000]))
    verdict, reason = request.POST.get("verdict", ""), request.POST.get("reason", "")
    seen = {}
    for text in request.POST.getlist("pick")[: bulk.MAX_TOGETHER]:
        try:
            picked = UUID(text)
        except ValueError:
            raise Invalid("This is no request") from None
        digest = request.POST.get(f"digest-{picked}", "")
        seen[picked] = (digest, proving.seconds_open(request.POST.get(f"opened-{picked}", ""), picked, digest))
    if fault := "" if seen else "Tick at least one request":
        return _page(request, user, filters, reason=reason, fault=fault, status=422)
    if verdict not in _VERDICTS or not reason.strip():
        return _page(request, user, filters, reason=reason, fault="Say why, for all of them", status=422)
    answers = bulk.decide_each(
        seen, person=user, auth="session", verdict=verdict, reason=reason, proved_at=signins.proved_at(request)
    )
    done = sum(answer.error is None for answer in answers)
    if done:
        messages.success(request, f"{Decision.Verdict(verdict).label.capitalize()}: {plural(done, 'request')}, each by itself.")
    for answer in answers:
        if answer.error is not None:
            messages.warning(request, f"{answer.label} was not decided: {answer.error}")
    return redirect(f"{reverse('approvals:inbox')}{filters.query()}")
