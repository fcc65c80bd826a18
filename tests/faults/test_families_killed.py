"""Workers are killed around forks, joins, waits and claims, with parents and children in flight: every child is joined once,
no resource is in two hands, every message is read once, and everything comes to rest."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.support.report import say
from tests.torture import crashes, seeds
from tests.torture.arena import Approvers, Arena, arena
from tests.torture.shapes import FAMILIES, Order, orders

#: Where a commit of a family dies: its rows moved, its waits (children, words, places in a queue) written, all written, done.
POINTS = ("planned", "runs_moved", "waits_written", "journal_written", "committed", "claimed")
MOST_PASSES = 6  # forks, joins and waits are some commits apart
KILLS = 8  # at random moments

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(seeds.server_under_test(), tmp_path_factory.mktemp("families")) as made:
        made.strict = True
        made.web()
        yield made


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_point_joins_holds_and_reads_once(house: Arena, point: str) -> None:
    seed = seeds.draw()
    dice = random.Random(f"{seed}{point}")

    taken = crashes.kill_at(house, point, dice.randint(1, MOST_PASSES), dice, FAMILIES)

    say(f"{point}: seed {seed}, at rest after {taken:.1f} s")
    assert house.violations() == []


def test_families_live_through_kills_at_random_moments(house: Arena) -> None:
    seed = seeds.draw()
    dice = random.Random(seed)
    drawn = orders(dice, f"{len(house.orders)}-", FAMILIES)
    todo = [*(next(drawn) for _ in range(10)), Order(f"{len(house.orders)}-last", "plain", FAMILIES[0].name)]

    with Approvers(house, seed):
        asking = house.submit(todo)
        for _ in range(KILLS):
            worker = house.worker()
            time.sleep(dice.uniform(0.05, 0.4))
            worker.kill()
        asking.finish()
        with crashes.one_worker(house):
            taken = house.rest()

    say(f"seed {seed}, at rest after {taken:.1f} s")
    assert house.violations() == []
    assert len(house.rows("SELECT 1 FROM orchestration_run WHERE parent_id IS NOT NULL")) > len(todo), "no children: no proof"
    assert house.rows("SELECT 1 FROM audit_event WHERE type = 'resource.waited'"), "nobody met at a dock: that proved nothing"
