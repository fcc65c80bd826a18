"""A vote meets another vote, a withdrawal, a cancel, the deadline or the loss of its right, over HTTP on PostgreSQL.

Some of each kind at every change; 2,000 by `make races PART=k/n`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.drills import races
from tests.drills.hand import Hand
from tests.faults.race import open_requests
from tests.support.report import say
from tests.support.sink import Sink
from tests.support.stack import Program, Stack, stack

EACH = int(os.environ.get("AEGIS_RACES_EACH", "12"))
PLANTED = 24

pytestmark = [pytest.mark.postgres, pytest.mark.faults]


@dataclass
class Course:
    house: Stack
    web: Program
    hand: Hand
    requests: list[tuple[str, str, str]]
    seed: int


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    seed = int(os.environ.get("AEGIS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    say(f"seed {seed} (AEGIS_TEST_SEED={seed} repeats it)")
    with Sink() as sink, stack(tmp_path_factory.mktemp("races"), AEGIS_TEST_SINK=sink.url) as house, Hand(house) as hand:
        web = house.web()
        web.start()
        house.wait_for_web()
        open_requests(house, EACH * len(races.KINDS) + PLANTED)
        found = house.look()["requests"]
        yield Course(house, web, hand, [(pk, row["digest"], row["run"]) for pk, row in sorted(found.items())], seed)


def test_each_race_has_one_outcome_and_none_by_a_right_that_was_gone(course: Course) -> None:
    asked = course.requests[: EACH * len(races.KINDS)]

    run = races.run(course.house, course.hand, asked, races.KINDS, course.seed)

    facts = course.hand.do("facts", requests=[request for request, _, _ in asked])
    counts = races.won(run)
    say(
        "; ".join(
            f"{kind}: {counts[kind, True]} of {counts[kind, True] + counts[kind, False]} votes first" for kind in races.KINDS
        )
    )
    assert races.violations(run, facts) == []
    assert all(counts[kind, True] and counts[kind, False] for kind in ("approve/approve", "approve/reject"))


def test_without_the_lock_the_same_races_break_the_promise(course: Course) -> None:
    course.web.stop()
    planted = course.house.web("tests.faults.planted_wsgi:application")
    planted.start()
    course.house.wait_for_web()
    asked = course.requests[-PLANTED:]

    run = races.run(course.house, course.hand, asked, ("approve/reject", "approve/approve"), course.seed)
    planted.stop()

    found = races.violations(run, course.hand.do("facts", requests=[request for request, _, _ in asked]))
    say(f"lock taken out: {len(found)} violations in {PLANTED} races, such as {found[:1]}")
    assert found
