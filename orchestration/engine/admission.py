"""Is there room for more work? Pure: what was measured in, a refusal or nothing out. `pressure` measures.

Nobody may hold more of the backlog than a fixed multiple of what is still free (Choudhury and Hahne, "Dynamic queue length
thresholds for shared-memory packet switches", 1998). Whoever floods alone stops at `1 - reserve` of the limit; two who flood
stop earlier, each at the same height; and however many flood, something stays free for whoever comes next. No list of clients,
no quotas to keep: the rule follows the load by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aegis.core.errors import Overloaded, TooLarge

MIN_WAIT_SECONDS: Final = 1.0
MAX_WAIT_SECONDS: Final = 60.0
FIRST_WAIT_SECONDS: Final = 5.0  # nothing is known yet about how fast work is done
SPACE_WAIT_SECONDS: Final = 30.0  # a person has to make room


class BacklogFull(Overloaded):
    code, title = "backlog_full", "More work waits than AEGIS takes in"


class ShareFull(Overloaded):
    """Others may still submit: the asker alone has too much waiting."""

    code, title = "share_full", "You have as much work waiting as one client may"


class SpaceLow(Overloaded):
    code, title = "space_low", "Too little space is left to take in more work"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the installation allows.

    Attributes:
        backlog: runs that wait to be driven.
        reserve: part of it that one client alone never fills, between 0 and 1.
        free_bytes: least space left for the database.
    """

    backlog: int
    reserve: float
    free_bytes: int

    @property
    def unquestioned(self) -> int:
        """Backlog up to which nobody can hold too much, whoever it is."""
        return int(self.backlog * (1 - self.reserve))


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured.

    Attributes:
        backlog: counted up to just above the limit.
        own: the asker's part of it; not asked for up to `Limits.unquestioned`.
        free_bytes: None where it cannot be known.
        drained_per_second: runs that left the backlog lately, 0 if none did; None if that was not measured yet.
    """

    backlog: int
    own: int
    free_bytes: int | None
    drained_per_second: float | None


def refusal(limits: Limits, load: Load, count: int) -> Overloaded | None:
    """Why `count` more runs are not taken in now; None if they are.

    Raises:
        TooLarge: so many at once would never be taken in.
    """
    if count > limits.unquestioned:
        raise TooLarge(f"{count:,} items at once; this installation takes at most {limits.unquestioned:,}")
    if load.free_bytes is not None and load.free_bytes < limits.free_bytes:
        left, least = load.free_bytes / 2**20, limits.free_bytes / 2**20
        detail = f"{left:,.0f} MiB are left for the database; work is taken in above {least:,.0f}"
        return SpaceLow(detail, retry_after=SPACE_WAIT_SECONDS)
    over = load.backlog + count - limits.backlog
    if over > 0:
        return BacklogFull(
            f"{load.backlog:,} runs wait; at most {limits.backlog:,} may", retry_after=_wait(over, load.drained_per_second)
        )
    if load.backlog + count <= limits.unquestioned:
        return None
    mine = load.own + count
    may = int((limits.backlog - load.backlog - count) * (1 - limits.reserve) / limits.reserve)
    if mine > may:
        return ShareFull(
            f"{load.own:,} of the {load.backlog:,} runs that wait are yours; the rest of the room is kept for others",
            retry_after=_wait(mine - may, load.drained_per_second),
        )
    return None


def _wait(too_many: int, drained_per_second: float | None) -> float:
    """Seconds until the surplus will have been driven, if it goes on as lately."""
    if drained_per_second is None:
        return FIRST_WAIT_SECONDS
    seconds = too_many / drained_per_second if drained_per_second > 0 else MAX_WAIT_SECONDS
    return min(MAX_WAIT_SECONDS, max(MIN_WAIT_SECONDS, seconds))
