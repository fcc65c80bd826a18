"""Typed values of a table's columns: how a fact or a literal is read, compared and shown. Pure.

Dates, moments and durations are read into whole numbers (days, microseconds, seconds), so that one order serves every type. A
fact that is not of its column's type has no value here; what that means is the table's rule, never a guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, get_args

from aegis.core import canonical, clock_text, durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.expressions import VariableType

Value = Any  # str | bool | int | float; None = the fact is absent or null

#: Types a column may have, each with what a person has to know of it.
TYPES: Final[Mapping[str, str]] = {
    "string": "text",
    "int": "a whole number",
    "number": "a number",
    "bool": "true or false",
    "date": "a date like 2026-01-31",
    "datetime": "a moment with its zone, like 2026-01-31T09:00:00Z",
    "duration": "a duration like 90m, 1h30m or PT15M",
    "list": "a list",
    "map": "an object",
    "any": "anything",
}
#: What conditions in CEL see of a column: dates as text and moments as UTC text of one length, whose orders are those of time;
#: durations as seconds.
CEL_TYPES: Final[Mapping[str, VariableType]] = {
    **{name: name for name in get_args(VariableType)}, "date": "string", "datetime": "string", "duration": "int",
}  # fmt: skip

ORDERED: Final = frozenset({"int", "number", "date", "datetime", "duration"})
DISCRETE: Final = ORDERED - {"number"}
#: Types whose cells can be read; in the others only "-" can stand.
WITH_CELLS: Final = ORDERED | {"string", "bool"}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LONGEST: Final = 999_999 * 86_400
_LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "int": (-canonical.MAX_SAFE_INTEGER, canonical.MAX_SAFE_INTEGER),
    "date": (1, date.max.toordinal()),
    "datetime": (-62_135_596_800_000_000, 253_402_300_799_999_999),
    "duration": (0, _LONGEST),
}
#: What stands for a value when a column is not tested at all.
TYPICAL: Final[Mapping[str, Value]] = {
    "string": "anything", "int": 0, "number": 0, "bool": True, "list": [], "map": {}, "any": "anything",
    "date": date(2026, 1, 1).toordinal(), "datetime": 1_767_225_600_000_000, "duration": 3_600,
}  # fmt: skip
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_SHORT: Final = re.compile(durations.PATTERN, re.ASCII)
_ISO: Final = re.compile(
    r"P(?=[0-9T])(?:(?P<d>[0-9]{1,6})D)?(?:T(?=[0-9])(?:(?P<h>[0-9]{1,6})H)?(?:(?P<m>[0-9]{1,6})M)?(?:(?P<s>[0-9]{1,6})S)?)?",
    re.ASCII,
)


class NotOfType(Invalid):
    """A fact or literal that is not of its column's type."""

    code, title = "value_not_of_type", "The value is not of the column's type"


@dataclass(frozen=True, slots=True)
class Column:
    """An input as declared.

    Attributes:
        values: the only ones there are, in the order written; empty = any of the type.
        low, high: inclusive bounds, as read; None = none beyond those of the type.
        is_optional: the fact may be absent or null, which only "-" and "null" match.
    """

    name: str
    type: str
    values: tuple[Value, ...] = ()
    low: Value = None
    high: Value = None
    is_optional: bool = False
    label: str = ""

    def read(self, fact: Json) -> Value:
        """The value of a fact of this column.

        Raises:
            NotOfType: of another type, or outside what the table declares; the sentence does not quote the fact.
        """
        if fact is None:
            if self.is_optional:
                return None
            raise NotOfType("is null")
        value = read(self.type, fact)
        if self.values and value not in self.values:
            raise NotOfType("is none of the values the table declares")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise NotOfType("is outside the bounds the table declares")
        return value

    @property
    def limits(self) -> tuple[Value, Value]:
        """Inclusive bounds, those of the type where none are declared; None = unbounded."""
        low, high = _LIMITS.get(self.type, (None, None))
        return (low if self.low is None else self.low, high if self.high is None else self.high)


def column_of(name: str, declared: Json) -> Column:
    """From the document: a type alone, or `{type, values, min, max, optional, label}`.

    Raises:
        NotOfType: a value or bound is not of the type, or the bounds contradict each other; faults point below the input.
    """
    spec = {"type": declared} if isinstance(declared, str) else declared
    kind = spec["type"]
    values = tuple(_declared(kind, one, f"/values/{index}") for index, one in enumerate(spec.get("values", ())))
    low, high = (_declared(kind, spec[key], f"/{key}") if key in spec else None for key in ("min", "max"))
    if values and kind not in ORDERED | {"string"}:
        raise _refused("/values", f"a {kind} column lists no values", "leave them out, or give the column the type string")
    if (low is not None or high is not None) and kind not in ORDERED:
        raise _refused("/min" if low is not None else "/max", f"{kind} has no order", "use bounds for numbers and times alone")
    if values and (low is not None or high is not None):
        raise _refused("/values", "values and bounds together say two things", "leave one of them out")
    if len(set(values)) < len(values):
        raise _refused("/values", "a value is listed twice", "list each once")
    if low is not None and high is not None and low > high:
        raise _refused("/max", "is below min", "swap the two")
    return Column(name, kind, values, low, high, bool(spec.get("optional")), spec.get("label", ""))


def read(kind: str, value: Json) -> Value:
    """A JSON value (not null) as a value of a type.

    Raises:
        NotOfType
    """
    if kind == "any":
        return value
    is_truth = isinstance(value, bool)  # true is no number here, though Python says so
    if kind == "bool" and is_truth:
        return value
    if kind == "string" and isinstance(value, str):
        return value
    if kind == "int" and isinstance(value, int) and not is_truth and abs(value) <= canonical.MAX_SAFE_INTEGER:
        return value
    if kind == "number" and isinstance(value, int | float) and not is_truth and math.isfinite(value):
        return value
    if (kind == "list" and isinstance(value, list)) or (kind == "map" and isinstance(value, dict)):
        return value
    if kind in ("date", "datetime", "duration") and isinstance(value, str):
        return _time(kind, value)
    raise NotOfType(f"is not {TYPES[kind]}")


def show(kind: str, value: Value) -> Json:
    """A value as the fact it was read from, in the form AEGIS writes."""
    if value is None:
        return None
    if kind == "date":
        return date.fromordinal(value).isoformat()
    if kind == "datetime":
        return clock_text.render(_EPOCH + timedelta(microseconds=value))
    if kind == "duration":
        return durations.describe(timedelta(seconds=value))
    return value


def for_cel(kind: str, value: Value) -> Json:
    """What a condition in CEL sees of a value (`CEL_TYPES`)."""
    if kind == "number":
        return float(value)
    return show(kind, value) if kind in ("date", "datetime") else value


def _time(kind: str, text: str) -> int:
    try:
        if kind == "date" and _DATE.fullmatch(text):
            return date.fromisoformat(text).toordinal()
        if kind == "datetime" and _MOMENT.fullmatch(text):
            return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise NotOfType(f"is not {TYPES[kind]}") from None
    if kind == "duration" and text and (seconds := _seconds(text)) is not None and seconds <= _LONGEST:
        return seconds
    raise NotOfType(f"is not {TYPES[kind]}")


def _seconds(text: str) -> int | None:
    if found := _SHORT.fullmatch(text):
        parts = [int(part[:-1]) if part else 0 for part in found.groups()]
    elif found := _ISO.fullmatch(text):
        parts = [int(found[unit] or 0) for unit in "dhms"]
    else:
        return None
    return sum(count * size for count, size in zip(parts, (86_400, 3_600, 60, 1), strict=True))


def _declared(kind: str, value: Json, where: str) -> Value:
    try:
        return read(kind, value)
    except NotOfType as error:
        raise _refused(where, error.detail, f"write {TYPES[kind]}") from None


def _refused(where: str, what: str, remedy: str) -> NotOfType:
    return NotOfType(what, faults=[Fault(where, what, remedy)])
