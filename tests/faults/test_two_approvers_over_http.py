"""Two approvers at one instant, 200 times, over HTTP on PostgreSQL: one outcome each, the loser told who and when (F22)."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults import race
from tests.support.report import say
from tests.support.sink import Sink
from tests.support.stack import Program, Stack, stack

RACES = 200

pytestmark = [pytest.mark.postgres, pytest.mark.faults]


@dataclass
class Arena:
    """A stack with open requests: the first half is decided as AEGIS is, the second half with the lock taken out."""

    house: Stack
    web: Program
    requests: dict[str, str]  # id -> digest
    seed: int

    def half(self, which: int) -> dict[str, str]:
        return dict(list(self.requests.items())[which * RACES :][:RACES])


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    seed = int(os.environ.get("AEGIS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    say(f"seed {seed} (AEGIS_TEST_SEED={seed} repeats it)")
    with Sink() as sink, stack(tmp_path_factory.mktemp("race"), AEGIS_TEST_SINK=sink.url) as house:
        web = house.web()
        web.start()
        house.wait_for_web()
        yield Arena(house, web, race.open_requests(house, 2 * RACES), seed)


def test_each_request_has_one_outcome_and_the_loser_is_told_who_and_when(arena: Arena) -> None:
    votes = race.race(arena.house, arena.half(0), arena.seed)
    facts = arena.house.look()

    winners = Counter(vote.person for two in votes.values() for vote in two if vote.answer.status == 200)
    say(f"{RACES} races; won: {dict(winners)}")
    assert race.violations(votes, facts) == []
    assert min(winners["lea"], winners["leo"]) > RACES // 20, "one of the two was always faster: that was no race"


def test_without_the_lock_the_same_races_break_the_promise(arena: Arena) -> None:
    arena.web.stop()
    planted = arena.house.web("tests.faults.planted_wsgi:application")
    planted.start()
    arena.house.wait_for_web()

    votes = race.race(arena.house, arena.half(1), arena.seed)
    planted.stop()

    found = race.violations(votes, arena.house.look())
    say(f"lock taken out: {len(found)} violations in {RACES} races, such as {found[:1]}")
    assert found
