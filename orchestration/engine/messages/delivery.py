"""Bringing messages and the runs that wait for them together.

Both sides look for the other after their own commit, so whoever comes second finds the first; the sweep looks too, for those
whose process died in between. One transaction delivers: it locks the run, takes its wait away, moves the message from `kept`
to `delivered` and writes the run's inbox. A run that gives up waiting at the same moment is behind it at the lock, sees that
it was told something, and counts that first (`commit.NewsFirst`).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from aegis.core import clock
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.bulk import as_stored
from aegis.core.db import in_transaction
from audit import journal
from audit.drafts import Context, Draft
from orchestration.engine import inbox
from orchestration.engine.messages.models import MessageWait, SentMessage
from orchestration.engine.messages.wants import Wants
from orchestration.engine.models import InboxItem
from orchestration.workflows.models import Workflow

log = structlog.get_logger(__name__)

#: Pairs that one pass of the sweep brings together.
STAGE = 200


def write(transitions: Sequence[Wants]) -> None:
    """Write the waits of these transitions. Inside the commit, after the run rows are moved."""
    for transition in transitions:
        if transition.stops_listening:
            MessageWait.objects.filter(run=transition.run_id).delete()
        if transition.listening is not None:
            _listen(transition)


def deliver(message: SentMessage) -> bool:
    """Hand a message that was just sent to the run that has waited longest for it."""
    for run_id in list(_waits_for(message).order_by("since", "run").values_list("run_id", flat=True)[:STAGE]):
        deliver_to(run_id)
        message.refresh_from_db()
        if message.status != SentMessage.Status.KEPT:
            break
    return message.status == SentMessage.Status.DELIVERED


def deliver_to(run_id: UUID) -> bool:
    """Hand a run the oldest message that is kept for what it waits for."""
    return in_transaction(lambda: _deliver_to(run_id))


def deliver_due() -> int:
    """Bring together what missed each other. Called by the sweep. Returns how many were delivered."""
    kept = _kept(OuterRef("name"), OuterRef("key"), OuterRef("workflow"))
    waiting = MessageWait.objects.filter(Exists(kept)).order_by("since", "run").values_list("run_id", flat=True)
    return sum(deliver_to(run_id) for run_id in list(waiting[:STAGE]))


def expire_due() -> int:
    """End messages that nobody waited for in time, on record. Called by the sweep. Returns how many."""
    due = SentMessage.objects.filter(status=SentMessage.Status.KEPT, ends_at__lte=clock.db_now()).order_by("ends_at")
    return sum(in_transaction(lambda pk=pk: _expire(pk)) for pk in list(due.values_list("pk", flat=True)[:STAGE]))  # type: ignore[misc]


def context_of(message: SentMessage, run_id: UUID | None = None) -> Context:
    """Seen by whoever sees the workflow; one to any workflow under the scope `system` until it is delivered."""
    scope = "workflow" if message.workflow_id else "system"
    scope_id = str(message.workflow_id) if message.workflow_id else ""
    return Context(stream=message.stream, scope=scope, scope_id=scope_id, run_id=run_id)


def _deliver_to(run_id: UUID) -> bool:
    run = inbox.lock_run(run_id)
    wait = MessageWait.objects.filter(run=run_id).first()
    if wait is None:
        return False  # it was told, or gave up, before we had the lock
    for message in _kept(wait.name, wait.key, wait.workflow_id).order_by("sent_at", "pk")[:STAGE]:
        if not _may_reach(message, wait.workflow_id):
            continue
        now = clock.db_now()
        delivered = SentMessage.objects.filter(pk=message.pk, status=SentMessage.Status.KEPT).update(
            status=SentMessage.Status.DELIVERED, run=run_id, settled_at=now
        )
        if not delivered:
            continue  # another run had it first
        message.workflow_id = run.workflow_id
        _append(message, Draft("message.delivered", SYSTEM, data={"message": message.name}, outcome="done"), run_id)
        wait.delete()
        inbox.post(run_id, InboxItem.Kind.MESSAGE, actor=_sender(message), ref=str(wait.wait), outcome=message.pk.hex)
        return True
    return False


def _expire(message_id: UUID) -> int:
    ended = SentMessage.objects.filter(pk=message_id, status=SentMessage.Status.KEPT).update(
        status=SentMessage.Status.EXPIRED, settled_at=clock.db_now()
    )
    if not ended:
        return 0  # delivered in the last moment
    message = SentMessage.objects.get(pk=message_id)
    _append(message, Draft("message.expired", SYSTEM, data={"message": message.name}, outcome="expired"))
    return 1


def _append(message: SentMessage, draft: Draft, run_id: UUID | None = None) -> None:
    """On the message's stream. Its row is locked: the caller has just updated it."""
    journal.append_to(message, context_of(message, run_id), [draft])
    SentMessage.objects.filter(pk=message.pk).update(seq=message.seq, head=message.head)


def _kept(name: object, key: object, workflow: object) -> QuerySet[SentMessage]:
    return SentMessage.objects.filter(
        Q(workflow=workflow) | Q(workflow=None), status=SentMessage.Status.KEPT, name=name, key=key, ends_at__gt=clock.db_now()
    )


def _waits_for(message: SentMessage) -> QuerySet[MessageWait]:
    waits = MessageWait.objects.filter(name=message.name, key=message.key)
    return waits.filter(workflow=message.workflow_id) if message.workflow_id else waits


def _may_reach(message: SentMessage, workflow_id: UUID) -> bool:
    """One that names no workflow reaches those whose runs its sender may start, as that is now."""
    return Workflow.objects.visible_to(message.sender, "start").filter(pk=workflow_id).exists()


def _sender(message: SentMessage) -> Actor:
    return user_actor(message.sender_id, auth=message.auth)


def _listen(transition: Wants) -> None:
    listening = transition.listening
    assert listening is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orchestration_messagewait (run_id, workflow_id, wait, step, name, key, since)"
            " SELECT id, workflow_id, %s, step, %s, %s, %s FROM orchestration_run WHERE id = %s"
            " ON CONFLICT (run_id) DO UPDATE SET wait = excluded.wait, step = excluded.step, name = excluded.name,"
            " key = excluded.key, since = excluded.since",
            [
                as_stored(listening.id),
                listening.name,
                listening.key,
                as_stored(transition.at),
                as_stored(transition.run_id),
            ],
        )
    transaction.on_commit(lambda: _deliver_robustly(transition.run_id), robust=True)


def _deliver_robustly(run_id: UUID) -> None:
    """A message may have been sent before the wait began."""
    wait = MessageWait.objects.filter(run=run_id).values_list("name", "key", "workflow_id").first()
    if wait is None or not _kept(*wait).exists():
        return
    try:
        deliver_to(run_id)
    except Exception:
        log.warning("message_not_delivered", run=str(run_id), exc_info=True)  # the sweep does
