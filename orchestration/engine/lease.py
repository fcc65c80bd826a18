"""Leases: who may append to a run's stream. Raw SQL, because the claim is one statement: pick, lock, fence, return.

`SKIP LOCKED` on PostgreSQL keeps workers out of each other's way; on SQLite the IMMEDIATE transaction is the lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from aegis.core import clock
from aegis.core.db import in_transaction

#: This worker process; a restarted process never passes for the one before it.
INCARNATION = uuid.uuid4().hex

MAX_CLAIMS = 5  # deaths of a worker before the run's next commit; then the run is set aside

_COLUMNS = "id, workflow_id, release_id, subject_ref, requester_id, state, seq, head, fence, wake, seen, claims_since_commit"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run as it stood when this worker took it.

    Attributes:
        claims: how often it was claimed since its last commit, this time included.
        was_lost: another worker held it and its lease ran out.
    """

    id: uuid.UUID
    workflow_id: uuid.UUID
    release_id: uuid.UUID
    subject_ref: uuid.UUID
    requester_id: uuid.UUID | None
    state: str
    seq: int
    head: str
    fence: int
    wake: int
    seen: int
    claims: int
    was_lost: bool


def claim(limit: int, *, lease: timedelta, among: Sequence[uuid.UUID] = ()) -> list[Claimed]:
    """Take up to `limit` runnable runs, the most urgent first.

    A run whose lease was lost comes alone: should it kill this worker too, no neighbour suffers.

    Args:
        among: only these runs (tests and `drive_run`); empty = any.
    """

    def work() -> list[Claimed]:
        now = clock.db_now()
        lost = _take("lease_until < %s", [now], 1, now + lease, among, was_lost=True)
        if lost:
            return lost
        # Two questions, each answered by an index of its own (run_due, run_woken): an OR of them would read every run there is.
        due = _take("lease_until IS NULL AND due_at <= %s", [now], limit, now + lease, among, was_lost=False)
        room = limit - len(due)
        woken = _take("lease_until IS NULL AND wake > seen", [], room, now + lease, among, was_lost=False) if room else []
        return [*due, *woken]

    return in_transaction(work)


def renew(held: Sequence[tuple[uuid.UUID, int]], *, lease: timedelta) -> dict[uuid.UUID, int]:
    """Renew leases of (run id, fence); the answer holds run id -> `wake` for those still ours."""

    def work() -> dict[uuid.UUID, int]:
        until = clock.db_now() + lease
        found: dict[uuid.UUID, int] = {}
        with connection.cursor() as cursor:
            for run_id, fence in sorted(held):
                cursor.execute(
                    "UPDATE orchestration_run SET lease_until = %s WHERE id = %s AND fence = %s AND lease_until IS NOT NULL"
                    " RETURNING wake",
                    [_moment(until), _uuid(run_id), fence],
                )
                if row := cursor.fetchone():
                    found[run_id] = row[0]
        return found

    return in_transaction(work) if held else {}


def release(held: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Give runs back untouched (shutdown): somebody else may claim them at once. Not counted as a death."""

    def work() -> None:
        with connection.cursor() as cursor:
            for run_id, fence in sorted(held):
                cursor.execute(
                    "UPDATE orchestration_run SET lease_until = %s, claims_since_commit = 0 WHERE id = %s AND fence = %s"
                    " AND lease_until IS NOT NULL",
                    [_moment(clock.db_now()), _uuid(run_id), fence],
                )

    if held:
        in_transaction(work)


def _take(
    condition: str, params: list[datetime], limit: int, until: datetime, among: Sequence[uuid.UUID], *, was_lost: bool
) -> list[Claimed]:
    only = f" AND id IN ({', '.join(['%s'] * len(among))})" if among else ""
    skip = " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    sql = (
        "UPDATE orchestration_run SET fence = fence + 1, lease_by = %s, lease_until = %s,"
        " claims_since_commit = claims_since_commit + 1"
        f" WHERE id IN (SELECT id FROM orchestration_run WHERE {condition}{only}"
        f" ORDER BY priority, submitted_at, id LIMIT %s{skip}) RETURNING {_COLUMNS}, priority, submitted_at"
    )
    values = [INCARNATION, _moment(until), *map(_moment, params), *map(_uuid, among), limit]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows = cursor.fetchall()
    rows.sort(key=lambda row: (row[-2], row[-1], str(row[0])))  # RETURNING keeps no order
    return [_claimed(row, was_lost) for row in rows]


def _claimed(row: Sequence[object], was_lost: bool) -> Claimed:
    ids = [_read_uuid(value) for value in row[:5]]
    return Claimed(*ids, *row[5:12], was_lost)  # type: ignore[arg-type,call-arg]


def _read_uuid(value: object) -> uuid.UUID | None:
    return value if isinstance(value, uuid.UUID) or value is None else uuid.UUID(str(value))


def _uuid(value: uuid.UUID) -> uuid.UUID | str:
    return value if connection.features.has_native_uuid_field else value.hex


def _moment(value: datetime) -> datetime | str | None:
    return connection.ops.adapt_datetimefield_value(value)
