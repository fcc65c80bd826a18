"""What the rules find in thirty days, and what they cry wolf about. A bug is planted in the statistic too, and must show."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, pstdev

import pytest

from audit.alerts import robust
from tests.alerts import thirty_days

SEEDS = range(1, 13)  # none left out


@pytest.mark.parametrize("seed", SEEDS)
def test_nine_of_ten_shifts_are_found_within_two_windows_with_one_false_alarm_at_most(seed: int) -> None:
    result = thirty_days.run(seed)

    assert result.planted == 10
    assert len(result.found) >= 9, result.found
    assert max(result.false.values(), default=0) <= 1, result.false


def test_a_mean_and_its_deviation_would_miss_the_second_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_robust(past: Sequence[float]) -> tuple[float, float]:
        return fmean(past), pstdev(past)

    monkeypatch.setattr(robust, "center_and_spread", not_robust)

    assert [seed for seed in SEEDS[:5] if len(thirty_days.run(seed).found) >= 9] == []


def test_the_same_seed_finds_the_same() -> None:
    assert thirty_days.run(7) == thirty_days.run(7)
