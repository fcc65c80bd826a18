"""What one person can act on now. The navigation, home and their tests count the same way."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from aegis.core import clock
from approvals.alerts import reading, seeing
from approvals.models import ApprovalRequest
from orchestration.engine.models import ReviewItem


def my_decisions(user: Any) -> QuerySet[ApprovalRequest]:
    """Open requests this person could vote on now: eligible in the stage voting, not bound, not voted."""
    return ApprovalRequest.objects.awaiting(user, clock.now())


def my_review_items(user: Any) -> QuerySet[ReviewItem]:
    """Open items of queues this person works on, and those he has claimed himself."""
    status = ReviewItem.Status
    workable = ReviewItem.objects.visible_to(user, "operate")
    return workable.filter(Q(status=status.OPEN) | Q(status=status.CLAIMED, claimed_by=user.pk))


def my_alerts(user: Any) -> int:
    """Alerts that fire and that this person could take on."""
    return reading.counted(user)["firing"] if seeing.may_act(user) else 0


def counts_of(request: HttpRequest) -> dict[str, int]:
    """Both counts, once per request."""
    known: dict[str, int] | None = getattr(request, "_aegis_counts", None)
    if known is None:
        known = {"approvals": my_decisions(request.user).count(), "queues": my_review_items(request.user).count()}
        request._aegis_counts = known  # type: ignore[attr-defined]
    return known
