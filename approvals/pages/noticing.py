"""How a person wants to hear of requests, and what went to them lately."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from aegis.core.visibility import one_look
from aegis.identity.models import User
from approvals.alerts.models import Alert
from approvals.models import ApprovalRequest
from approvals.notices import givenup
from approvals.notices.audience import watches_access
from approvals.notices.models import Delivery, NoticePreference

SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
@one_look()
def notices_page(request: HttpRequest) -> HttpResponse:
    """A GET changes nothing; a POST keeps the choice."""
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    user, fault = request.user, ""
    if request.method == "POST":
        mode, hour = request.POST.get("mode", ""), request.POST.get("hour", "7")
        if mode in NoticePreference.Mode.values and hour.isascii() and hour.isdigit() and len(hour) < 3 and int(hour) < 24:
            NoticePreference.objects.update_or_create(person=user, defaults={"mode": mode, "hour": int(hour)})
            messages.success(request, "Kept.")
            return redirect("approvals:notices")
        fault = "Pick one, and an hour from 0 to 23"
    seen = Q(notice__request__in=ApprovalRequest.objects.visible_to(user)) | Q(notice__delegation__isnull=False)
    # Of emergencies the page says no more than that there was one; who lost sight of access is not reminded of those of others.
    seen |= Q(notice__taken_right__isnull=False) if watches_access(user) else Q(notice__taken_right__person=user)
    seen |= Q(notice__alert__in=Alert.objects.visible_to(user))
    seen |= Q(notice__telling__isnull=False)  # that there was one; what it said, the page of views does
    mine = Delivery.objects.filter(seen, person=user)
    context = {
        "chosen": NoticePreference.objects.filter(person=user).first() or NoticePreference(person=user),
        "modes": NoticePreference.Mode.choices,
        "hours": range(24),
        "fault": fault,
        "by_mail": settings.TELLS_BY_MAIL,
        "deliveries": mine.select_related("notice__request", "notice__alert").order_by("-due_at")[:SHOWN],
        "sees_given_up": givenup.may_look(user),
        "title": "Notifications",
    }
    return render(request, "approvals/notices.html", context, status=422 if fault else 200)
