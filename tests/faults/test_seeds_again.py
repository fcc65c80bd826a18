"""What torture once found, and was mended, is tried again with every change: `tests/torture/regressions.txt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import seeds, storms
from tests.torture.weather import marks, weather

pytestmark = pytest.mark.faults

AGAIN = [(name, seed) for name in storms.STORMS for seed in seeds.regressions(name)]


@pytest.mark.parametrize(
    ("name", "seed"), [pytest.param(*pair, marks=marks(pair[0]), id=f"{pair[0]}-{pair[1]}") for pair in AGAIN]
)
def test_a_seed_that_once_found_something_finds_nothing_now(name: str, seed: int, tmp_path: Path) -> None:
    assert weather(name, seed, tmp_path).violations == []
