"""Several workers claim at once: no run is in two hands (PostgreSQL, where they really are at once)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from orchestration.engine import lease, verbs
from orchestration.engine.models import Run
from tests.faults import hands
from tests.support import founding
from tests.support.sink import Sink

RUNS = 100
WORKERS = 4

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def submit_many() -> None:
    submissions = [verbs.Submission({"id": f"C-{number:03d}", "kind": "plain"}) for number in range(RUNS)]
    verbs.submit_many(founding.WORKFLOW, submissions, person=hands.person("rita"), actor=hands.actor("rita"))


def test_workers_that_claim_at_once_take_different_runs(house: Sink) -> None:
    submit_many()

    def claim_all() -> list[lease.Claimed]:
        taken: list[lease.Claimed] = []
        while claimed := lease.claim(7, lease=timedelta(seconds=30)):
            taken += claimed
        return taken

    hands_full = hands.at_once(*[claim_all] * WORKERS)

    counts = Counter(claimed.id for taken in hands_full for claimed in taken)
    assert len(counts) == RUNS
    assert set(counts.values()) == {1}
    assert sum(bool(taken) for taken in hands_full) > 1, "one worker took everything: that was no race"


def test_drivers_at_once_do_every_effect_once(house: Sink) -> None:
    submit_many()

    done = hands.at_once(*[lambda: hands.Worker().drive()] * WORKERS)

    assert done == [None] * WORKERS
    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.COMPLETED}
    assert Counter(house.counts().values()) == {1: RUNS}
    hands.assert_whole()
