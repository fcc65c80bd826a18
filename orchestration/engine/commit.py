"""The commit: one transaction per transition of a run (DESIGN promises 1, 2, 5). Hot path.

Events, the run row, and the rows that wait (requests, review items, record versions) stand together or not at all. The
`UPDATE` that matches fence and stream position *is* the check that this worker still holds the run.

Lock order: authority, run, requests and items, records. The run's stream needs no lock: its head is on the run row.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from aegis.core.actors import SYSTEM
from aegis.core.db import in_transaction
from aegis.identity import authority
from approvals import gates
from approvals.errors import NobodyEligible
from approvals.models import ApprovalPolicy
from audit import chain, journal
from audit.drafts import Context, Draft, Head
from orchestration.engine import state as states
from orchestration.engine.models import InboxItem, ReviewItem, ReviewQueue, Run
from orchestration.engine.questions import bound_people
from orchestration.engine.scene import ItemOpening, Opening, Patch
from orchestration.engine.state import State
from orchestration.records import store


@dataclass(frozen=True, slots=True)
class Transition:
    """Everything one turn of one run wants to make durable.

    Attributes:
        seen: inbox ordinal up to which everything is consumed.
        has_read: messages were consumed; what people typed in them is now in the events' payloads.
        keeps_lease: a call was intended, its answer belongs to this worker.
        epoch: authority epoch the verdicts and intents were computed under; None if there are none.
    """

    run_id: uuid.UUID
    workflow_id: uuid.UUID
    requester_id: uuid.UUID | None
    fence: int
    head: Head
    state: State
    drafts: Sequence[Draft]
    context: Context
    seen: int
    at: datetime
    due_at: datetime | None
    keeps_lease: bool
    has_read: bool
    lease: timedelta
    epoch: int | None = None
    openings: Sequence[Opening] = ()
    items: Sequence[ItemOpening] = ()
    patches: Sequence[Patch] = ()
    closes_waits: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """It stands. `wake` is the run's counter as of the commit: greater than `seen` means unread messages."""

    head: Head
    wake: int


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """Another worker holds the run (or somebody stopped us and time ran out); nothing was written."""


@dataclass(frozen=True, slots=True)
class EpochMoved:
    """Rights changed since the verdict was computed: compute again. Nothing was written."""


@dataclass(frozen=True, slots=True)
class RecordMoved:
    """A local effect lost its compare-and-set. Nothing was written."""


@dataclass(frozen=True, slots=True)
class NobodyToAsk:
    """A gate was refused because nobody could decide it. Nothing was written."""

    policy: str


Outcome = Committed | LeaseLost | EpochMoved | RecordMoved | NobodyToAsk


class _Drop(Exception):
    """Roll back and answer with `outcome`."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def commit(batch: Sequence[Transition]) -> list[Outcome]:
    """Commit transitions; equal to committing each alone (batches are an optimisation, and K = 1 for now).

    Raises:
        Unavailable: the database stayed busy through all retries.
    """
    return [_commit_one(transition) for transition in batch]


def _commit_one(transition: Transition) -> Outcome:
    try:
        return in_transaction(lambda: _write(transition))
    except _Drop as drop:
        return drop.outcome


def _write(transition: Transition) -> Committed:
    if transition.epoch is not None and authority.hold_shared() != transition.epoch:
        raise _Drop(EpochMoved())
    lines, head = chain.seal(transition.context, transition.head, transition.drafts, transition.at, journal.new_salts())
    wake = _move_run(transition, head)
    if transition.closes_waits:
        _close_waits(transition)
    for opening in transition.openings:
        _open_request(transition, opening)
    if transition.items:
        _open_items(transition)
    for patch in transition.patches:
        if not store.compare_and_set(
            patch.record.type,
            patch.record.key,
            expected_version=patch.record.version,
            body=patch.body,
            effect_key=patch.effect_key,
            run_id=transition.run_id,
            at=transition.at,
        ):
            raise _Drop(RecordMoved())
    journal.write(lines)
    return Committed(head=head, wake=wake)


def _move_run(transition: Transition, head: Head) -> int:
    """The fenced write. Returns `wake`; drops the transition if the run is no longer ours."""
    state = transition.state
    until = transition.at + transition.lease if transition.keeps_lease else None
    moment = connection.ops.adapt_datetimefield_value
    native = connection.features.has_native_uuid_field
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orchestration_run SET state = %s, status = %s, step = %s, seq = %s, head = %s, seen = %s,"
            " due_at = %s, lease_until = %s, claims_since_commit = 0, ended_at = %s"
            " WHERE id = %s AND fence = %s AND seq = %s RETURNING wake",
            [
                states.dump(state),
                state.status,
                state.step,
                head.seq,
                head.leaf,
                transition.seen,
                moment(transition.due_at) if transition.due_at else None,
                moment(until) if until else None,
                moment(transition.at) if state.is_ended else None,
                transition.run_id if native else transition.run_id.hex,
                transition.fence,
                transition.head.seq,
            ],
        )
        row = cursor.fetchone()
    if row is None:
        raise _Drop(LeaseLost())
    if transition.has_read:
        InboxItem.objects.filter(run_id=transition.run_id, ordinal__lte=transition.seen).exclude(reason="").update(reason="")
    wake: int = row[0]
    return wake


def _close_waits(transition: Transition) -> None:
    """The run ended or moved on: nobody is asked any more."""
    gates.withdraw_for_run(transition.run_id, actor=SYSTEM, reason="The run no longer asks", at=transition.at)
    ReviewItem.objects.filter(run_id=transition.run_id, status__in=[ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED]).update(
        status=ReviewItem.Status.CANCELLED, settled_at=transition.at
    )


def _open_request(transition: Transition, opening: Opening) -> None:
    try:
        gates.open_request(
            request_id=opening.id,
            question=opening.question,
            subject=opening.subject,
            policy=ApprovalPolicy.objects.get(name=opening.policy),
            digest=opening.digest,
            risk=opening.risk,
            capability=opening.capability,
            agent=opening.agent,
            requester_id=transition.requester_id,
            run_id=transition.run_id,
            context_scope="workflow",
            scope_id=str(transition.workflow_id),
            evidence=opening.evidence,
            at=transition.at,
            actor=SYSTEM,
            bound=frozenset(bound_people(transition.requester_id, opening.agent, opening.places)),
        )
    except NobodyEligible:
        raise _Drop(NobodyToAsk(opening.policy)) from None


def _open_items(transition: Transition) -> None:
    queues = {queue.name: queue for queue in ReviewQueue.objects.filter(name__in=[item.queue for item in transition.items])}
    ReviewItem.objects.bulk_create(
        ReviewItem(
            id=item.id,
            run=Run(pk=transition.run_id),
            queue=queues[item.queue],
            step=item.step,
            visit=item.visit,
            code=item.code,
            contract=item.contract,
            choices=list(item.choices),
            opened_at=transition.at,
            due_at=transition.at + queues[item.queue].service_time,
        )
        for item in transition.items
    )
