"""How far one value is from what is usual, by a statistic that a few odd values of the past do not move. Pure.

The usual is the median m of the past values. Their spread is 1.4826 times the median of their distances from m (for values
that spread like a bell curve that is their standard deviation). An incident last week, in less than half of the values, moves
neither; a mean and a standard deviation would take the incident for usual and miss the next one like it.

Few values can lie close together by chance, so the spread is never less than the noise that counting alone makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import Final

#: Median distance -> standard deviation, for values that spread like a bell curve.
SCALE: Final = 1.4826


@dataclass(frozen=True, slots=True)
class Usual:
    """What past values say. `spread` holds the noise of counting already; `samples` is how many values there were."""

    center: float
    spread: float
    samples: int

    def score(self, value: float) -> float:
        """How many spreads above the usual; negative if below."""
        return (value - self.center) / self.spread


def center_and_spread(past: Sequence[float]) -> tuple[float, float]:
    """
    Args:
        past: at least one value.
    """
    center = median(past)
    return center, SCALE * median(abs(value - center) for value in past)


def usual(past: Sequence[float], noise: float) -> Usual:
    center, spread = center_and_spread(past)
    return Usual(center, max(spread, noise), len(past))


def count_noise(center: float) -> float:
    """Of a count that is usually `center`: events that know nothing of each other vary by its root."""
    return sqrt(center + 1)


def share_noise(center: float, whole: int) -> float:
    """Of a share of `whole` events; never taken as if fewer than two events had been otherwise."""
    kept = min(max(center, 2 / (whole + 4)), (whole + 2) / (whole + 4))
    return sqrt(kept * (1 - kept) / whole)


def percentile_noise(center: float, whole: int) -> float:
    """Of a percentile of `whole` amounts; slots of the histogram blur it by a twentieth anyway."""
    return max(center * max(0.05, 1 / sqrt(whole)), 1.0)
