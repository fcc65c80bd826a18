"""When the supervisor calls a worker wedged, and when it must not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from aegis.core import clock, wake
from aegis.portal.management import canary as module
from aegis.portal.management.canary import START_SECONDS, Canary
from aegis.portal.management.supervisor import Child

pytestmark = pytest.mark.django_db


class Passing:
    """Seconds pass as the test says: on the clock that only goes forward, and, if it says so, on the one of the wall."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1_000.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.seconds)

    def __call__(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Passing:
    return Passing(monkeypatch)


@pytest.fixture
def canary(tmp_path: Path, passing: Passing) -> Canary:
    return Canary(tmp_path / "beat", send_every=0.0, stalled_after=10)


def beat(canary: Canary, *, at: float | None = None) -> None:
    """
    Args:
        at: what the clock of the wall says; None: the truth.
    """
    canary.beat_file.touch()
    if at is not None:
        os.utime(canary.beat_file, (at, at))
    assert not canary.is_stalled  # noticed


def test_a_canary_in_time_is_no_stall_and_a_late_one_is(canary: Canary, passing: Passing) -> None:
    beat(canary)
    passing(9)
    assert not canary.is_stalled

    passing(2)
    assert canary.is_stalled


def test_a_clock_that_is_set_neither_stalls_a_worker_nor_hides_that_it_stalls(canary: Canary, passing: Passing) -> None:
    beat(canary, at=time.time() - 3_600)
    passing(9)
    assert not canary.is_stalled

    beat(canary, at=time.time() + 3_600)
    passing(11)
    assert canary.is_stalled


def test_a_worker_that_starts_slowly_is_not_killed_for_it(canary: Canary, passing: Passing) -> None:
    beat(canary)  # its predecessor's
    passing(1_000)
    canary.excuse()

    passing(START_SECONDS - 1)
    assert not canary.is_stalled

    passing(2)
    assert canary.is_stalled


def test_a_silent_broker_is_not_the_workers_fault(canary: Canary, passing: Passing, monkeypatch: pytest.MonkeyPatch) -> None:
    passing(1_000)
    monkeypatch.setattr(module, "_send", lambda: False)

    canary.send_if_due()

    assert not canary.broker_answers
    assert not canary.is_stalled


def test_a_worker_that_blocks_the_database_its_queue_is_in_is_still_found(
    canary: Canary, passing: Passing, monkeypatch: pytest.MonkeyPatch
) -> None:
    passing(1_000)
    canary.broker_may_be_away = False
    monkeypatch.setattr(module, "_send", lambda: False)

    canary.send_if_due()

    assert canary.is_stalled


def test_the_task_touches_the_file_of_its_own_supervisor_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(wake.BEAT_FILE_VARIABLE, raising=False)
    wake.on_canary()

    monkeypatch.setenv(wake.BEAT_FILE_VARIABLE, str(tmp_path / "beat"))
    wake.on_canary()

    assert [path.name for path in tmp_path.iterdir()] == ["beat"]


def test_backoff_grows_and_is_forgiven() -> None:
    child = Child("web", list)
    child.started_at = time.monotonic()

    delays = [child.schedule_restart() for _ in range(8)]
    child.started_at = time.monotonic() - 61

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert child.schedule_restart() == 0.5
