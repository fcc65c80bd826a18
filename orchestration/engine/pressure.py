"""Backpressure: measures what `admission` judges, and refuses new work before memory or disk suffer.

Asked by `submission` alone, for what is new: decisions, cancels, retries, reads and repeated submissions never come here. Each
process measures for itself, at most once a second and for at most a twentieth of its time; between measurements it adds what it
let in. So several processes together may overshoot the limit by what they accept within a second.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from aegis.core import clock
from aegis.core.actors import Actor
from aegis.core.bulk import read_uuid
from aegis.core.errors import Overloaded, Unavailable
from audit import access
from orchestration.engine import admission, space
from orchestration.engine.admission import Limits, Load

MEASURE_SECONDS: Final = 1.0
COST_SHARE: Final = 20  # a measurement that took t seconds is good for at least 20 t
SMOOTHING: Final = 0.5  # weight of the newest drain rate
SPREAD: Final = 0.5  # at most so much is added to Retry-After at random: who was refused together must not return together
TELL_SECONDS: Final = 10.0  # repeats of a refusal are counted in memory for so long before they are counted in a row
MAX_TOLD: Final = 10_000
WHAT: Final = "runs.submit"

log = structlog.get_logger(__name__)


def limits() -> Limits:
    return Limits(settings.BACKLOG_LIMIT, settings.BACKLOG_RESERVE, settings.MIN_FREE_BYTES)


@dataclass(slots=True)
class Room:
    """Room that was given to a submission. `used`: how many of its runs were committed."""

    used: int = 0


@contextmanager
def room(person_id: UUID, count: int, *, actor: Actor) -> Iterator[Room]:
    """Keep room for `count` new runs of one person while they are written, or say when to come again.

    Use it outside a transaction: a refusal is recorded. What was given counts at once, for threads that ask meanwhile.

    Raises:
        Overloaded: BacklogFull, ShareFull or SpaceLow.
        TooLarge: so many at once would never be let in.
    """
    refused = _gauge.take(person_id, count)
    if refused is not None:
        refused.retry_after *= 1 + random.uniform(0, SPREAD)
        tell(actor, refused)
        raise refused
    given = Room()
    try:
        yield given
    finally:
        _gauge.settle(person_id, count, given.used)


def forget() -> None:
    """Measure anew at the next question (tests)."""
    _gauge.forget()
    _told.clear()


@dataclass(slots=True)
class _Gauge:
    """What this process last measured, what it let in since, and what it is about to. Shared by its threads."""

    measured_at: float = 0.0
    good_for: float = -1.0
    backlog: int = 0
    owned: Counter[UUID] | None = None  # by requester; None: not asked for
    taking: Counter[UUID] = field(default_factory=Counter)  # room given, not committed yet; no measurement sees it
    free_bytes: int | None = None
    drained_per_second: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, person_id: UUID, count: int) -> Overloaded | None:
        """Judge and take in one step: of two threads that ask at once, the second must see what the first was given."""
        with self._lock:  # one thread measures, the others wait for its answer instead of asking the same
            refused = admission.refusal(limits(), self._load(person_id, count), count)
            if refused is None:
                self.taking[person_id] += count
            return refused

    def settle(self, person_id: UUID, count: int, used: int) -> None:
        with self._lock:
            self.taking[person_id] -= count
            if not self.taking[person_id]:
                del self.taking[person_id]
            self.backlog += used
            if self.owned is not None:
                self.owned[person_id] += used

    def _load(self, person_id: UUID, count: int) -> Load:
        now = clock.monotonic()
        if now - self.measured_at > self.good_for:
            self._measure(now)
        backlog = self.backlog + self.taking.total()
        if self.owned is None and backlog + count > limits().unquestioned:
            self.owned = _owned(limits().backlog + 1)
        own = self.owned[person_id] + self.taking[person_id] if self.owned is not None else 0
        return Load(backlog, own, self.free_bytes, self.drained_per_second)

    def forget(self) -> None:
        with self._lock:
            self.measured_at, self.good_for, self.backlog = 0.0, -1.0, 0
            self.owned, self.drained_per_second = None, None
            self.taking.clear()

    def _measure(self, now: float) -> None:
        bound = limits().backlog + 1
        found = _backlog(bound)
        if self.good_for >= 0 and found < bound:
            rate = max(0.0, (self.backlog - found) / max(now - self.measured_at, 0.001))
            # What other processes let in meanwhile is not seen: the rate is a lower bound, the wait an upper one.
            earlier = rate if self.drained_per_second is None else self.drained_per_second
            self.drained_per_second = earlier + SMOOTHING * (rate - earlier)
        self.backlog, self.free_bytes = found, space.free_bytes()
        self.owned = _owned(bound) if found > limits().unquestioned else None
        cost = clock.monotonic() - now
        self.measured_at, self.good_for = now, max(MEASURE_SECONDS, COST_SHARE * cost)


_gauge = _Gauge()


@dataclass(slots=True)
class _Told:
    at: float
    untold: int = 0


_told: dict[tuple[str, str, str], _Told] = {}
_telling = threading.Lock()


def tell(actor: Actor, refused: Overloaded) -> None:
    """Put a refusal on record, as denials are: the first as an event, repeats as a count. A flood of refusals must not become a
    flood of writes, so repeats reach the row of their count once in `TELL_SECONDS`; those of the last seconds before a process
    ends, or before the client gives up, are not counted.
    """
    now = clock.monotonic()
    with _telling:
        if len(_told) > MAX_TOLD:
            _told.clear()
        known = _told.setdefault((actor.kind, actor.ref, refused.code), _Told(float("-inf")))
        known.untold += 1
        if now - known.at < TELL_SECONDS:
            return
        known.at, times, known.untold = now, known.untold, 0
    try:
        access.record_denial(actor, WHAT, code=refused.code, detail=refused.detail, times=times)
    except (DatabaseError, Unavailable) as error:  # a full disk, most likely: the answer must not depend on it
        log.warning("refusal_not_recorded", code=refused.code, error=str(error))


def _backlog(bound: int) -> int:
    """Runs with news that nobody has read, counted up to `bound` in the partial index `run_oldest`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM"
            " (SELECT submitted_at FROM orchestration_run WHERE wake > seen ORDER BY submitted_at LIMIT %s) AS waiting",
            [bound],
        )
        found: int = cursor.fetchone()[0]
    return found


def _owned(bound: int) -> Counter[UUID]:
    """The same runs by requester. Asked only while the backlog is nearly full."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT requester_id, COUNT(*) FROM"
            " (SELECT requester_id FROM orchestration_run WHERE wake > seen ORDER BY submitted_at LIMIT %s) AS waiting"
            " WHERE requester_id IS NOT NULL GROUP BY requester_id",
            [bound],
        )
        return Counter({read_uuid(key): count for key, count in cursor.fetchall()})
