"""Work coming in, people deciding, and one kind of fault again and again; then all rests, and nothing was lost or done twice.

One seed draws workflows, orders and moments.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import seeds, storms
from tests.torture.weather import COUNTS, marks, weather

pytestmark = pytest.mark.faults


def test_every_storm_is_tried() -> None:
    assert {*COUNTS, "crash points"} == set(storms.STORMS)  # those: test_crash_points


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name), id=name.replace(" ", "-")) for name in COUNTS])
def test_after_a_storm_nothing_is_lost_and_nothing_was_done_twice(name: str, tmp_path: Path) -> None:
    result = weather(name, seeds.draw(), tmp_path)

    assert result.violations == []
    assert result.count >= min(COUNTS[name], 1 if name == "poison" else 10**6) * 0.8, "too little happened: that proved nothing"
    assert result.longest_rest < 60
