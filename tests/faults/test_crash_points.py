"""Kill -9 at every named point, twice each: nothing lost, nothing twice, the record whole, all at rest (HAZARDS F01, F04).

The counts of the full table: `make torture`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis.core import faults
from tests.support.report import say
from tests.torture import crashes, seeds
from tests.torture.arena import Arena, arena

KILLS = 2

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(seeds.server_under_test(), tmp_path_factory.mktemp("crash")) as made:
        made.strict = True
        made.web()
        yield made


@pytest.mark.parametrize("point", faults.CRASH_POINTS)
def test_a_process_killed_at_a_point_loses_and_repeats_nothing(house: Arena, point: str) -> None:
    seed = seeds.draw()
    dice = random.Random(f"{seed}{point}")

    rests = [crashes.kill_at(house, point, passes, dice) for passes in (1, dice.randint(2, crashes.MAX_PASS))][:KILLS]

    say(f"{point}: seed {seed}, at rest after {max(rests):.1f} s")
    assert house.violations() == []


def test_every_point_the_code_names_is_one_that_is_killed_at() -> None:
    root = Path(faults.__file__).resolve().parents[2]
    called = {
        name
        for folder in ("aegis", "approvals", "audit", "orchestration")
        for path in (root / folder).rglob("*.py")
        for name in re.findall(r'crash_point\("(\w+)"\)', path.read_text())
    }

    assert called == set(faults.CRASH_POINTS)


def test_an_unknown_point_is_refused() -> None:
    with pytest.raises(ValueError, match="no crash point 'commited'"):
        faults.arm("commited:1")
    with pytest.raises(ValueError, match="neither KILL nor STOP"):
        faults.arm("committed:1:TERM")
