"""The queue is a hint: repeating its messages changes nothing (promise 4, HAZARDS F09, F10). Losing them: test_processes."""

from __future__ import annotations

from collections import Counter

import pytest

from aegis.core import wake
from audit.models import Event
from orchestration.engine.models import Run
from tests.faults import hands
from tests.support.sink import Sink

RUNS = 12
REPEATS = 25

pytestmark = pytest.mark.django_db(transaction=True)


def test_nudges_for_runs_that_are_done_add_nothing(house: Sink) -> None:
    for number in range(RUNS):
        hands.submit(f"E-{number}")
    wake.on_nudge()
    events = Event.objects.count()

    for _ in range(REPEATS):
        wake.on_nudge()

    assert Event.objects.count() == events
    assert Counter(house.counts().values()) == {1: RUNS}


def test_nudges_at_once_drive_each_run_once(house: Sink) -> None:
    for number in range(RUNS):
        hands.submit(f"F-{number}")

    assert hands.at_once(*[wake.on_nudge] * 6) == [None] * 6

    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.COMPLETED}
    assert Counter(house.counts().values()) == {1: RUNS}
    hands.assert_whole()
