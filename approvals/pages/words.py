"""Words, tones and icons of the operator pages. Pure: time is an argument.

A `Mark` is what the shell draws as a tag: tone, icon and word together, because colour never speaks alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aegis.core import canonical
from aegis.core.diffs import pretty
from aegis.core.errors import Malformed

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Mark:
    """A state in tone, icon (name in the sprite) and word."""

    tone: str
    icon: str
    word: str


#: Places of provenance, as people read them.
ORIGINS = {
    "requester": "named by the requester",
    "record": "as the record has it",
    "outside": "from outside",
    "agent": "brought up by an agent",
}
RISKS = {
    "high": Mark("red", "high", "High"),
    "medium": Mark("amber", "medium", "Medium"),
    "low": Mark("grey", "low", "Low"),
}

REQUEST_STATUSES = {
    "open": Mark("violet", "hourglass", "Open"),
    "frozen": Mark("blue", "pause", "Frozen by a halt"),
    "approved": Mark("green", "check-circle", "Approved"),
    "rejected": Mark("red", "x-circle", "Rejected"),
    "changes_requested": Mark("amber", "undo", "Changes requested"),
    "expired": Mark("amber", "alarm", "Expired"),
    "withdrawn": Mark("grey", "skip", "Withdrawn"),
    "cancelled": Mark("grey", "skip", "Cancelled"),
}

VERDICTS = {
    "approve": Mark("green", "check-circle", "approved"),
    "reject": Mark("red", "x-circle", "rejected"),
    "request_changes": Mark("amber", "undo", "requested changes"),
}


def span(length: timedelta) -> str:
    """A length of time as people say it: "42 s", "7 min", "3 h 10 min", "1 d 2 h"."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86_400:
        hours, minutes = seconds // 3600, seconds % 3600 // 60
        return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"
    days, hours = seconds // 86_400, seconds % 86_400 // 3600
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(moment: datetime, now: datetime) -> str:
    return "just now" if now - moment < timedelta(seconds=5) else f"{span(now - moment)} ago"


def left(deadline: datetime, now: datetime) -> Mark:
    """How long until a deadline; red inside the last hour, amber inside the last four."""
    rest = deadline - now
    if rest <= timedelta(0):
        return Mark("red", "alarm", f"{span(-rest)} overdue")
    tone = "red" if rest < HOUR else "amber" if rest < 4 * HOUR else "grey"
    return Mark(tone, "alarm" if rest < HOUR else "clock", f"{span(rest)} left")


def duration(milliseconds: int | None) -> str:
    """A measured duration: "3 ms", "0.8 s", "30.0 s", "7 min 33 s"; "" if not measured."""
    if milliseconds is None:
        return ""
    if milliseconds < 100:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, rest = divmod(milliseconds // 1000, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else span(timedelta(milliseconds=milliseconds))


def pretty_text(body: str) -> str:
    """A stored payload for a `<pre>`; what is no JSON is shown as it stands."""
    try:
        return pretty(canonical.parse(body, max_bytes=max(len(body) * 4, 1)))
    except Malformed:
        return body


def clock(moment: datetime) -> str:
    """The time of day in UTC, for sentences made on the server ("until 08:40 UTC")."""
    return moment.astimezone(UTC).strftime("%H:%M UTC")


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listing(names: list[str], *, last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def origin(places: Sequence[str]) -> str:
    """From where a value is known: "named by the requester, and from outside"."""
    return ", and ".join(ORIGINS[place] for place in places if place in ORIGINS) or "not known"
