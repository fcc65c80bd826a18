"""Two worker hosts on one database and one queue. One of them dies; the other takes its runs over (HAZARDS F03, F30)."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.faults import oracle, storm
from tests.support.report import say
from tests.support.serving import processes_of, signal_all
from tests.support.sink import Sink
from tests.support.stack import Stack, stack

RUNS = 40
HELD = """
import json
from orchestration.engine.models import Run
print(json.dumps([list(row) for row in Run.objects.exclude(lease_by="").values_list("idempotency_key", "lease_by")]))
"""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def holders(house: Stack) -> dict[str, str]:
    """Run -> the worker process that held it last."""
    told = house.run("manage.py", "shell", "--no-imports", "-c", HELD).stdout
    return dict(json.loads(told.splitlines()[-1]))


def test_the_runs_of_a_host_that_died_are_taken_over_by_another(tmp_path: Path) -> None:
    todo = [storm.Order(f"{number:03d}", "plain", twice=False) for number in range(3 * RUNS)]
    environment = {"AEGIS_TEST_PAUSE": "0.5", "AEGIS_LEASE_SECONDS": "2"}
    with Sink(latency=(0.01, 0.1)) as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url, **environment) as house:
        web = house.web()
        one = house.worker("worker", AEGIS_DATA_DIR=str(tmp_path / "one"))
        other = house.worker("worker", AEGIS_DATA_DIR=str(tmp_path / "other"))
        web.start()
        house.wait_for_web()
        asking = storm.Submitter(house.client("rita"), todo)

        one.start()
        asking.release(RUNS)
        storm.wait_for_rest(house, house.client("rita"), RUNS, seconds=60)
        before = set(holders(house).values())

        other.start()
        asking.release(RUNS)
        arrived = time.monotonic()
        while not sink.arrived_since(arrived):
            time.sleep(0.02)
        killed = signal_all(tmp_path / "one", signal.SIGKILL)
        while processes_of(tmp_path / "one"):  # one that was forked while the list was made
            killed += signal_all(tmp_path / "one", signal.SIGKILL)
            time.sleep(0.05)
        assert one.process is not None
        one.process.wait(10)
        assert processes_of(tmp_path / "one") == {}
        storm.wait_for_rest(house, house.client("rita"), 2 * RUNS, seconds=60)

        one.start()  # the same machine, the same folder, the same number of processes
        asking.finish()
        storm.wait_for_rest(house, house.client("rita"), 3 * RUNS, seconds=60)
        by_run = holders(house)
        last = {by_run[order.key] for order in todo[2 * RUNS :]}
        one.stop()
        other.stop()
        is_whole, report = house.verify()
        facts = house.look()

    lost = facts["events"].get("step.lost", 0) + facts["events"].get("effect.lost", 0)
    say(f"{killed} processes of one host killed; {lost} calls taken over; {len(before)} and {len(last)} incarnations")
    assert oracle.violations(todo, asking.answers, facts, sink, worker_kills=1) == []
    assert is_whole, report
    assert before
    assert last
    others = set(by_run.values()) - before
    assert last <= others, "a process started again passed for the one before it"
