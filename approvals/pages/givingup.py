"""The page of notices that were given up: why, and sending them again. What each may see and do is in `notices.givenup`."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from aegis.core.actors import user_actor
from aegis.core.errors import Forbidden, Invalid, NotFound
from aegis.core.visibility import groups_with, one_look
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals.notices import givenup
from approvals.notices.again import may_send as may_send_again
from approvals.notices.again import senders
from approvals.pages import words


@require_safe
@one_look()
def given_up_page(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    return _page(request, request.user)


@require_POST
def again(request: HttpRequest) -> HttpResponse:
    """All that the person may see, or the one that the form names."""
    assert isinstance(request.user, User)
    named = request.POST.get("one", "")
    try:
        only = UUID(named) if named else None
    except ValueError:
        raise NotFound from None
    actor = user_actor(request.user.pk, auth="session")
    try:
        count = givenup.send_again(actor=actor, reason=request.POST.get("reason", ""), only=only)
    except Invalid as error:
        return _page(request, request.user, fault="; ".join(f"The {one.where.strip('/')} {one.what}" for one in error.faults))
    if count:
        messages.success(request, f"{words.plural(count, 'notice')} {'goes' if count == 1 else 'go'} out again.")
    else:
        messages.info(request, "Nothing was left to send again: somebody did it already.")
    return redirect("approvals:given-up")


def _page(request: HttpRequest, user: User, *, fault: str = "") -> HttpResponse:
    if not givenup.may_look(user):
        givers = ", ".join(groups_with(area("audit"), "view")) or "nobody yet; an admin can grant it"
        raise Forbidden(f"Notices that were given up are shown to: {givers}", right="view (audit)", granted_by=givers)
    may_send = may_send_again(user)
    context = {
        "title": "Given up",
        "rows": givenup.listed(user),
        "may_send": may_send,
        "senders": "" if may_send else senders(),
        "most": givenup.MOST,
        "fault": fault,
    }
    return render(request, "approvals/given_up.html", context, status=422 if fault else 200)
