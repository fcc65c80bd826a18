"""Durations as people write them in manifests: "30s", "15m", "4h", "2d", "1h30m". Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from aegis.core.errors import Fault, Invalid

#: For JSON Schemas of documents that hold a duration.
PATTERN: Final = r"^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
SCHEMA: Final = {"type": "string", "pattern": PATTERN, "minLength": 2, "maxLength": 30}
MAXIMUM: Final = timedelta(days=3650)

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


class DurationInvalid(Invalid):
    code, title = "duration_invalid", "This is no duration"


def parse(text: str) -> timedelta:
    """Read "4h" or "1h30m": days, hours, minutes, seconds, in this order, whole numbers, more than nothing.

    Raises:
        DurationInvalid: anything else, or beyond ten years.
    """
    found = re.fullmatch(PATTERN, text) if isinstance(text, str) and text.isascii() else None
    if not found or not text:
        raise _refused(text, "write it like 30s, 15m, 4h, 2d or 1h30m")
    seconds = sum(
        int(part[:-1]) * size for part, (_, size) in zip(found.groups(default="0_"), _UNITS, strict=True) if part != "0_"
    )
    if seconds == 0:
        raise _refused(text, "must be more than nothing")
    if seconds > MAXIMUM.total_seconds():
        raise _refused(text, "must be at most ten years")
    return timedelta(seconds=seconds)


def describe(duration: timedelta) -> str:
    """The shortest form that `parse` reads back; parts of a second are dropped. "0s" for nothing."""
    rest = int(duration.total_seconds())
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _refused(text: object, what: str) -> DurationInvalid:
    shown = repr(text)[:40]
    return DurationInvalid(f"{shown}: {what}", faults=[Fault("", what)])
