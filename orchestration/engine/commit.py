"""The commit: one transaction for the transitions of many runs (DESIGN promises 1, 2, 5). Hot path, so plain SQL.

Events, the run row, and the rows that wait (requests, review items, record versions, counters) stand together or not at all.
The `UPDATE` that matches fence and stream position *is* the check that this worker still holds the run.

Sharing a commit is an optimisation (docs/adr/0013): `commit([a, b])` equals `commit([a])`, then `commit([b])`. A transition
whose lease is lost is left out of the shared transaction. If another one loses or breaks, nothing of the batch stands and each
is committed alone.

Lock order: authority, runs (with those of their families that are told something, `children.rows.lock`), requests and items,
resources, records, counters. A run's stream needs no lock: its head is on the run row.
"""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

from aegis.core.bulk import Rows, Type, read_uuid
from aegis.core.db import in_transaction
from aegis.core.errors import Unavailable
from aegis.core.faults import crash_point
from aegis.core.logs import kind_of
from aegis.identity import authority
from approvals.errors import NobodyEligible
from audit import chain, journal
from audit.chain import Line
from audit.drafts import Context, Draft, Head
from audit.models import Event
from orchestration.engine import state as states
from orchestration.engine import waits
from orchestration.engine.children import rows as children
from orchestration.engine.children.rows import Kin
from orchestration.engine.guards import counting as guards
from orchestration.engine.guards.asking import Mark, Take
from orchestration.engine.intended import ItemOpening, Listening, Opening, Patch, Queueing
from orchestration.engine.messages import delivery as messages
from orchestration.engine.models import InboxItem
from orchestration.engine.resources import rows as resources
from orchestration.engine.state import ENDINGS, State
from orchestration.records import store

log = structlog.get_logger(__name__)

#: The database is away, not the run at fault.
DATABASE_GONE = (OperationalError, InterfaceError, Unavailable)


@dataclass(frozen=True, slots=True)
class Transition:
    """Everything one turn of one run wants to make durable.

    Attributes:
        seen: inbox ordinal up to which everything is consumed.
        has_read: messages were consumed; what people typed in them is now in the events' payloads.
        keeps_lease: a call was intended, its answer belongs to this worker.
        is_by_time: something is given up because time passed; what reached the run before it comes first.
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
    takes: Sequence[Take] = ()
    marks: Sequence[Mark] = ()
    is_by_time: bool = False
    listening: Listening | None = None
    stops_listening: bool = False
    claims: str = ""
    queueing: Queueing | None = None
    lets_go: bool = False
    kin: Kin | None = None


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


@dataclass(frozen=True, slots=True)
class NewsFirst:
    """Something had reached the run before its time was up: that is to be read first. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Writing it failed in a way that no rule foresaw, alone too. Nothing was written; the run is to be set before people."""

    detail: str


Outcome = Committed | LeaseLost | EpochMoved | RecordMoved | NobodyToAsk | NewsFirst | Broken


class _Drop(Exception):
    """Roll back and answer with `outcome`."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A transition with its lines. Sealing needs no database, so it happens before the transaction begins."""

    transition: Transition
    lines: Sequence[Line]
    head: Head


def commit(batch: Sequence[Transition]) -> list[Outcome]:
    """Commit transitions of different runs; equal to committing each alone, in this order.

    Raises:
        DATABASE_GONE: the database is away or stayed busy through all retries; nothing of what was not answered stands.
    """
    if len(batch) > 1 and len({transition.run_id for transition in batch}) == len(batch):
        try:
            sealed = [_seal(transition) for transition in batch]
            return _in_transaction(sealed)
        except _Drop:
            pass  # one of them lost a race
        except DATABASE_GONE:
            raise
        except Exception as error:
            log.warning("batch_broken", runs=len(batch), error=kind_of(error))
    return [_alone(transition) for transition in batch]


def _alone(transition: Transition) -> Outcome:
    try:
        return _in_transaction([_seal(transition)])[0]
    except _Drop as drop:
        return drop.outcome
    except DATABASE_GONE:
        raise
    except Exception:
        log.exception("transition_broken", run=str(transition.run_id))
        return Broken(traceback.format_exc(limit=8))


def _seal(transition: Transition) -> _Sealed:
    lines, head = chain.seal(transition.context, transition.head, transition.drafts, transition.at, journal.new_salts())
    return _Sealed(transition, lines, head)


def _in_transaction(batch: Sequence[_Sealed]) -> list[Outcome]:
    if connection.in_atomic_block:  # a test's transaction: what is dropped must still be undone
        with transaction.atomic():
            return _write(batch)
    return in_transaction(lambda: _write(batch))


def _write(batch: Sequence[_Sealed]) -> list[Outcome]:
    stale = _stale(batch)
    family = [sealed.transition.kin for sealed in batch if sealed.transition.kin is not None]
    children.lock((sealed.transition.run_id for sealed in batch), family)
    wakes = _move_runs([sealed for sealed in batch if sealed.transition.run_id not in stale])
    crash_point("runs_moved")
    held = [sealed for sealed in batch if sealed.transition.run_id in wakes]
    if any(sealed.transition.is_by_time and wakes[sealed.transition.run_id] > sealed.transition.seen for sealed in held):
        raise _Drop(NewsFirst())  # the run's row is locked now, so nothing else can come before
    children.write([sealed.transition.kin for sealed in held if sealed.transition.kin is not None])
    _write_waits([sealed.transition for sealed in held])
    crash_point("waits_written")
    journal.write([line for sealed in held for line in sealed.lines])
    crash_point("journal_written")
    return [_outcome(sealed, wakes, stale) for sealed in batch]


def _outcome(sealed: _Sealed, wakes: dict[uuid.UUID, int], stale: set[uuid.UUID]) -> Outcome:
    if sealed.transition.run_id in stale:
        return EpochMoved()
    wake = wakes.get(sealed.transition.run_id)
    return LeaseLost() if wake is None else Committed(head=sealed.head, wake=wake)


def _stale(batch: Sequence[_Sealed]) -> set[uuid.UUID]:
    """Runs whose verdicts or intents were computed under another epoch. Holds the authority lock shared from here on."""
    asked = [sealed.transition for sealed in batch if sealed.transition.epoch is not None]
    if not asked:
        return set()
    epoch = authority.hold_shared()
    return {transition.run_id for transition in asked if transition.epoch != epoch}


def _write_waits(transitions: Sequence[Transition]) -> None:
    """What waits beside the runs, kind by kind, as the lock order wants it."""
    for transition in transitions:
        if transition.has_read:
            _forget_reasons(transition)
        if transition.closes_waits:
            waits.close(transition.run_id, at=transition.at)
    for transition in transitions:
        for opening in transition.openings:
            _open_request(transition, opening)
        if transition.items:
            waits.open_items(transition.run_id, transition.items, at=transition.at)
    try:
        resources.write(transitions)
    except resources.Taken:
        raise _Drop(EpochMoved()) from None
    messages.write(transitions)
    _change_records(transitions)
    try:
        guards.write(*transitions)
    except guards.Moved:  # a probe, a slot or the last of a rate went to somebody else
        raise _Drop(EpochMoved()) from None


def _move_runs(batch: Sequence[_Sealed]) -> dict[uuid.UUID, int]:
    """The fenced write. Run id -> `wake` of those that are still ours; a run that is missing was taken by somebody else."""
    if not batch:
        return {}
    rows = [_row(sealed) for sealed in sorted(batch, key=lambda sealed: sealed.transition.run_id.bytes)]
    with connection.cursor() as cursor:
        cursor.execute(_MOVE.format(rows=_ROWS.source(), returned=_RETURNED[connection.vendor]), [_ROWS.param(rows)])
        return {read_uuid(run_id): wake for run_id, wake in cursor.fetchall()}


_SET: dict[str, Type] = {
    "state": "text", "status": "text", "step": "text", "seq": "int", "head": "text", "seen": "int", "due_at": "timestamptz",
    "ended_at": "timestamptz",
}  # fmt: skip
_ROWS = Rows({"id": "uuid", "fence": "int", "old": "int", "lease_until": "timestamptz", "long_enough": "timestamptz", **_SET})
_MOVE = (
    f"UPDATE orchestration_run AS r SET {', '.join(f'{name} = v.{name}' for name in _SET)}, claims_since_commit = 0,"
    # A lease that is long enough stays as it is: while no indexed column changes, PostgreSQL writes the new row beside the old
    # one and none of the table's indexes (HOT).
    " lease_until = CASE WHEN r.lease_until >= v.long_enough THEN r.lease_until ELSE v.lease_until END"
    " FROM {rows} WHERE r.id = v.id AND r.fence = v.fence AND r.seq = v.old RETURNING {returned}"
)

_LONG_ENOUGH = 2 / 3  # of a lease; the driver renews all it holds once in a third

_RETURNED = {"postgresql": "r.id, r.wake", "sqlite": "id, wake"}  # SQLite knows no alias here, PostgreSQL two ids


def _row(sealed: _Sealed) -> tuple[Any, ...]:
    """In the order of `_ROWS`."""
    transition, state = sealed.transition, sealed.transition.state
    keeps = transition.keeps_lease
    return (
        transition.run_id,
        transition.fence,
        transition.head.seq,
        transition.at + transition.lease if keeps else None,
        transition.at + transition.lease * _LONG_ENOUGH if keeps else None,
        states.dump(state),
        state.status,
        state.step,
        sealed.head.seq,
        sealed.head.leaf,
        transition.seen,
        transition.due_at,
        _ended_at(transition),
    )


def _ended_at(transition: Transition) -> datetime | None:
    """When the run ended: now, or, where this turn leaves it ended as it was, when its stream says.

    A message that is ignored and a rollback that is refused move nothing.
    """
    if not transition.state.is_ended:
        return None
    if any(draft.type in ENDINGS for draft in transition.drafts):
        return transition.at
    found = Event.objects.filter(stream=transition.context.stream, type__in=ENDINGS).order_by("-seq")
    return found.values_list("at", flat=True).first() or transition.at


def _forget_reasons(transition: Transition) -> None:
    InboxItem.objects.filter(run_id=transition.run_id, ordinal__lte=transition.seen).exclude(reason="").update(reason="")


def _open_request(transition: Transition, opening: Opening) -> None:
    try:
        waits.open_request(
            opening,
            run_id=transition.run_id,
            workflow_id=transition.workflow_id,
            requester_id=transition.requester_id,
            at=transition.at,
        )
    except NobodyEligible:
        raise _Drop(NobodyToAsk(opening.policy)) from None


def _change_records(transitions: Sequence[Transition]) -> None:
    changes = [
        store.Change(
            type=patch.record.type,
            key=patch.record.key,
            expected_version=patch.record.version,
            body=patch.body,
            effect_key=patch.effect_key,
            run_id=transition.run_id,
            at=transition.at,
        )
        for transition in transitions
        for patch in transition.patches
    ]
    if changes and not store.compare_and_set_all(changes):
        raise _Drop(RecordMoved())
