"""Followers of the journal miss nothing and see nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.core.errors import NotFound
from audit import following, keeping, sealer
from audit.models import Event, Follower, Stream
from tests.support.journal_guard import lifted

PATIENCE = 30.0
Note = Callable[..., Any]


class Counting:
    """A follower whose work is in the database, as any projection's: it counts events by stream in rows of `Stream`."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.breaks = False

    def handle(self, events: Sequence[Event]) -> None:
        self.seen += [event.leaf_index for event in events]  # type: ignore[attr-defined]
        for event in events:
            row, _ = Stream.objects.get_or_create(name=f"count:{event.stream}")
            row.seq += 1
            row.save()
        if self.breaks:
            raise RuntimeError("the index is out of order")

    def clear(self) -> None:
        Stream.objects.filter(name__startswith="count:").delete()

    @property
    def counts(self) -> dict[str, int]:
        return {row.name.removeprefix("count:"): row.seq for row in Stream.objects.filter(name__startswith="count:")}


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr(following, "_followers", {})
    following.register_follower("counting", made.handle, made.clear)
    return made


def sealed(note: Note, count: int) -> None:
    note("config:A", count)
    sealer.seal()


def test_events_come_in_leaf_order_each_once(note: Note, counting: Counting) -> None:
    sealed(note, 3)
    note("config:B", 2)
    keeping.keep()
    sealed(note, 2)
    keeping.keep()
    keeping.keep()

    assert counting.seen == list(range(sealer.size()))
    assert counting.counts.items() >= {"config:A": 5, "config:B": 2}.items()


def test_a_follower_takes_no_more_at_a_time_than_it_asked_for(note: Note, counting: Counting) -> None:
    sealed(note, 5)
    total = sealer.size()

    assert following.follow("counting", counting.handle, limit=2) == 2
    assert following.follow("counting", counting.handle, limit=total) == total - 2
    assert following.follow("counting", counting.handle, limit=2) == 0
    assert counting.seen == list(range(total))


def test_an_event_that_was_removed_from_the_table_makes_no_other_come_twice(note: Note, counting: Counting) -> None:
    sealed(note, 5)
    with lifted(), connection.cursor() as cursor:  # somebody with the database in his hands; `verify` names it
        cursor.execute("DELETE FROM audit_leaf WHERE leaf_index = 1")

    following.catch_up("counting")
    sealed(note, 1)
    following.catch_up("counting")

    assert counting.seen == [index for index in range(sealer.size()) if index != 1]


@pytest.mark.django_db(transaction=True)
def test_a_handler_that_raises_has_written_nothing_and_gets_the_same_events_again(note: Note, counting: Counting) -> None:
    sealed(note, 3)
    counting.breaks = True

    with pytest.raises(RuntimeError):
        following.follow("counting", counting.handle)
    assert counting.counts == {}

    counting.breaks = False
    following.follow("counting", counting.handle)

    assert counting.counts["config:A"] == 3


@pytest.mark.django_db(transaction=True)
def test_a_follower_that_breaks_keeps_no_other_from_its_turn(note: Note, counting: Counting) -> None:
    handled: list[Event] = []

    def refuse(events: Sequence[Event]) -> None:
        raise RuntimeError("no")

    following.register_follower("a-broken-one", refuse, lambda: None)
    following.register_follower("z-last", handled.extend, lambda: None)
    sealed(note, 3)

    with pytest.raises(RuntimeError):
        keeping.keep()

    assert counting.counts["config:A"] == 3
    assert len(handled) == sealer.size()


def test_followers_that_stand_at_the_same_place_share_one_reading(
    note: Note, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(following.LIMIT, connection.vendor, 2)
    others: list[int] = []
    following.register_follower("others", lambda events: others.extend(event.leaf_index for event in events), lambda: None)  # type: ignore[attr-defined]
    sealed(note, 2)
    first = sealer.size()
    following.follow_all()
    sealed(note, 2)

    with CaptureQueriesContext(connection) as asked:
        following.follow_all()
    assert sum('"audit_event"."line"' in query["sql"] for query in asked.captured_queries) == 1
    sealed(note, 5)  # more than one reading holds
    following.follow_all()

    assert counting.seen == others == list(range(sealer.size()))
    assert sealer.size() == first + 7


def test_rebuilding_from_zero_gives_the_same(note: Note, counting: Counting) -> None:
    sealed(note, 5)
    note("config:B", 4)
    keeping.keep()
    before = counting.counts

    following.rebuild("counting")
    assert counting.counts == {}
    keeping.keep()

    assert counting.counts == before


def test_the_lag_counts_what_is_not_sealed_yet_too(note: Note, counting: Counting) -> None:
    keeping.keep()
    assert following.lag("counting") == following.Lag("counting", 0, 0.0)

    note("config:A", 2, at=clock.now() - timedelta(seconds=40))
    waiting = following.lag("counting")
    assert (waiting.events, waiting.is_late) == (2, True)
    assert 40 <= waiting.seconds < 60

    sealer.seal()
    note("config:A", at=clock.now())
    behind = following.lag("counting")
    assert behind.events == 3
    assert 40 <= behind.seconds < 60

    following.catch_up("counting")
    assert following.lags()[0].events == 1
    assert not following.lags()[0].is_late


def test_nobody_follows_under_a_name_that_was_not_registered(db: None) -> None:
    with pytest.raises(NotFound):
        following.catch_up("nobody")
    with pytest.raises(NotFound):
        following.rebuild("nobody")
    assert not Follower.objects.filter(name="nobody").exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_processes_that_follow_in_one_name_handle_each_event_once(note: Note, counting: Counting) -> None:
    sealed(note, 200)
    start = threading.Barrier(3, timeout=PATIENCE)

    def work() -> None:
        try:
            start.wait()
            for _ in range(60):
                following.follow("counting", counting.handle, limit=7)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for _ in range(3)]:
            done.result(PATIENCE)
    following.catch_up("counting")

    assert counting.counts["config:A"] == 200
    assert sorted(counting.seen) == list(range(sealer.size()))
