"""What guards write is the same for many transitions in one commit as for each alone, and a loser takes nobody along."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from orchestration.agents.protocol import CallFailed
from orchestration.engine import commit as commits
from orchestration.engine.commit import Committed, EpochMoved, Transition, commit
from orchestration.engine.driver import Driver
from orchestration.engine.guards.asking import Probe
from orchestration.engine.guards.models import Breaker, Counter, HeldRun, Slot
from orchestration.engine.moves import Replied
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import submit_many

pytestmark = pytest.mark.django_db


class _Undo(Exception):
    pass


def begun(person: Any, count: int) -> tuple[Driver, list[Any]]:
    """A driver that holds `count` runs, and the turns in which they would call the clerk."""
    runs = submit_many(person, count)
    driver = Driver(among=[run.pk for run in runs])
    driver._claim()
    driver.wave.begin()
    return driver, [driver._play(driver.held[run.pk]) for run in runs]


def guard_rows() -> dict[str, list[Any]]:
    """Everything guards keep, but the row times that chance or the database gives."""
    return {
        "held": list(HeldRun.objects.order_by("run_id").values("run_id", "guard", "until", "woken_at", "priority")),
        "counters": list(Counter.objects.order_by("key").values()),
        "slots": list(Slot.objects.order_by("run_id").values()),
        "breakers": list(Breaker.objects.order_by("key").values("key", "phase", "failures", "openings", "probe", "is_stirred")),
    }


def both_ways(batch: list[Transition]) -> list[tuple[list[Any], dict[str, list[Any]]]]:
    """(outcomes, rows) of committing them together, and one by one."""
    results = []
    for together in (True, False):
        try:
            with transaction.atomic():
                done = commit(batch) if together else [commit([one])[0] for one in batch]
                results.append(([type(outcome) for outcome in done], guard_rows()))
                raise _Undo
        except _Undo:
            pass
    return results


def test_starts_under_limits(zoe):
    limits = {"rate": {"count": 3, "per": "1m"}, "concurrency": 2, "retries": {"share": 10, "floor": 1, "within": "1m"}}
    house.bootstrap(desk.documents(agent={"limits": limits}))
    driver, turns = begun(zoe, 5)

    together, alone = both_ways([driver._transition(played) for played in turns])

    assert together == alone
    assert len(together[1]["slots"]) == 2
    assert [row["guard"] for row in together[1]["held"]] == ["concurrency:agent:clerk"] * 3


def test_failures_that_open_a_breaker(zoe):
    house.bootstrap(desk.documents(agent={"breaker": {"failures": 3}}))
    driver, turns = begun(zoe, 5)
    driver._after_commit(turns, commit([driver._transition(played) for played in turns]))
    driver.wave.begin()
    answered = []
    for held in driver.held.values():
        held.call, held.news = None, [Replied("write", 1, 1, CallFailed("timeout", "late"), 3)]
        answered.append(driver._transition(driver._play(held)))

    together, alone = both_ways(answered)

    assert together == alone
    assert [row["phase"] for row in together[1]["breakers"]] == ["open"]


def test_a_loser_of_the_probe_takes_nobody_along(zoe, monkeypatch):
    house.bootstrap(desk.documents())
    now = desk.moved_now()
    Breaker.objects.create(key="agent:clerk", phase="open", until=now, openings=1, is_stirred=True, changed_at=now)
    desk.pass_time(seconds=1)
    driver, first = begun(zoe, 1)
    other, second = begun(zoe, 1)  # another worker, in the same moment
    batch = [driver._transition(first[0]), other._transition(second[0])]
    assert all(isinstance(transition.takes[0], Probe) for transition in batch)

    together, alone = both_ways(batch)

    assert together == alone
    assert together[0] == [Committed, EpochMoved]
    assert [row["phase"] for row in together[1]["breakers"]] == ["half_open"]


def test_what_has_nothing_to_do_with_guards_costs_no_statement(zoe, django_assert_num_queries):
    house.bootstrap(desk.documents())
    driver, turns = begun(zoe, 4)
    batch = [driver._transition(played) for played in turns]

    assert [(transition.takes, transition.marks) for transition in batch] == [([], [])] * 4
    with django_assert_num_queries(0):
        commits.guards.write(*batch)


def test_a_wave_asks_once_what_stands(zoe, django_assert_num_queries):
    house.bootstrap(desk.documents())
    driver, _ = begun(zoe, 6)
    driver.wave.begin()

    with django_assert_num_queries(1):
        for held in driver.held.values():
            driver._play(held)
