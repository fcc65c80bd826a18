"""Following the journal: how whatever must miss nothing (search, metrics, alerts, exports) reads it.

    following.register_follower("search", handle, clear)   # in AppConfig.ready; the sweep runs it each second

`handle` gets the events in the order they were sealed, each exactly once as far as the database is concerned: its writes and
the cursor's move commit together. An event object carries its `leaf_index`. A handler that raises leaves the cursor as it is:
the same events come again at the next look, the lag grows, and its alarm says so; other followers go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import connection
from django.db.models import F

from aegis.core import clock
from aegis.core.db import in_transaction
from aegis.core.errors import NotFound
from audit import sealer
from audit.models import Event, Follower

log = structlog.get_logger(__name__)

Handle = Callable[[Sequence[Event]], None]
Clear = Callable[[], None]

#: Events handled in one transaction: the more, the fewer rows of counts are written for each. SQLite has one writer, who must
#: not keep the others waiting.
LIMIT: Final = {"postgresql": 4_000, "sqlite": 1_000}
LATE: Final = timedelta(seconds=30)  # the alarm; the goal is two seconds
#: One look of the sweep goes on this long at most with one follower, so that a new one does not keep the others waiting.
TURN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind a follower is.

    Attributes:
        events: sealed or not, that it has not handled.
        seconds: age of the oldest of them; 0 if there is none.
        since: its time.
    """

    name: str
    events: int
    seconds: float
    since: datetime | None = None

    @property
    def is_late(self) -> bool:
        return self.seconds >= LATE.total_seconds()


@dataclass(frozen=True, slots=True)
class _Registered:
    handle: Handle
    clear: Clear


_followers: dict[str, _Registered] = {}
_exporters: set[str] = set()


def register_follower(name: str, handle: Handle, clear: Clear) -> None:
    """Have the sweep run this follower. Called from `AppConfig.ready`.

    Args:
        handle: takes events in leaf order, inside the transaction that moves the cursor. No effect outside the database.
        clear: empties what `handle` has written, inside the transaction that puts the cursor back to zero.
    """
    _followers[name] = _Registered(handle, clear)


def register_exporter(name: str) -> None:
    """Have the lag of somebody told who follows by `audit.exporters`. The sweep does not run him."""
    _exporters.add(name)


def exporters() -> list[str]:
    return sorted(_exporters)


def names() -> list[str]:
    return sorted({*_followers, *_exporters})


class Reading:
    """The events read last, for the next follower that stands where the one before stood. An event never changes, so a second
    look at the same ones within a turn shows the same."""

    def __init__(self) -> None:
        self._first, self._limit, self._events = -1, 0, list[Event]()

    def events(self, first: int, limit: int) -> Sequence[Event]:
        """The next events from leaf `first` on, at most `limit`."""
        if (first, limit) != (self._first, self._limit):
            rows = Event.objects.filter(sealed__leaf_index__gte=first).annotate(leaf_index=F("sealed__leaf_index"))
            self._first, self._limit, self._events = first, limit, list(rows.order_by("sealed__leaf_index")[:limit])
        return self._events


def follow(name: str, handle: Handle, *, limit: int | None = None, reading: Reading | None = None) -> int:
    """Hand the next events to `handle` and move the cursor, in one transaction. Returns how many there were.

    0 as well if another process is following in this name just now.

    Args:
        limit: at most so many; None for what suits the database.
        reading: what other followers have just read.
    """
    most = LIMIT[connection.vendor] if limit is None else limit
    position = Follower.objects.filter(name=name).values_list("position", flat=True).first()
    if position is None:
        Follower.objects.bulk_create([Follower(name=name)], ignore_conflicts=True)
        position = 0
    if position >= sealer.size():  # a look without a lock, so that an idle follower takes none
        return 0
    return in_transaction(lambda: _move(name, handle, most, reading or Reading()))


def follow_all() -> int:
    """Let every registered follower catch up. Called by the sweep. A follower that breaks keeps no other from its turn.

    Raises:
        Exception: the first fault, after the others had their turn.
    """
    handled, faults, reading = 0, [], Reading()
    for name in sorted(_followers):
        try:
            handled += catch_up(name, seconds=TURN_SECONDS, reading=reading)
        except Exception as fault:
            log.warning("follower_failed", follower=name, exc_info=True)
            faults.append(fault)
    if faults:
        raise faults[0]
    return handled


def catch_up(name: str, *, seconds: float | None = None, reading: Reading | None = None) -> int:
    """Follow until nothing is left, or for so long at most. Returns how many events were handled.

    Raises:
        NotFound: nobody registered this follower.
    """
    registered, until = _registered(name), None if seconds is None else clock.monotonic() + seconds
    handled = 0
    while count := follow(name, registered.handle, reading=reading):
        handled += count
        if until is not None and clock.monotonic() >= until:
            break
    return handled


def rebuild(name: str, clear: Clear | None = None) -> None:
    """Empty what the follower wrote and put its cursor to zero, in one transaction. The sweep does the rest, or `catch_up`."""

    empty = clear or _registered(name).clear

    def work() -> None:
        Follower.objects.bulk_create([Follower(name=name)], ignore_conflicts=True)
        follower = Follower.objects.select_for_update().get(name=name)
        empty()
        follower.position, follower.moved_at, follower.generation = 0, clock.db_now(), follower.generation + 1
        follower.save(update_fields=["position", "moved_at", "generation"])

    in_transaction(work)


def generation(name: str) -> int:
    """How often what this follower wrote was emptied and made again. Two readings with one generation between them, and the
    place of the follower asked in between, were not taken of something half made."""
    return Follower.objects.filter(name=name).values_list("generation", flat=True).first() or 0


def lag(name: str) -> Lag:
    """How far behind this follower is, events that wait for the sealer included."""
    position = Follower.objects.filter(name=name).values_list("position", flat=True).first() or 0
    waiting = sealer.unsealed()
    behind = max(sealer.size() - position, 0)
    oldest = Event.objects.filter(sealed__leaf_index=position).values_list("at", flat=True).first() or waiting.oldest_at
    return Lag(name, behind + waiting.events, _age(oldest), oldest)


def lags() -> list[Lag]:
    """Of every registered follower, by name."""
    return [lag(name) for name in names()]


def _move(name: str, handle: Handle, limit: int, reading: Reading) -> int:
    # SQLite ignores the lock and needs none: an IMMEDIATE transaction is the only writer.
    free = Follower.objects.select_for_update(skip_locked=connection.vendor == "postgresql")
    follower = free.filter(name=name).first()
    if follower is None:
        return 0  # another process follows in this name
    events = reading.events(follower.position, limit)
    if not events:
        return 0
    handle(events)
    # By the place of the last one, not by their number: an event that was removed from the table must not be read twice.
    follower.position, follower.moved_at = events[-1].leaf_index + 1, clock.db_now()  # type: ignore[attr-defined]
    follower.save(update_fields=["position", "moved_at"])
    return len(events)


def _registered(name: str) -> _Registered:
    try:
        return _followers[name]
    except KeyError:
        raise NotFound(f"Nobody follows the journal as {name!r}") from None


def _age(moment: datetime | None) -> float:
    return 0.0 if moment is None else max((clock.now() - moment).total_seconds(), 0.0)
