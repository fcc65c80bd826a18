"""Halts stop the clocks of what people were asked: requests neither expire nor are decided, review items are not late.

The sweep freezes and thaws in stages, each row in a transaction of its own; what it has not come to yet is caught where it
matters: deciding and expiring ask `halt_over` under the lock (port `Question.halted`). A clock stands from the moment of the
halt, however late the row was frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from aegis.core import clock, clock_text
from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from aegis.identity.authority import hold_shared
from approvals import gates
from approvals.models import ApprovalRequest
from approvals.questions import Halted
from audit import journal
from audit.drafts import Context, Draft
from orchestration.engine import inbox
from orchestration.engine.guards.models import Halt
from orchestration.engine.models import ReviewItem
from orchestration.workflows import releases
from orchestration.workflows.definition import ActStep, AgentStep

#: Rows of one kind that one pass changes.
STAGE: Final = 200

_OPEN_ITEMS = (ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED)


def keep(limit: int = STAGE) -> int:
    """Freeze what a halt covers, thaw what none covers any more. Called by the sweep. Returns how many rows changed."""
    halts = list(Halt.objects.filter(status=Halt.Status.STANDING).order_by("placed_at"))
    return _freeze_requests(halts, limit) + _thaw_requests(halts, limit) + _freeze_items(halts, limit) + _thaw_items(limit)


def halt_over(request: ApprovalRequest) -> Halted | None:
    """The first halt that stands over a request of a run."""
    halts = Halt.objects.filter(status=Halt.Status.STANDING).order_by("placed_at")
    for halt in halts:
        if _covers_request(halt, request):
            return Halted(str(halt.pk), max(halt.placed_at, request.opened_at))
    return None


def _covers_request(halt: Halt, request: ApprovalRequest) -> bool:
    match halt.scope:
        case Halt.Scope.WORKFLOW:
            return request.scope == "workflow" and request.scope_id == halt.target
        case Halt.Scope.AGENT:
            return request.agent == halt.name
        case _:
            return request.run_id is not None  # a change of configuration is decided under any halt


def _covered(halt: Halt) -> Q:
    """The same as a condition on requests."""
    match halt.scope:
        case Halt.Scope.WORKFLOW:
            return Q(scope="workflow", scope_id=halt.target)
        case Halt.Scope.AGENT:
            return Q(agent=halt.name)
        case _:
            return Q(run_id__isnull=False)


def _freeze_requests(halts: Sequence[Halt], limit: int) -> int:
    changed = 0
    for halt in halts:
        # A deadline that had passed before the halt has passed: it expires.
        due = ApprovalRequest.objects.filter(_covered(halt), status="open", run_id__isnull=False, deadline__gt=halt.placed_at)
        for pk in list(due.order_by("deadline").values_list("pk", flat=True)[:limit]):
            changed += gates.freeze(pk)
    return changed


def _thaw_requests(halts: Sequence[Halt], limit: int) -> int:
    frozen = ApprovalRequest.objects.filter(status="frozen")
    for halt in halts:
        frozen = frozen.exclude(_covered(halt))
    return sum(gates.thaw(pk) for pk in list(frozen.order_by("frozen_at").values_list("pk", flat=True)[:limit]))


def _freeze_items(halts: Sequence[Halt], limit: int) -> int:
    if not halts:
        return 0
    items = ReviewItem.objects.filter(status__in=_OPEN_ITEMS, frozen_at__isnull=True)
    covered = Q(pk__in=[])
    for halt in halts:
        covered |= _covered_items(halt, items)
    due = items.filter(covered).order_by("due_at").values_list("pk", flat=True)[:limit]
    return sum(in_transaction(lambda pk=pk: _freeze_item(pk)) for pk in list(due))  # type: ignore[misc]  # bound now


def _covered_items(halt: Halt, items: QuerySet[ReviewItem]) -> Q:
    """The items a halt covers, as a condition. For an agent one look at the steps that have items open, which are few."""
    match halt.scope:
        case Halt.Scope.WORKFLOW:
            return Q(run__workflow=halt.target)
        case Halt.Scope.AGENT:
            steps = items.values_list("run__release_id", "step").distinct()
            found = Q(pk__in=[])
            for release_id, step in steps:
                if _agent_of(release_id, step) == halt.name:
                    found |= Q(run__release=release_id, step=step)
            return found
        case _:
            return Q(pk__isnull=False)


def _thaw_items(limit: int) -> int:
    frozen = ReviewItem.objects.filter(frozen_at__isnull=False).order_by("frozen_at").values_list("pk", flat=True)[:limit]
    return sum(in_transaction(lambda pk=pk: _thaw_item(pk)) for pk in list(frozen))  # type: ignore[misc]  # bound now


def _over_item(halts: Sequence[Halt], item: ReviewItem) -> Halt | None:
    for halt in halts:
        match halt.scope:
            case Halt.Scope.WORKFLOW:
                covers = str(item.run.workflow_id) == halt.target
            case Halt.Scope.AGENT:
                covers = _agent_of(item.run.release_id, item.step) == halt.name
            case _:
                covers = True
        if covers:
            return halt
    return None


def _agent_of(release_id: UUID, step_id: str) -> str:
    """The agent whose work the review items of a step are about; "" for a step of people or rules."""
    definition = releases.load(release_id).definition
    step = definition.step(step_id)
    if isinstance(step, ActStep):
        step = definition.step(step.source)
    return step.agent if isinstance(step, AgentStep) else ""


def _freeze_item(item_id: UUID) -> int:
    """Lock order: authority (a halt cannot be lifted meanwhile), run, item."""
    hold_shared()
    item = _locked(item_id)
    halts = list(Halt.objects.filter(status=Halt.Status.STANDING).order_by("placed_at"))
    if item is None or item.frozen_at is not None or item.status not in _OPEN_ITEMS:
        return 0
    halt = _over_item(halts, item)
    if halt is None:
        return 0
    item.frozen_at = max(halt.placed_at, item.opened_at)
    _record(item, Draft("review.frozen", SYSTEM, data={"halt": str(halt.pk), "since": clock_text.render(item.frozen_at)}))
    item.save(update_fields=["frozen_at", "seq", "head"])
    return 1


def _thaw_item(item_id: UUID) -> int:
    hold_shared()
    item = _locked(item_id)
    if item is None or item.frozen_at is None:
        return 0
    if item.status not in _OPEN_ITEMS:  # settled while its clock stood
        item.frozen_at = None
        item.save(update_fields=["frozen_at"])
        return 1
    if _over_item(list(Halt.objects.filter(status=Halt.Status.STANDING)), item) is not None:
        return 0
    now = clock.db_now()
    stood = max(now - item.frozen_at, timedelta(0))
    item.due_at, item.frozen_at = item.due_at + stood, None
    data = {"seconds": int(stood.total_seconds()), "due": clock_text.render(item.due_at)}
    _record(item, Draft("review.thawed", SYSTEM, data=data))
    item.save(update_fields=["due_at", "frozen_at", "seq", "head"])
    return 1


def _locked(item_id: UUID) -> ReviewItem | None:
    found = ReviewItem.objects.filter(pk=item_id).values_list("run_id", flat=True).first()
    if found is None:
        return None
    inbox.lock_run(found)
    return ReviewItem.objects.select_for_update(of=("self",)).select_related("run").filter(pk=item_id).first()


def _record(item: ReviewItem, draft: Draft) -> None:
    context = Context(
        stream=item.stream,
        scope="workflow",
        scope_id=str(item.run.workflow_id),
        run_id=item.run_id,
        subject=str(item.run.subject_ref),
    )
    journal.append_to(item, context, [draft])
