"""Halts stop the clocks of what people were asked: requests neither expire nor are decided, review items are not late.

The sweep freezes and thaws in stages, each row in a transaction of its own; what it has not come to yet is caught where it
matters: deciding and expiring ask `halt_over` under the lock (port `Question.halted`). A clock stands from the moment of the
halt, however late the row was frozen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from aegis.core import clock, clock_text
from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from aegis.identity.authority import hold_shared
from approvals import gates
from approvals.models import ApprovalRequest
from approvals.questions import Halted
from audit.drafts import Draft
from orchestration.engine import inbox, reviews
from orchestration.engine.guards.models import Halt
from orchestration.engine.models import ReviewItem, Run
from orchestration.engine.world_port import Stood
from orchestration.workflows import releases
from orchestration.workflows.definition import ActStep, AgentStep

#: Rows of one kind that one pass changes.
STAGE: Final = 200

_OPEN_ITEMS = (ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED)


def keep(limit: int = STAGE) -> int:
    """Freeze what a halt covers, thaw what none covers any more. Called by the sweep. Returns how many rows changed."""
    halts = list(Halt.objects.filter(status=Halt.Status.STANDING).order_by("placed_at"))
    return (
        _freeze_requests(halts, limit) + _thaw_requests(halts, limit) + _freeze_items(halts, limit) + _thaw_items(halts, limit)
    )


def halt_over(request: ApprovalRequest) -> Halted | None:
    """The first halt that stands over a request of a run."""
    this = ApprovalRequest.objects.filter(pk=request.pk)
    for halt in Halt.objects.filter(status=Halt.Status.STANDING).order_by("placed_at"):
        if this.filter(_covered(halt)).exists():
            return Halted(str(halt.pk), max(halt.placed_at, request.opened_at))
    return None


def stood(workflows: Collection[str], agent_id: str, since: datetime, now: datetime) -> Stood:
    """How long halts over these workflows (ids), this agent or everything have stood between two moments, overlaps counted
    once."""
    scope = Q(scope=Halt.Scope.EVERYTHING) | Q(scope=Halt.Scope.WORKFLOW, target__in=workflows)
    if agent_id:
        scope |= Q(scope=Halt.Scope.AGENT, target=agent_id)
    halts = Halt.objects.filter(scope, Q(resumed_at__isnull=True) | Q(resumed_at__gt=since), placed_at__lt=now)
    seconds, reached, is_standing = 0.0, since, False
    for placed, resumed in halts.order_by("placed_at").values_list("placed_at", "resumed_at"):
        begin, end = max(placed, reached), min(resumed or now, now)
        seconds += max((end - begin).total_seconds(), 0.0)
        reached, is_standing = max(reached, end), is_standing or resumed is None
    return Stood(seconds, is_standing)


def _led_by(halt: Halt) -> QuerySet[Run]:
    """Runs of other workflows to which runs of the halted one led."""
    return Run.objects.filter(lineage__contains=halt.target)


def _covered(halt: Halt) -> Q:
    """The requests a halt covers, as a condition. A change of configuration is decided under any halt."""
    of_runs = Q(run_id__isnull=False)
    match halt.scope:
        case Halt.Scope.WORKFLOW:
            # Looked up run by run, by its key: of the open requests, which are few, and never of all runs.
            led = Exists(_led_by(halt).filter(pk=OuterRef("run_id")))
            return of_runs & (Q(scope="workflow", scope_id=halt.target) | Q(led))
        case Halt.Scope.AGENT:
            return of_runs & Q(agent=halt.name)
        case _:
            return of_runs


def _freeze_requests(halts: Sequence[Halt], limit: int) -> int:
    changed = 0
    for halt in halts:
        # A deadline that had passed before the halt has passed: it expires.
        due = ApprovalRequest.objects.filter(_covered(halt), status="open", deadline__gt=halt.placed_at)
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
            return Q(run__workflow=halt.target) | Q(run__lineage__contains=halt.target)
        case Halt.Scope.AGENT:
            steps = items.values_list("run__release_id", "step").distinct()
            found = Q(pk__in=[])
            for release_id, step in steps:
                if _agent_of(release_id, step) == halt.name:
                    found |= Q(run__release=release_id, step=step)
            return found
        case _:
            return Q(pk__isnull=False)


def _thaw_items(halts: Sequence[Halt], limit: int) -> int:
    frozen = ReviewItem.objects.filter(frozen_at__isnull=False)
    due = frozen
    for halt in halts:  # what stays frozen is left out here: a stage full of it would let nothing else thaw
        due = due.exclude(_covered_items(halt, frozen), status__in=_OPEN_ITEMS)
    stage = list(due.order_by("frozen_at").values_list("pk", flat=True)[:limit])
    return sum(in_transaction(lambda pk=pk: _thaw_item(pk)) for pk in stage)  # type: ignore[misc]  # bound now


def _over_item(halts: Sequence[Halt], item: ReviewItem) -> Halt | None:
    this = ReviewItem.objects.filter(pk=item.pk)
    return next((halt for halt in halts if this.filter(_covered_items(halt, this)).exists()), None)


def _agent_of(release_id: UUID, step_id: str) -> str:
    """The agent whose work the review items of a step are about; "" for a step of people or rules."""
    for scope in releases.load(release_id).definition.scopes():  # the step may be inside a block: ids are unique over all
        for step in scope.steps:
            if step.common.id == step_id:
                made_by = scope.step(step.source) if isinstance(step, ActStep) else step
                return made_by.agent if isinstance(made_by, AgentStep) else ""
    return ""


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
    reviews.record(
        item, Draft("review.frozen", SYSTEM, data={"halt": str(halt.pk), "since": clock_text.render(item.frozen_at)})
    )
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
    reviews.record(item, Draft("review.thawed", SYSTEM, data=data))
    item.save(update_fields=["due_at", "frozen_at", "seq", "head"])
    return 1


def _locked(item_id: UUID) -> ReviewItem | None:
    found = ReviewItem.objects.filter(pk=item_id).values_list("run_id", flat=True).first()
    if found is None:
        return None
    inbox.lock_run(found)
    return ReviewItem.objects.select_for_update(of=("self",)).select_related("run").filter(pk=item_id).first()
