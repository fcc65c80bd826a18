"""What only real processes show: an agent that kills its worker, a broker that is away, a worker that froze and came back."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults import oracle, storm
from tests.support import databases
from tests.support.report import say
from tests.support.sink import Sink
from tests.support.stack import Program, Stack, stack

pytestmark = pytest.mark.faults

NEIGHBOURS = 20
FREEZES = 5
LEASE_SECONDS = 1.0


def submitted(house: Stack, todo: list[storm.Order]) -> storm.Submitter:
    asking = storm.Submitter(house.client("rita"), todo)
    asking.finish()
    return asking


def plain_orders(count: int) -> list[storm.Order]:
    return [storm.Order(f"{number:03d}", "plain", twice=False) for number in range(count)]


def test_a_poison_agent_is_set_aside_after_five_deaths_and_its_neighbours_finish(tmp_path: Path) -> None:
    poison = storm.Order("poison", "poison", twice=False)
    neighbours = plain_orders(NEIGHBOURS)
    with Sink() as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url, AEGIS_LEASE_SECONDS="0.5") as house:
        web, worker = house.web(), house.worker()
        web.start()
        worker.start()
        house.wait_for_web()
        submitted(house, [poison, *neighbours])

        taken = storm.wait_for_rest(house, house.client("rita"), 1 + NEIGHBOURS, seconds=60)
        assert worker.is_running, "the cluster itself must outlive an agent that ends its pool process"
        worker.stop()
        is_whole, report = house.verify()
        facts = house.look()

    say(f"poison set aside after {facts['events']['step.lost']} lost calls, {taken:.1f} s")
    runs = {run["key"]: run for run in facts["runs"]}
    assert runs[poison.key]["status"] == "waiting_review"
    assert facts["events"]["run.quarantined"] == 1
    assert {runs[order.key]["status"] for order in neighbours} == {"completed"}
    assert facts["lost_calls"][runs[poison.key]["id"]] == 5
    assert is_whole, report


def test_without_any_broker_the_sweep_alone_finishes_everything(tmp_path: Path) -> None:
    todo = plain_orders(NEIGHBOURS)
    with Sink() as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url, AEGIS_REDIS_URL=databases.DEAD_BROKER) as house:
        # In a folder of its own it hears no bell of this machine either.
        web, sweep = house.web(), house.worker("sweep", AEGIS_DATA_DIR=str(tmp_path / "elsewhere"))
        web.start()
        sweep.start()
        house.wait_for_web()
        asking = submitted(house, todo)

        taken = storm.wait_for_rest(house, house.client("rita"), len(todo), seconds=30)
        sweep.stop()
        facts = house.look()

    say(f"{len(todo)} runs without a single nudge, at rest {taken:.1f} s after the last was submitted")
    assert oracle.violations(todo, asking.answers, facts, sink, worker_kills=0) == []


def test_a_worker_that_froze_longer_than_its_lease_does_nothing_twice(tmp_path: Path) -> None:
    todo = plain_orders(60)
    environment = {"AEGIS_TEST_PAUSE": "0.3", "AEGIS_LEASE_SECONDS": str(LEASE_SECONDS)}
    with Sink(latency=(0.05, 0.2)) as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url, **environment) as house:
        web, one, other = house.web(), house.worker(), house.worker()
        for program in (web, one, other):
            program.start()
        house.wait_for_web()
        asking = storm.Submitter(house.client("rita"), todo)
        for number in range(FREEZES):
            asking.release(len(todo) // FREEZES)
            time.sleep(0.5)
            freeze(one if number % 2 else other, LEASE_SECONDS * 2)
        asking.finish()

        storm.wait_for_rest(house, house.client("rita"), len(todo), seconds=60)
        one.stop()
        other.stop()
        is_whole, report = house.verify()
        facts = house.look()

    lost = facts["events"].get("step.lost", 0) + facts["events"].get("effect.lost", 0)
    say(f"{FREEZES} freezes, {lost} calls taken over")
    assert oracle.violations(todo, asking.answers, facts, sink, worker_kills=FREEZES) == []
    assert is_whole, report
    assert lost, "nothing was under way when a worker froze: that proved nothing"


def freeze(program: Program, seconds: float) -> None:
    """Stop every process of a program, as a machine that swaps or a suspended guest does, and let it go on."""
    assert program.process is not None
    os.killpg(program.process.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.killpg(program.process.pid, signal.SIGCONT)
