"""Runs that kill or break the worker that reads them: set aside after too many deaths, in sight, and nobody else suffers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aegis.core import clock
from audit import journal
from orchestration.agents.protocol import Done
from orchestration.engine import hand, lease, verbs
from orchestration.engine.driver import Driver
from orchestration.engine.models import ReviewItem, Run
from orchestration.workflows import releases
from orchestration.workflows.models import WorkflowRelease
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def starter(person: Any, ada: Any, sam: Any) -> Any:
    house.answers.clear()
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    starter = person("zoe", "Support leads")
    house.bootstrap(house.documents())
    return starter


def after_deaths(run: Run, deaths: int) -> None:
    """As if that many workers had died between their claim and a commit."""
    Run.objects.filter(pk=run.pk).update(claims_since_commit=deaths)


def test_a_run_that_killed_five_workers_is_before_people(starter: Any) -> None:
    run = house.submit(starter)
    after_deaths(run, lease.MAX_CLAIMS)

    house.drive(run)

    assert run.status == Run.Status.WAITING_REVIEW
    assert ReviewItem.objects.get(run=run).code == "quarantined"
    assert house.types_of(run) == ["run.submitted", "run.quarantined", "review.opened"]


def test_a_cancel_that_came_meanwhile_is_not_lost(starter: Any) -> None:
    run = house.submit(starter)
    verbs.cancel_run(run.pk, person=starter, actor=house.actor_for(starter), reason="it kills workers")
    after_deaths(run, lease.MAX_CLAIMS)

    house.drive(run)

    assert run.status == Run.Status.CANCELLED
    assert journal.verify().is_good


def test_of_a_poisonous_run_no_payload_is_read(starter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it may be what kills."""
    run = house.submit(starter)
    after_deaths(run, lease.MAX_CLAIMS)
    read: list[str] = []
    real = hand.payloads_at
    monkeypatch.setattr(hand, "payloads_at", lambda places: real(read.append(place) or place for place in places))

    house.drive(run)

    assert read == []
    assert run.status == Run.Status.WAITING_REVIEW


def test_a_run_that_cannot_be_read_fails_in_sight_after_too_many_tries(starter: Any) -> None:
    broken, neighbour = house.submit(starter, {"id": "n-1"}), house.submit(starter, {"id": "n-2"})
    other = WorkflowRelease.objects.get(pk=broken.release_id)
    other.pk, other.digest = None, "0" * 64  # not what its digest says
    other.save(force_insert=True)
    Run.objects.filter(pk=broken.pk).update(release=other)
    releases._releases = type(releases._releases)()

    house.drive(broken, neighbour)

    assert broken.status == Run.Status.RUNNING  # left to its lease: another worker may have better luck
    assert neighbour.status == Run.Status.COMPLETED
    after_deaths(broken, lease.MAX_CLAIMS)
    Run.objects.filter(pk=broken.pk).update(lease_until=None)
    house.drive(broken)
    assert broken.status == Run.Status.FAILED
    assert house.types_of(broken) == ["run.submitted", "run.quarantined", "run.failed"]
    assert journal.verify(f"run:{broken.pk}").is_good


def test_while_a_call_that_was_lost_is_made_again_nothing_else_is_taken(starter: Any) -> None:
    """Should it kill this worker too, whoever waits beside it would be counted as lost with it: five times, and set aside."""
    suspect = house.submit(starter, {"id": "n-1"})
    first = Driver(among=[suspect.pk])
    first._claim()
    first._advance()  # the call is intended; then its worker dies
    Run.objects.filter(pk=suspect.pk).update(lease_until=clock.db_now() - timedelta(seconds=1))
    neighbour = house.submit(starter, {"id": "n-2"})
    worker = Driver(among=[suspect.pk, neighbour.pk])

    worker._claim()
    worker._advance()

    assert house.types_of(suspect)[-2:] == ["step.lost", "step.started"]
    assert not worker.has_room
    assert list(worker.held) == [suspect.pk]
    worker.drive()
    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.COMPLETED, Run.Status.WAITING_REVIEW}
