"""Writing to the outbox, inside the transaction of the event. Nothing is written where nothing could be sent."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from aegis.identity.models import User
from approvals.models import ApprovalRequest
from approvals.notices.models import Notice


def post(request: ApprovalRequest, kind: Notice.Kind, now: datetime, *, to: User | None = None) -> None:
    """Somebody shall hear of the event that was just appended to the request's stream; only `to`, if named."""
    if settings.TELLS_BY_MAIL or settings.TELLS_BY_WEBHOOK:
        Notice.objects.create(request=request, kind=kind, seq=request.seq, at=now, person=to)
