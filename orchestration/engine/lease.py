"""Leases: who may append to a run's stream. Raw SQL, because the claim must pick, lock, fence and return at once.

`SKIP LOCKED` on PostgreSQL keeps workers out of each other's way; on SQLite the IMMEDIATE transaction is the lock.

Who comes first (docs/adr/0013): a run whose worker died, alone; then runs whose timer is due; then runs with news. Among
these the first tier goes first, within a tier the workflows take turns, within a workflow the oldest goes first. Every tenth
place goes to the oldest run of any tier, so that no tier waits for ever.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from aegis.core import clock
from aegis.core.bulk import Rows, as_stored, read_uuid
from aegis.core.db import in_transaction
from aegis.core.faults import crash_point

_incarnation = (0, "")

MAX_CLAIMS = 5  # deaths of a worker before the run's next commit; then the run is set aside
OLDEST_EVERY: Final = 10  # places; one of them is for the oldest run, whatever its tier
MAX_BRANCHES: Final = 100  # workflows looked at in one claim, those served least first

_RUN = "orchestration_run"
_COLUMNS = (
    "id, workflow_id, release_id, subject_ref, requester_id, parent_id, state, seq, head, fence, wake, seen,"
    " claims_since_commit, lineage, trace, priority, submitted_at"
)
_LOST = "lease_until < %s"
_DUE = "lease_until IS NULL AND due_at <= %s"
_WOKEN = "lease_until IS NULL AND wake > seen"
_HOLDS = Rows({"id": "uuid", "fence": "int"})


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run as it stood when this worker took it.

    Attributes:
        claims: how often it was claimed since its last commit, this time included.
        lineage: ids of the other workflows whose runs led to it, with a space between.
        was_lost: another worker held it and its lease ran out.
    """

    id: uuid.UUID
    workflow_id: uuid.UUID
    release_id: uuid.UUID
    subject_ref: uuid.UUID
    requester_id: uuid.UUID | None
    parent_id: uuid.UUID | None
    state: str
    seq: int
    head: str
    fence: int
    wake: int
    seen: int
    claims: int
    lineage: str
    trace: str
    was_lost: bool

    @property
    def trace_id(self) -> str:
        """As of `Run.trace_id`."""
        return self.trace or self.id.hex


def incarnation() -> str:
    """This worker process, as an opaque id: a restarted one never passes for the one before it, nor a fork for its parent."""
    global _incarnation
    if _incarnation[0] != os.getpid():
        _incarnation = (os.getpid(), uuid.uuid4().hex)
    return _incarnation[1]


@dataclass(slots=True)
class Turns:
    """Whose turn it is, as one worker process remembers it: how often each workflow was served, how many places were given."""

    served: Counter[Any] = field(default_factory=Counter)
    places: int = 0

    def order(self, candidates: Sequence[Sequence[Any]], room: int) -> list[Any]:
        """The ids to take, of rows (id, workflow, priority, submitted_at): by tier, workflows in turn, the oldest first."""
        turns = Counter(self.served)
        ranked = []
        for row in sorted(candidates, key=lambda row: (row[2], row[3], str(row[0]))):
            turns[row[1]] += 1
            ranked.append(((row[2], turns[row[1]], row[3], str(row[0])), row))
        ranked.sort(key=lambda pair: pair[0])
        taken = [row for _, row in ranked[:room]]
        self._note(taken)
        return [row[0] for row in taken]

    def oldest_places(self, room: int) -> int:
        """How many of the next `room` places are for the oldest runs."""
        before, self.places = self.places, self.places + room
        return self.places // OLDEST_EVERY - before // OLDEST_EVERY

    def _note(self, taken: Sequence[Sequence[Any]]) -> None:
        self.served.update(row[1] for row in taken)
        least = min(self.served.values(), default=0)
        if least > 1_000:  # only the differences matter
            self.served = Counter({workflow: count - least for workflow, count in self.served.items()})
        if taken and len(self.served) > 1_000:
            self.served.clear()


_turns = Turns()


def claim(limit: int, *, lease: timedelta, among: Sequence[uuid.UUID] = (), turns: Turns | None = None) -> list[Claimed]:
    """Take up to `limit` runnable runs, the most urgent first.

    A run whose lease was lost comes alone: should it kill this worker too, no neighbour suffers.

    Args:
        among: only these runs (tests and `drive_run`); empty = any.
        turns: whose turn it is; the process's own memory if None.
    """
    has_lost, has_due, workflows = _what_waits()
    if not (has_lost or has_due or workflows):
        return []  # nothing to write for: on SQLite an empty claim would still queue for the writer lock

    def work() -> list[Claimed]:
        now = clock.db_now()
        until = now + lease
        if has_lost and (lost := _take(_pick(_LOST, among), [now], [*among, 1], until, was_lost=True)):
            return lost
        found: list[Claimed] = []
        if has_due:
            share = limit if not workflows else (limit + 1) // 2
            found = _take(_pick(_DUE, among), [now], [*among, share], until, was_lost=False)
        if workflows and (room := limit - len(found)) > 0:
            ids = _in_turn(workflows, room, among, turns or _turns)
            found += _take(f"SELECT id FROM {_RUN} WHERE id IN ({_places(ids)})", [], ids, until, was_lost=False) if ids else []
        crash_point("claim_written")
        return found

    return in_transaction(work)


def renew(held: Sequence[tuple[uuid.UUID, int]], *, lease: timedelta) -> dict[uuid.UUID, int]:
    """Renew leases of (run id, fence); the answer holds run id -> `wake` for those still ours. One statement."""

    def work() -> dict[uuid.UUID, int]:
        until = clock.db_now() + lease
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {_RUN} SET lease_until = %s WHERE {_held()} RETURNING id, wake", [as_stored(until), _HOLDS.param(held)]
            )
            return {read_uuid(row[0]): row[1] for row in cursor.fetchall()}

    return in_transaction(work) if held else {}


def release(held: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Give runs back untouched (shutdown): somebody else may claim them at once. Not counted as a death."""

    def work() -> None:
        now = clock.db_now()
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {_RUN} SET lease_until = %s, claims_since_commit = 0 WHERE {_held()}",
                [as_stored(now), _HOLDS.param(held)],
            )

    if held:
        in_transaction(work)


def lay_down(run_id: uuid.UUID, fence: int) -> None:
    """Give a run back that has something unread: it is claimed again like any run with news, and not as one that was lost."""

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {_RUN} SET lease_until = NULL, claims_since_commit = 0 WHERE id = %s AND fence = %s",
                [as_stored(run_id), fence],
            )

    in_transaction(work)


def _what_waits() -> tuple[bool, bool, list[Any]]:
    """Is any lease lost, any timer due, and which workflows have runs with news. Reads only ends of indexes."""
    now = as_stored(clock.db_now())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM {_RUN} WHERE {_LOST}), EXISTS (SELECT 1 FROM {_RUN} WHERE {_DUE})", [now, now]
        )
        has_lost, has_due = cursor.fetchone()
        cursor.execute(
            f"SELECT id FROM orchestration_workflow w WHERE EXISTS (SELECT 1 FROM {_RUN} WHERE workflow_id = w.id AND {_WOKEN})"
        )
        return bool(has_lost), bool(has_due), [row[0] for row in cursor.fetchall()]


def _in_turn(workflows: Sequence[Any], room: int, among: Sequence[uuid.UUID], turns: Turns) -> list[Any]:
    """Ids of the runs with news whose turn it is. Locks the candidates, so that two workers never weigh the same ones."""
    oldest = turns.oldest_places(room)
    only = f" AND id IN ({_places(among)})" if among else ""
    ids = [as_stored(run_id) for run_id in among]
    workflows = sorted(workflows, key=lambda workflow: turns.served[workflow])[:MAX_BRANCHES]
    branch = (
        f"SELECT * FROM (SELECT id, workflow_id, priority, submitted_at FROM {_RUN} WHERE workflow_id = %s AND {_WOKEN}{only}"
        f" ORDER BY priority, submitted_at, id LIMIT %s{_skip()}) AS branch"
    )
    taken: list[Any] = []
    with connection.cursor() as cursor:
        if oldest:
            cursor.execute(
                f"SELECT id FROM {_RUN} WHERE {_WOKEN}{only} ORDER BY submitted_at LIMIT %s{_skip()}", [*ids, oldest]
            )
            taken = [row[0] for row in cursor.fetchall()]
        values = [value for workflow in workflows for value in (workflow, *ids, room)]
        cursor.execute(" UNION ALL ".join([branch] * len(workflows)), values)
        candidates = [row for row in cursor.fetchall() if row[0] not in taken]
    return [*taken, *turns.order(candidates, room - len(taken))]


def _pick(condition: str, among: Sequence[uuid.UUID]) -> str:
    only = f" AND id IN ({_places(among)})" if among else ""
    return f"SELECT id FROM {_RUN} WHERE {condition}{only} ORDER BY priority, submitted_at, id LIMIT %s{_skip()}"


def _take(pick: str, moments: Sequence[datetime], values: Sequence[Any], until: datetime, *, was_lost: bool) -> list[Claimed]:
    """Lease the runs that `pick` selects."""
    sql = (
        f"UPDATE {_RUN} SET fence = fence + 1, lease_by = %s, lease_until = %s, claims_since_commit = claims_since_commit + 1"
        f" WHERE id IN ({pick}) RETURNING {_COLUMNS}"
    )
    params = [incarnation(), as_stored(until), *map(as_stored, moments), *(as_stored(value) for value in values)]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    rows.sort(key=lambda row: (row[-2], row[-1], str(row[0])))  # RETURNING keeps no order
    return [_claimed(row, was_lost) for row in rows]


def _claimed(row: Sequence[Any], was_lost: bool) -> Claimed:
    ids = [read_uuid(value) for value in row[:4]]
    requester, parent = (None if value is None else read_uuid(value) for value in row[4:6])
    return Claimed(ids[0], ids[1], ids[2], ids[3], requester, parent, *row[6:15], was_lost)  # type: ignore[call-arg]


def _skip() -> str:
    return " FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def _held() -> str:
    """The runs of `_HOLDS` that are still held under the fence named there."""
    return f"(id, fence) IN (SELECT v.id, v.fence FROM {_HOLDS.source()}) AND lease_until IS NOT NULL"
