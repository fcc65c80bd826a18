"""A histogram that can be added up: every duration falls into one of fixed slots, so percentiles of hours merge into those of
weeks. Pure.

A slot is at most a tenth wider than its beginning, and what it holds is told by its middle: a percentile is at most five in a
hundred away from the true one. Whole numbers only, so that every machine draws the same borders.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

#: Amounts above it count as it: three years in milliseconds. Sums of them fit a column of eight bytes.
MOST: Final = 10**11
#: The slot of what has no amount, or whose spread nobody asks for.
NONE: Final = -1


def _bounds() -> list[int]:
    found = [0, 1]
    while (low := found[-1]) <= MOST:
        more = low // 10  # what it holds beside its beginning; one less where its end would be too far from its middle
        if -(-more // 2) * 20 > low + more:
            more -= 1
        found.append(low + 1 + max(0, more))
    return found


#: Slot n holds what is at least `_BOUNDS[n]` and less than the next.
_BOUNDS: Final = _bounds()


def clipped(amount: int) -> int:
    return min(max(amount, 0), MOST)


def slot_of(amount: int) -> int:
    return bisect_right(_BOUNDS, clipped(amount)) - 1


def middle_of(slot: int) -> int:
    return (_BOUNDS[slot] + _BOUNDS[slot + 1] - 1) // 2


def percentile(counts: Mapping[int, int], share: float) -> int | None:
    """The amount that `share` of all do not exceed, by nearest rank; None if there is none.

    Args:
        counts: slot -> how many. What has no amount (`NONE`) is left out.
    """
    known = sorted((slot, count) for slot, count in counts.items() if slot != NONE and count)
    total = sum(count for _, count in known)
    rank = max(1, -(-round(share * 1_000) * total // 1_000))
    for slot, count in known:
        rank -= count
        if rank <= 0:
            return middle_of(slot)
    return None
