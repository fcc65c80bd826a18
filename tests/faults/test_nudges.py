"""The queue is a hint: repeating, delaying, shuffling, losing its messages changes nothing (promise 4, HAZARDS F09 to F11)."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aegis.core import wake
from aegis.core.wake import local
from audit.models import Event
from orchestration.engine import worker
from orchestration.engine.models import Run
from tests.faults import hands
from tests.support.sink import Sink

RUNS = 12
POSTMEN = 4
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


def test_nudges_repeated_delayed_and_shuffled_drive_each_run_once(house: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ring is held back, multiplied and delivered out of order by several hands, most of them after the work is done."""
    dice = random.Random(9)
    post: list[float] = []

    def hold_back(folder: Path, **_: Any) -> bool:
        post.extend(dice.uniform(0, 0.02) for _ in range(dice.randint(2, 5)))
        return True

    monkeypatch.setattr(local, "ring", hold_back)
    monkeypatch.setattr(wake, "_ring_queue", lambda: hold_back(Path()))
    for number in range(RUNS):
        hands.submit(f"G-{number}")
    assert len(post) >= 2 * RUNS
    dice.shuffle(post)

    def deliver(postman: int) -> None:
        for delay in list(post)[postman::POSTMEN]:
            time.sleep(delay)
            wake.on_nudge()

    assert hands.at_once(*[lambda postman=postman: deliver(postman) for postman in range(POSTMEN)]) == [None] * POSTMEN

    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.COMPLETED}
    assert Counter(house.counts().values()) == {1: RUNS}
    hands.assert_whole()


def test_a_nudge_that_never_came_is_made_up_for_by_the_next_look(house: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "ring", lambda folder, **_: True)
    monkeypatch.setattr(wake, "_ring_queue", lambda: True)
    for number in range(RUNS):
        hands.submit(f"H-{number}")
    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.RUNNING}

    worker.drive()  # what the sweep does each second

    assert set(Run.objects.values_list("status", flat=True)) == {Run.Status.COMPLETED}
