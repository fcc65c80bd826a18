"""Work coming in, people deciding, and one kind of fault again and again; then all rests, and nothing was lost or done twice.

A part of the counts of `make torture`, and every seed that once found something. One seed draws workflows, orders and moments.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.report import say
from tests.torture import seeds, storms

pytestmark = pytest.mark.faults

#: Fault -> how often it happens here.
COUNTS = {
    "random kills": 25,
    "two hosts": 4,
    "lost answers": 30,
    "lost connections": 20,
    "freezes": 6,
    "broker wipes": 2,
    "repeated messages": 400,
    "key rotations": 1,
    "poison": 499,  # neighbours of one poison run
    "group stops": 2,
}
AGAIN = [(name, seed) for name in storms.STORMS for seed in seeds.regressions(name)]


def on(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.postgres] if name in storms.ON_POSTGRES else []


def weather(name: str, seed: int, count: int, folder: Path) -> storms.Result:
    result = storms.STORMS[name](storms.Storm(seeds.server_under_test(), folder, seed, count))
    say(
        f"{name}: {result.count} in {result.seconds:g} s, {result.runs} runs, at rest after {result.longest_rest:g} s,"
        f" AEGIS_TEST_SEED={seed} repeats it {result.notes or ''}"
    )
    return result


def test_every_storm_is_tried() -> None:
    assert {*COUNTS, "crash points"} == set(storms.STORMS)  # those: test_crash_points


@pytest.mark.parametrize("name", [pytest.param(name, marks=on(name), id=name.replace(" ", "-")) for name in COUNTS])
def test_after_a_storm_nothing_is_lost_and_nothing_was_done_twice(name: str, tmp_path: Path) -> None:
    result = weather(name, seeds.draw(), COUNTS[name], tmp_path)

    assert result.violations == []
    assert result.count >= min(COUNTS[name], 1 if name == "poison" else 10**6) * 0.8, "too little happened: that proved nothing"
    assert result.longest_rest < 60


@pytest.mark.parametrize(
    ("name", "seed"), [pytest.param(*pair, marks=on(pair[0]), id=f"{pair[0]}-{pair[1]}") for pair in AGAIN]
)
def test_a_seed_that_once_found_something_finds_nothing_now(name: str, seed: int, tmp_path: Path) -> None:
    assert weather(name, seed, COUNTS[name], tmp_path).violations == []
