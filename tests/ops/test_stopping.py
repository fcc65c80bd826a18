"""SIGTERM while work is under way: all end by themselves, and what was in hand is given back at once (HAZARDS F31, K18)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults import oracle, storm
from tests.support.report import say
from tests.support.serving import processes_of
from tests.support.sink import Sink
from tests.support.stack import Program, stack

STOPS = int(os.environ.get("AEGIS_TEST_STOPS", "3"))
RUNS_PER_STOP = 12
LEASE_SECONDS = 300  # far longer than the test waits: work comes back because it is given back
HANG_SECONDS = 60.0

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def stop_all(worker: Program, data_dir: Path) -> float:
    """SIGTERM to every process of a worker, its children and theirs, as service managers do. Returns the seconds it took."""
    assert worker.process is not None
    started = time.monotonic()
    os.killpg(worker.process.pid, signal.SIGTERM)
    assert worker.process.wait(HANG_SECONDS) == 0
    taken = time.monotonic() - started
    left = {pid: line for pid, line in processes_of(data_dir).items() if "qcluster" in line}
    assert left == {}
    return taken


def test_a_worker_told_to_stop_with_its_whole_group_gives_its_work_back(tmp_path: Path) -> None:
    todo = [storm.Order(f"{number:03d}", "plain", twice=False) for number in range(STOPS * RUNS_PER_STOP)]
    environment = {"AEGIS_TEST_PAUSE": "1.5", "AEGIS_LEASE_SECONDS": str(LEASE_SECONDS)}
    seconds = []
    with Sink(latency=(0.05, 0.3)) as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url, **environment) as house:
        web, worker = house.web(), house.worker()
        web.start()
        house.wait_for_web()
        asking = storm.Submitter(house.client("rita"), todo)
        for number in range(STOPS):
            worker.start()
            asking.release(RUNS_PER_STOP)
            arrived = time.monotonic()
            while not sink.arrived_since(arrived):
                assert worker.is_running
                time.sleep(0.02)
            time.sleep(0.1 * (number % 4))  # in the middle of calls and commits
            seconds.append(stop_all(worker, tmp_path / "data"))
        asking.finish()
        worker.start()
        storm.wait_for_rest(house, house.client("rita"), len(todo), seconds=LEASE_SECONDS / 3)
        worker.stop()
        facts = house.look()

    lost = facts["events"].get("step.lost", 0) + facts["events"].get("effect.lost", 0)
    say(f"{STOPS} stops of the whole group, {min(seconds):.1f} to {max(seconds):.1f} s; {lost} calls outlasted the grace")
    assert oracle.violations(todo, asking.answers, facts, sink, worker_kills=STOPS) == []
