"""Child runs in a commit: their rows, and the words between them and their parents.

A child is inserted in the commit of its parent that has `step.forked`; the commit that ends it writes the parent's inbox row.
Nobody counts on a row: a parent counts from its inbox, so no order, repetition or crash makes it count one twice or not at all.

Lock order: a commit that touches a family first locks all run rows it will touch, its own and those it tells, by id. Two
workers that end two children of one parent, or a parent that cancels a child while that one ends, then wait for each other,
never in a circle. Runs without a family pay nothing for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from aegis.core import wake
from aegis.core.actors import SYSTEM, Actor
from aegis.core.bulk import as_stored
from audit import chain, journal
from audit.chain import Line
from audit.drafts import Context, Head
from orchestration.engine import state as states
from orchestration.engine.children import telling
from orchestration.engine.children.wants import Child, Ended, Tell
from orchestration.engine.fold import fold
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.starting import insert
from orchestration.engine.state import State


@dataclass(frozen=True, slots=True)
class Kin:
    """What one run's transition wants of its family.

    Attributes:
        cancels: it ended in a way that leaves it unknown which children are under way: tell them all to end.
    """

    run_id: uuid.UUID
    subject: str
    at: datetime
    children: Sequence[Child] = ()
    tells: Sequence[Tell] = ()
    ended: Ended | None = None
    cancels: bool = False

    @property
    def is_any(self) -> bool:
        return bool(self.children or self.tells or self.ended or self.cancels)


@dataclass(frozen=True, slots=True)
class _Word:
    """An inbox row to be."""

    run_id: uuid.UUID
    kind: str
    actor: Actor
    at: datetime
    ref: str = ""
    outcome: str = ""


def lock(run_ids: Iterable[uuid.UUID], kin: Sequence[Kin]) -> None:
    """Lock the rows of a commit that has a family in it, before any is written. On SQLite the transaction is the lock."""
    if connection.vendor != "postgresql" or not any(one.is_any for one in kin):
        return
    told = {tell.run_id for one in kin for tell in one.tells} | {one.ended.parent_id for one in kin if one.ended}
    told |= {child for one in kin if one.cancels for child in _open_children(one.run_id)}
    ids = sorted({*run_ids, *told})
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM orchestration_run WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids])


def write(kin: Sequence[Kin]) -> None:
    """Insert the children and tell whom there is to tell, inside the commit, of runs that are still the worker's."""
    kin = [one for one in kin if one.is_any]
    if not kin:
        return
    _insert(kin)
    words = [word for one in kin for word in _words(one)]
    for run_id in sorted({word.run_id for word in words}):
        _post(run_id, [word for word in words if word.run_id == run_id])
    wake.nudge()


def is_above(other: uuid.UUID, run_id: uuid.UUID) -> bool:
    """Is `other` the parent of this run, or the parent of that one, and so on? One query per level."""
    parent: uuid.UUID | None = run_id
    while parent is not None and parent != other:
        parent = Run.objects.filter(pk=parent).values_list("parent_id", flat=True).first()
    return parent is not None


def _words(one: Kin) -> Iterable[_Word]:
    for tell in one.tells:
        yield _Word(tell.run_id, tell.kind, tell.actor, one.at)
    if one.cancels:
        told = {tell.run_id for tell in one.tells}
        for child in _open_children(one.run_id):
            if child not in told:
                yield _Word(child, InboxItem.Kind.CANCEL, SYSTEM, one.at)
    if one.ended:
        ref = telling.ref_of(one.ended, one.run_id)
        yield _Word(one.ended.parent_id, InboxItem.Kind.CHILD_ENDED, SYSTEM, one.at, ref, one.ended.outcome)


def _open_children(run_id: uuid.UUID) -> list[uuid.UUID]:
    return list(Run.objects.filter(parent_id=run_id).exclude(status__in=Run.TERMINAL).values_list("pk", flat=True))


def _post(run_id: uuid.UUID, words: Sequence[_Word]) -> None:
    """As `inbox.post`, many at once: raising `wake` locks the row, so ordinals are given in commit order."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orchestration_run SET wake = wake + %s WHERE id = %s RETURNING wake", [len(words), as_stored(run_id)]
        )
        [(last,)] = cursor.fetchall()
    InboxItem.objects.bulk_create(
        InboxItem(
            run_id=run_id,
            ordinal=last - len(words) + place,
            kind=word.kind,
            ref=word.ref,
            outcome=word.outcome,
            actor_kind=word.actor.kind,
            actor_ref=word.actor.ref,
            actor_auth=word.actor.auth,
            created_at=word.at,
        )
        for place, word in enumerate(words, start=1)
    )


def _insert(kin: Sequence[Kin]) -> None:
    """The rows of the children with their first lines."""
    parents = Run.objects.in_bulk([one.run_id for one in kin if one.children]) if any(one.children for one in kin) else {}
    salts = journal.new_salts()
    runs: list[Run] = []
    lines: list[Line] = []
    for one in kin:
        for child in one.children:
            run, sealed = _row(child, parents[one.run_id], one, salts)
            runs.append(run)
            lines += sealed
    if runs:
        insert(runs)
        journal.write(lines)


def _row(child: Child, parent: Run, one: Kin, salts: Any) -> tuple[Run, Sequence[Line]]:
    stream = f"run:{child.id}"
    state = fold(State(), stream=stream, seq=1, type=child.first.type, data=child.first.data)
    context = Context(
        stream=stream,
        scope="workflow",
        scope_id=str(child.release.workflow_id),
        run_id=child.id,
        subject=one.subject,
        trace=parent.trace_id,
        definition=child.release.digest,
    )
    lines, head = chain.seal(context, Head(), [child.first], one.at, salts)
    run = Run(
        id=child.id,
        workflow_id=child.release.workflow_id,
        release_id=child.release.id,
        subject_ref=parent.subject_ref,
        business_key=child.business_key or parent.business_key,
        requester_id=parent.requester_id,
        input_digest=child.input_digest or parent.input_digest,
        priority=parent.priority,
        status=state.status,
        step=state.step,
        state=states.dump(state),
        seq=head.seq,
        head=head.leaf,
        submitted_at=one.at,
        parent_id=parent.pk,
        lineage=_lineage(parent, child),
        trace=parent.trace_id,
        parent_step=child.step,
        parent_visit=child.visit,
        ordinal=child.ordinal,
    )
    return run, lines


def _lineage(parent: Run, child: Child) -> str:
    """What the parent's was, and the parent's own workflow where the child is of another one."""
    is_other = child.release.workflow_id != parent.workflow_id
    return " ".join([*parent.lineage.split(), *([str(parent.workflow_id)] if is_other else [])])
