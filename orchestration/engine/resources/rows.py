"""Taking, letting go and granting of resources, as rows.

A run takes a free resource in the commit of the intent that needs it; the primary key lets one of two through. A run that has
to wait writes its place in the queue in the commit that says so. Whoever lets go grants the resource to the first in the queue,
right after the commit; should that worker die, or should the queue have been empty a moment too early, the sweep finds a free
resource with somebody waiting. So no wake-up can be lost.

Lock order: runs, then resources by key. Granting never waits for a run: who is in a commit now is granted at the next sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.core.bulk import as_stored
from aegis.core.db import in_transaction
from orchestration.engine import inbox
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.resources.models import Resource, ResourceWait
from orchestration.engine.resources.wants import Wants

log = structlog.get_logger(__name__)


class Taken(Exception):
    """Somebody else got the resource first. Nothing may stand of the whole transaction."""


def write(transitions: Sequence[Wants]) -> None:
    """Write what these transitions have to do with resources. Inside the commit, after the run rows are moved.

    Raises:
        Taken
    """
    # Also what is taken and let go in one turn is taken: the row is what says that nobody else had it.
    for transition in sorted((one for one in transitions if one.claims), key=lambda one: one.claims):
        if not _insert(transition.claims, transition.run_id, transition.at):
            raise Taken
    for transition in transitions:
        if transition.lets_go:
            _let_go(transition.run_id)
        if transition.queueing is not None:
            _queue(transition)


def holder(key: str, run_id: UUID) -> str:
    """See `World.holder`. Two queries at most, and only in workflows that claim something."""
    held = Resource.objects.filter(key=key).values_list("run_id", flat=True).first()
    if held is not None:
        return "" if held == run_id else str(held)
    waiting = ResourceWait.objects.filter(key=key).exclude(run=run_id).order_by("priority", "submitted_at", "run")
    first = waiting.values_list("run_id", flat=True).first()
    return str(first) if first else ""


def grant_due() -> int:
    """Grant every resource that is free while somebody waits for it. Called by the sweep. Returns how many."""
    held = Resource.objects.filter(key=OuterRef("key"))
    keys = ResourceWait.objects.filter(~Exists(held)).order_by("key").values_list("key", flat=True).distinct()
    return sum(grant(key) for key in list(keys))


def grant(key: str) -> int:
    """Give a free resource to the first who waits for it. 1 if it was given."""
    return in_transaction(lambda: _grant(key))


def _grant(key: str) -> int:
    first = ResourceWait.objects.filter(key=key).order_by("priority", "submitted_at", "run").first()
    if first is None or Resource.objects.filter(key=key).exists():
        return 0
    # The holder of this run may be in a commit that gives up waiting: what is locked is looked at again by the next sweep.
    rows = Run.objects.filter(pk=first.run_id)
    if connection.vendor == "postgresql":
        rows = rows.select_for_update(skip_locked=True)
    place = ResourceWait.objects.filter(pk=first.pk, wait=first.wait)
    if rows.first() is None or not place.exists() or not _insert(key, first.run_id, clock.db_now()):
        return 0  # it gave up waiting, or somebody took it meanwhile: the place in the queue is kept
    place.delete()
    inbox.post(first.run_id, InboxItem.Kind.RESOURCE_GRANTED, actor=SYSTEM, ref=str(first.wait))
    return 1


def _insert(key: str, run_id: UUID, at: object) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orchestration_resource (key, run_id, since) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING key",
            [key, as_stored(run_id), as_stored(at)],
        )
        return cursor.fetchone() is not None


def _queue(transition: Wants) -> None:
    queueing = transition.queueing
    assert queueing is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orchestration_resourcewait (run_id, key, wait, priority, submitted_at, since)"
            " SELECT id, %s, %s, priority, submitted_at, %s FROM orchestration_run WHERE id = %s"
            " ON CONFLICT (run_id) DO UPDATE SET key = excluded.key, wait = excluded.wait, since = excluded.since",
            [queueing.resource, as_stored(queueing.id), as_stored(transition.at), as_stored(transition.run_id)],
        )
    # It may have come free between the look and this commit; whoever let go saw no queue then.
    transaction.on_commit(lambda: _grant_robustly(queueing.resource), robust=True)


def _let_go(run_id: UUID) -> None:
    ResourceWait.objects.filter(run=run_id).delete()
    keys = list(Resource.objects.filter(run=run_id).values_list("key", flat=True))
    Resource.objects.filter(run=run_id).delete()
    for key in keys:
        transaction.on_commit(lambda key=key: _grant_robustly(key), robust=True)  # type: ignore[misc]  # bound now


def _grant_robustly(key: str) -> None:
    try:
        grant(key)
    except Exception:
        log.warning("resource_not_granted", exc_info=True)  # the sweep does
