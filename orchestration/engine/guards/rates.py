"""How often something was used lately: a log that never lets more through than `count` in any stretch of length `per`. Pure.

Times are whole milliseconds since 1970. A log of many uses is kept in `GRAINS` grains per stretch; a grain counts until its
last use is too old, so the limit is never exceeded and at most a grain (5 %) of it is left unused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aegis.core import canonical

GRAINS: Final = 20


@dataclass(frozen=True, slots=True)
class Log:
    """Uses, oldest first.

    Attributes:
        uses: (when the grain began, its last use, how many).
        floor: the newest use that was forgotten; who reads an older clock must read it again.
    """

    uses: tuple[tuple[int, int, int], ...] = ()
    floor: int = 0


EMPTY: Final = Log()


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def used(log: Log, at: int, per: timedelta) -> int | None:
    """Uses less than `per` before `at`, and those after it. None: `at` is older than what is remembered.

    A use exactly `per` ago counts too: milliseconds are cut off, so it may have been a little later.
    """
    since = at - _length(per)
    if since <= log.floor:
        return None
    return sum(count for _, last, count in log.uses if last >= since)


def take(log: Log, at: int, per: timedelta) -> Log:
    """The log with one more use at `at`. Ask `used` first."""
    length = _length(per)
    kept = tuple(use for use in log.uses if use[1] >= at - length)
    forgotten = max((last for _, last, _ in log.uses if last < at - length), default=log.floor)
    floor = max(log.floor, forgotten)
    if kept and 0 <= at - kept[-1][0] < length // GRAINS:
        began, last, count = kept[-1]
        return Log((*kept[:-1], (began, max(last, at), count + 1)), floor)
    return Log(tuple(sorted((*kept, (at, at, 1)))), floor)


def free_at(log: Log, at: int, per: timedelta, count: int) -> datetime:
    """When the next use may be, if nobody is faster: the moment enough uses are too old."""
    length, left, moment = _length(per), used(log, at, per) or 0, at
    for _, last, uses in log.uses:
        if left < count:
            break
        if last >= at - length:
            left, moment = left - uses, last + length + 1
    return datetime.fromtimestamp(moment / 1000, UTC)


def dump(log: Log) -> str:
    return canonical.dump({"uses": [list(use) for use in log.uses], "floor": log.floor}).decode()


def load(text: str) -> Log:
    value = canonical.parse(text)
    return Log(tuple((began, last, count) for began, last, count in value.get("uses", ())), value.get("floor", 0))


def _length(per: timedelta) -> int:
    return int(per / timedelta(milliseconds=1))
