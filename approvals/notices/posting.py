"""Writing to the outbox, inside the transaction of the event. Nothing is written where nothing could be sent."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings

from aegis.identity.announcing import Occasion
from aegis.identity.models import TakenRight, User
from approvals.alerts.models import Alert
from approvals.models import ApprovalRequest, Delegation
from approvals.notices.models import Notice

_OF_EMERGENCIES: Final = {"taken": Notice.Kind.BROKEN_INTO, "ended": Notice.Kind.OVER, "late": Notice.Kind.UNREVIEWED}


def is_telling() -> bool:
    """Whether anything could be sent."""
    return bool(settings.TELLS_BY_MAIL or settings.TELLS_BY_WEBHOOK or settings.EMERGENCY_WEBHOOK_URL)


def tells_by_webhook(notice: Notice) -> bool:
    """Emergencies have an address of their own where one is set, else that of everything; what one person follows has none."""
    if notice.telling is not None:
        return False  # a person follows it for himself, and what it says is his to see
    return bool(settings.TELLS_BY_WEBHOOK or (notice.taken_right_id and settings.EMERGENCY_WEBHOOK_URL))


def post(request: ApprovalRequest, kind: Notice.Kind, now: datetime, *, to: User | None = None) -> None:
    """Somebody shall hear of the event that was just appended to the request's stream; only `to`, if named."""
    if is_telling():
        Notice.objects.create(request=request, kind=kind, seq=request.seq, at=now, person=to)


def post_delegation(row: Delegation, kind: Notice.Kind, now: datetime, *, to: User) -> None:
    """`to` shall hear what became of a delegation."""
    if is_telling():
        Notice.objects.create(delegation=row, kind=kind, at=now, person=to)


def post_alert(row: Alert, kind: Notice.Kind, now: datetime) -> Notice | None:
    """Who answers for the rule shall hear of the episodes that will name this notice."""
    return Notice.objects.create(alert=row, kind=kind, at=now) if is_telling() else None


def post_followed(telling: UUID, now: datetime, *, to: User) -> None:
    """`to` shall hear what is new in something he follows. Called by the source of `notices.followed`, where mail is sent."""
    Notice.objects.create(telling=telling, kind=Notice.Kind.FOLLOWED, at=now, person=to)


def post_emergency(row: TakenRight, occasion: Occasion, now: datetime) -> None:
    """All who watch over access, and who took it, shall hear of it. The port of `identity.announcing`."""
    if is_telling():
        Notice.objects.create(taken_right=row, kind=_OF_EMERGENCIES[occasion], at=now)
