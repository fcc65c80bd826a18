"""When the supervisor calls a worker wedged, and when it must not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from aegis.core import wake
from aegis.portal.management import canary as module
from aegis.portal.management.canary import START_SECONDS, Canary
from aegis.portal.management.supervisor import Child

pytestmark = pytest.mark.django_db


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    made = Canary(tmp_path / "beat", send_every=0.0, stalled_after=10)
    made.excuse()
    return made


def beat(canary: Canary, seconds_ago: float) -> None:
    canary.beat_file.touch()
    moment = time.time() - seconds_ago
    os.utime(canary.beat_file, (moment, moment))


def started(canary: Canary, seconds_ago: float) -> None:
    canary._excused_until = time.time() - seconds_ago


def test_a_fresh_beat_is_no_stall(canary: Canary) -> None:
    started(canary, 100)
    beat(canary, 9)

    assert not canary.is_stalled


def test_an_old_beat_is_a_stall(canary: Canary) -> None:
    started(canary, 100)
    beat(canary, 11)

    assert canary.is_stalled


def test_a_worker_that_starts_slowly_is_not_killed_for_it(canary: Canary) -> None:
    started(canary, START_SECONDS - 1)
    beat(canary, 1000)  # its predecessor's

    assert not canary.is_stalled

    started(canary, START_SECONDS + 1)
    assert canary.is_stalled


def test_a_silent_broker_is_not_the_workers_fault(canary: Canary, monkeypatch: pytest.MonkeyPatch) -> None:
    started(canary, 1000)
    beat(canary, 1000)
    monkeypatch.setattr(module, "_send", lambda: False)

    canary.send_if_due()

    assert not canary.broker_answers
    assert not canary.is_stalled


def test_a_worker_that_blocks_the_database_its_queue_is_in_is_still_found(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(canary, 1000)
    beat(canary, 100)
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
