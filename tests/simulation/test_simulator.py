"""The engine's pure core under ten thousand fault plans; here a sample of them, and that the simulator would see a bug."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace

import orjson
import pytest

from aegis.core.faults import CRASH_POINTS
from tests.simulation import plan, simulator
from tests.simulation.__main__ import REGRESSIONS, ROOT
from tests.simulation.plan import Plan
from tests.simulation.plants import PLANTS
from tests.simulation.shrink import shrink, told
from tests.simulation.simulator import simulate

SAMPLE = 300
CHUNK = 50
MOST_SEEDS = 200  # in which a planted bug must show


@pytest.mark.parametrize("first", range(0, SAMPLE, CHUNK))
def test_no_promise_is_broken_under_any_plan_of_the_sample(first):
    results = [simulate(seed) for seed in range(first, first + CHUNK)]

    assert [told(shrink(result)) for result in results if result.promise] == []
    assert min(result.lines for result in results) >= simulator.LINES
    assert sum(result.ended["completed"] for result in results) > CHUNK


@pytest.mark.parametrize("seed", [int(line.split("#")[0]) for line in REGRESSIONS.read_text().splitlines() if line[:1] != "#"])
def test_seeds_that_once_found_something_find_nothing(seed):
    result = simulate(seed)

    assert not result.promise, told(shrink(result))


def test_the_same_seed_makes_the_same_bytes_in_any_process():
    code = (
        "import django; django.setup(); from tests.simulation.simulator import simulate;"
        "print([simulate(seed).digest for seed in (3, 4, 5)])"
    )

    said = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": salt}, capture_output=True, text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    ]  # fmt: skip

    assert said[0] == said[1] == f"{[simulate(seed).digest for seed in (3, 4, 5)]}\n"


def test_runs_fork_wait_claim_and_roll_back():
    told = Counter()
    for seed in range(30):
        simulation = simulator.Simulation(seed, plan.draw(seed))
        simulation.run()
        told += Counter(orjson.loads(line)["type"] for line in simulation.store.journal)

    assert {
        "run.forked", "child.ended", "step.joined", "step.stopping", "message.received", "wait.ended", "deadline.passed",
        "resource.claimed", "resource.waited", "resource.released", "rollback.asked", "run.rolled_back",
    } <= told.keys()  # fmt: skip


def test_another_seed_makes_another_journal():
    assert len({simulate(seed).digest for seed in range(20)}) == 20


def test_workers_and_callers_die_at_every_named_point():
    inside = {*plan.WORKER_POINTS, *plan.CALLER_POINTS}
    assert inside | {*plan.OUTSIDE_POINTS} == {*CRASH_POINTS}
    often = dict.fromkeys(sorted(inside), frozenset({2, 9, 16}))

    faults = sum((simulate(seed, replace(plan.draw(seed), crashes=often)).faults for seed in range(4)), Counter())

    assert {name for name in faults if name.startswith("crash:")} == {f"crash:{point}" for point in inside}


def test_every_kind_of_fault_can_be_had():
    rates = dict.fromkeys((one.name for one in fields(Plan) if one.type == "float" and one.name != "lease_s"), 0.1)
    rates["word_twice"] = 0.5  # a child ends less often than anything else happens
    everything = replace(plan.draw(1), **rates, workers=3, halts=2, matrix_edits=2, record_edits=2, clock_steps=2)

    results = [simulate(seed, everything) for seed in range(4)]

    assert [result.promise for result in results] == [""] * 4
    told = {*(rates.keys() - {"poison"}), "halt", "matrix edited", "record edited", "clock stepped"}
    assert told <= sum((result.faults for result in results), Counter()).keys()


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_seen(name):
    bug = PLANTS[name]
    with bug.plant() as parts:
        found = (simulate(seed, bug.plan_for(seed), **parts) for seed in range(MOST_SEEDS))
        seen = next((result for result in found if result.promise in bug.promises), None)

    assert seen is not None, f"{MOST_SEEDS} seeds and none saw it"
    assert not simulate(seen.seed, seen.plan).promise  # it was the plant


def test_a_failing_plan_is_shrunk_to_what_makes_it_fail():
    bug = PLANTS["fence not checked"]
    with bug.plant() as parts:
        found = (simulate(seed, bug.plan_for(seed), **parts) for seed in range(MOST_SEEDS))
        failing = next(result for result in found if result.promise)
        least = shrink(failing, **parts)

    assert least.promise == failing.promise
    assert len(least.plan.faults()) < len(failing.plan.faults())
    assert "last events:" in told(least)
