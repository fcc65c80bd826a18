"""A worker process between bell and driver: who rings never waits, a ring during a drive is not lost, a stop is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError

from aegis.core import wake
from orchestration.engine import worker

PATIENCE = 20.0


class Drive:
    """Stands in for the driver: each drive lasts until the test ends it."""

    begun: list[Drive] = []  # noqa: RUF012  emptied by the fixture
    arrived = threading.Semaphore(0)
    fails = False

    def __init__(self, *, stop: threading.Event) -> None:
        self.stop, self.over, self.looks = stop, threading.Event(), 0
        self.has_room, self.committed = True, 0

    def look(self) -> None:
        self.looks += 1
        if self.stop.is_set():
            self.over.set()

    def drive(self) -> None:
        Drive.begun.append(self)
        Drive.arrived.release()
        if Drive.fails:
            raise RuntimeError("the database is away")
        assert self.over.wait(PATIENCE)


@pytest.fixture
def drives(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Drive]]:
    """A worker process that looks once, and then only when it is told to: its sweep is an hour away."""
    settings.SWEEP_SECONDS = 3600
    Drive.begun, Drive.arrived, Drive.fails = [], threading.Semaphore(0), False
    monkeypatch.setattr(worker, "Driver", Drive)
    monkeypatch.setattr(worker, "housekeep", lambda: None)
    worker.start()
    resident = worker._resident
    assert resident is not None
    next_drive().over.set()
    yield Drive.begun
    worker.stop()
    for drive in Drive.begun:
        drive.over.set()
    resident.join(PATIENCE)
    assert not resident.is_alive()
    worker._resident = None
    worker._stop.clear()


def next_drive() -> Drive:
    assert Drive.arrived.acquire(timeout=PATIENCE), "nobody drives"
    return Drive.begun[-1]


def nobody_drives() -> bool:
    return not Drive.arrived.acquire(timeout=0.1)


def test_a_ring_starts_a_drive_at_once(drives: list[Drive]) -> None:
    wake.on_nudge()

    next_drive().over.set()
    assert nobody_drives()


def test_a_ring_during_a_drive_makes_it_look_and_once_more_when_it_ends(drives: list[Drive]) -> None:
    worker.look()
    going_on = next_drive()

    for _ in range(5):
        assert worker.look()
    assert going_on.looks == 5
    going_on.over.set()

    next_drive().over.set()  # whatever rang as the drive was ending
    assert nobody_drives(), "five rings are one look"


def test_the_queue_waits_for_no_drive(drives: list[Drive]) -> None:
    """Or a long one would keep the canary from the queue, and the supervisor would kill a worker that works."""
    worker.look()
    going_on = next_drive()

    task = threading.Thread(target=wake.on_nudge, daemon=True)
    task.start()
    task.join(PATIENCE)

    assert not task.is_alive()
    assert not going_on.over.is_set()


def test_a_worker_with_full_hands_says_so(drives: list[Drive]) -> None:
    worker.look()
    going_on = next_drive()
    going_on.has_room = False

    assert not worker.look()
    assert going_on.looks == 1


def test_a_drive_that_broke_is_not_the_last(drives: list[Drive]) -> None:
    Drive.fails = True
    worker.look()
    next_drive()

    Drive.fails = False
    while not nobody_drives():  # the look it owed
        drives[-1].over.set()
    worker.look()

    next_drive().over.set()


def test_a_stop_wakes_a_drive_that_waits_and_ends_the_thread(drives: list[Drive]) -> None:
    resident = worker._resident
    assert resident is not None
    worker.look()
    next_drive()

    worker.stop()

    resident.join(PATIENCE)
    assert not resident.is_alive()


class TestAlerts:
    """Rules are judged in a thread of their own."""

    @pytest.fixture
    def housekeeping(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
        """A worker process that keeps house many times a second; released each time it does."""
        settings.SWEEP_SECONDS = 0.02
        done = threading.Semaphore(0)
        monkeypatch.setattr(worker, "housekeep", done.release)
        for room, name in ((worker.keeping, "keep"), (worker.outbox, "look")):
            monkeypatch.setattr(room, name, lambda: None)
        monkeypatch.setattr(worker, "drive", lambda: None)
        yield done
        worker.stop()
        worker._resident = None
        for thread in threading.enumerate():
            if thread.name.startswith("aegis-"):
                thread.join(PATIENCE)
        worker._stop.clear()

    def test_a_judgement_that_takes_long_keeps_no_deadline_waiting_and_hears_the_stop(
        self, housekeeping: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, closed = threading.Event(), []

        def long(is_over: Any) -> int:
            begun.set()
            while not is_over():
                threading.Event().wait(0.01)
            return 0

        monkeypatch.setattr(worker.judging, "watch", long)
        monkeypatch.setattr(worker.connections, "close_all", lambda: closed.append(threading.current_thread().name))
        worker.start()
        assert begun.wait(PATIENCE)

        for _ in range(5):
            assert housekeeping.acquire(timeout=PATIENCE), "housekeeping waits for the judgement"
        (thread,) = [one for one in threading.enumerate() if one.name == "aegis-alerts"]
        worker.stop()
        thread.join(PATIENCE)

        assert not thread.is_alive()
        assert "aegis-alerts" in closed

    def test_a_database_that_is_away_ends_no_thread(
        self, housekeeping: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = threading.Semaphore(0)

        def away(is_over: Any) -> int:
            looks.release()
            raise OperationalError("the server closed the connection")

        monkeypatch.setattr(worker.judging, "watch", away)
        worker.start()

        for _ in range(3):
            assert looks.acquire(timeout=PATIENCE)


def test_elsewhere_a_ring_drives_until_idle(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command, a test: nobody is resident, so who rings does the work."""
    Drive.begun, Drive.fails = [], False
    monkeypatch.setattr(worker, "Driver", Drive)
    monkeypatch.setattr(Drive, "drive", lambda self: Drive.begun.append(self))

    assert worker.look()

    assert len(Drive.begun) == 1
