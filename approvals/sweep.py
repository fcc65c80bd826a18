"""What time does to a request before its deadline: reminders and escalations, each once. Time never approves.

The sweep lists what is due and looks again under the locks, so that several sweeps, deciders and halts meet row by row: who
comes second finds the count raised, and a process killed in between leaves the row due. A frozen request is not open.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from aegis.core import clock
from aegis.core.db import in_transaction
from approvals import docket, holding, rowwise, timers
from approvals.models import ApprovalRequest
from approvals.policies import Policy

PUT_OFF: Final = timedelta(minutes=1)  # until one that failed is tried again


def keep_due(limit: int = 100) -> int:
    """Remind and escalate what is due. Called by the housekeeping of every worker. Returns how many requests moved."""
    due = ApprovalRequest.objects.filter(status="open", next_at__lte=clock.db_now()).order_by("next_at")
    return rowwise.each(list(due.values_list("pk", flat=True)[:limit]), keep, failed=_put_off)


def keep(request_id: UUID) -> bool:
    """Remind and escalate one request as far as it is due. False if there was nothing to do."""
    return in_transaction(lambda: _keep(request_id))


def _put_off(request_id: UUID) -> None:
    """One that fails is tried again later, so that it does not stay the first for ever and keep the page from the others."""
    ApprovalRequest.objects.filter(pk=request_id, status="open").update(next_at=clock.db_now() + PUT_OFF)


def _keep(request_id: UUID) -> bool:
    question, request = holding.hold(request_id)
    now = clock.db_now()
    # Read again under the lock: another sweep, a decision or a halt may have come between the list and here.
    if request.status != "open" or request.next_at is None or request.next_at > now or request.deadline <= now:
        return False
    if holding.freeze_if_halted(request, question, now):
        return False
    policy = holding.rebind_if_policy_moved(request, question, now)
    moved = _escalate(request, policy, now) | _remind(request, policy, now)
    docket.set_timer(request, policy)
    return moved


def _escalate(request: ApprovalRequest, policy: Policy, now: datetime) -> bool:
    moved = False
    while timers.is_escalation_due(
        policy, stage=request.stage, since=request.stage_since, escalated=request.escalated, now=now
    ):
        docket.escalate(request, policy, now)
        moved = True
    return moved


def _remind(request: ApprovalRequest, policy: Policy, now: datetime) -> bool:
    due = timers.reminders_due(policy, deadline=request.deadline, reminded=request.reminded, now=now)
    if due == request.reminded:
        return False
    docket.remind(request, policy, due, now)
    return True
