"""Who is claimed first: tiers, then workflows in turn, then age; and every tenth place is for the oldest of any tier."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from aegis.core import clock
from orchestration.engine import lease
from orchestration.engine.lease import Turns
from orchestration.engine.models import Run
from orchestration.workflows.models import Workflow
from tests.engine import house

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)


def row(number: int, workflow: str, tier: int = 3, *, minute: int | None = None) -> tuple[int, str, int, datetime]:
    return (number, workflow, tier, NOON + timedelta(minutes=number if minute is None else minute))


def test_an_urgent_run_goes_before_every_other() -> None:
    waiting = [row(number, "a", 3) for number in range(5)] + [row(9, "b", 1)]

    assert Turns().order(waiting, 2) == [9, 0]


def test_within_a_tier_workflows_take_turns_whatever_their_backlog() -> None:
    flood = [row(number, "flood") for number in range(100)]
    few = [row(100 + number, "few") for number in range(3)]

    taken = Turns().order([*flood, *few], 6)

    assert Counter("few" if number >= 100 else "flood" for number in taken) == {"few": 3, "flood": 3}


def test_one_place_at_a_time_is_shared_as_well() -> None:
    turns = Turns()
    waiting = [*(row(number, "flood") for number in range(50)), *(row(100 + number, "late") for number in range(50))]

    taken = []
    for _ in range(10):
        (number,) = turns.order(waiting, 1)
        waiting = [other for other in waiting if other[0] != number]
        taken.append(number)

    assert sum(number >= 100 for number in taken) == 5


def test_within_a_workflow_the_oldest_goes_first() -> None:
    waiting = [row(1, "a", minute=3), row(2, "a", minute=1), row(3, "a", minute=2)]

    assert Turns().order(waiting, 3) == [2, 3, 1]


def test_every_tenth_place_is_for_the_oldest() -> None:
    turns = Turns()

    given = [turns.oldest_places(3) for _ in range(20)]

    assert sum(given) == 6
    assert max(given) == 1


def test_what_a_process_remembers_stays_small() -> None:
    turns = Turns()

    for number in range(3_000):
        turns.order([row(number, f"w{number}")], 1)

    assert len(turns.served) <= 1_001


@pytest.fixture
def backlog(person: Any, ada: Any, sam: Any, django_db_setup: None, transactional_db: None) -> tuple[list[UUID], UUID]:
    """Thirty runs of `notes`, all of the last tier and old but one, which is fresh and urgent."""
    house.bootstrap(house.documents())
    zoe = person("zoe", "Support leads")
    runs = [house.submit(zoe, {"id": f"n-{number}"}) for number in range(30)]
    old = [run.pk for run in runs[:-1]]
    Run.objects.filter(pk__in=old).update(priority=5, submitted_at=clock.now() - timedelta(hours=2))
    Run.objects.filter(pk=runs[-1].pk).update(priority=1)
    assert Workflow.objects.count() == 1
    return old, runs[-1].pk


@pytest.mark.django_db(transaction=True)
def test_the_urgent_run_of_a_backlog_is_in_the_first_claim(backlog: tuple[list[UUID], UUID]) -> None:
    _, urgent = backlog

    first = lease.claim(3, lease=LEASE, turns=Turns())

    assert first[0].id == urgent


@pytest.mark.django_db(transaction=True)
def test_the_last_tier_is_served_while_the_first_never_ends(backlog: tuple[list[UUID], UUID]) -> None:
    old, _ = backlog
    Run.objects.exclude(pk=old[0]).update(priority=1)
    Run.objects.filter(pk=old[0]).update(submitted_at=clock.now() - timedelta(hours=3))
    turns = Turns()

    taken = {run.id for _ in range(5) for run in lease.claim(2, lease=LEASE, turns=turns)}

    assert old[0] in taken


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_worker_died_comes_alone(backlog: tuple[list[UUID], UUID]) -> None:
    old, _ = backlog
    Run.objects.filter(pk=old[3]).update(lease_until=clock.db_now() - timedelta(seconds=1), fence=4)

    claimed = lease.claim(10, lease=LEASE)

    assert [(run.id, run.was_lost, run.fence) for run in claimed] == [(old[3], True, 5)]
