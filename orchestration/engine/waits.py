"""The rows that wait for people, written inside a run's commit: approval requests and review items."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from aegis.core.actors import SYSTEM
from approvals import gates
from approvals.models import ApprovalPolicy
from orchestration.engine.intended import ItemOpening, Opening
from orchestration.engine.models import ReviewItem, ReviewQueue, Run
from orchestration.engine.separation import bound_people


def open_request(opening: Opening, *, run_id: UUID, workflow_id: UUID, requester_id: UUID | None, at: datetime) -> None:
    """Ask people what the run asks.

    Raises:
        NobodyEligible: nobody could decide it.
    """
    gates.open_request(
        request_id=opening.id,
        question=opening.question,
        subject=opening.subject,
        policy=ApprovalPolicy.objects.get(name=opening.policy),
        digest=opening.digest,
        risk=opening.risk,
        capability=opening.capability,
        agent=opening.agent,
        requester_id=requester_id,
        run_id=run_id,
        context_scope="workflow",
        scope_id=str(workflow_id),
        evidence=opening.evidence,
        at=at,
        actor=SYSTEM,
        bound=frozenset(_bound(opening, run_id, requester_id)),
    )


def _bound(opening: Opening, run_id: UUID, requester_id: UUID | None) -> set[str]:
    """Who cannot decide it. Whoever asked for it does not decide his own wish."""
    did = "effect.done" if opening.question == "rollback" else "step.completed"
    return {*bound_people(requester_id, opening.makers, opening.places, run_id, did=did), opening.asked_by} - {""}


def open_items(run_id: UUID, items: Sequence[ItemOpening], *, at: datetime) -> None:
    """Put the run's step into review queues; each item is due after its queue's service time."""
    queues = {queue.name: queue for queue in ReviewQueue.objects.filter(name__in=[item.queue for item in items])}
    ReviewItem.objects.bulk_create(
        ReviewItem(
            id=item.id,
            run=Run(pk=run_id),
            queue=queues[item.queue],
            step=item.step,
            visit=item.visit,
            code=item.code,
            contract=item.contract,
            choices=list(item.choices),
            skill=item.skill,  # also where the queue knows it no more: then it is nobody's and an alarm, never everybody's
            opened_at=at,
            due_at=at + queues[item.queue].service_time,
        )
        for item in items
    )


def close(run_id: UUID, *, at: datetime) -> None:
    """The run ended or moved on: nobody is asked any more."""
    gates.withdraw_for_run(run_id, actor=SYSTEM, reason="The run no longer asks", at=at)
    ReviewItem.objects.filter(run_id=run_id, status__in=[ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED]).update(
        status=ReviewItem.Status.CANCELLED, settled_at=at
    )
