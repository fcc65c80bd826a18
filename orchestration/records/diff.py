"""Two bodies of a record, field by field, for people to judge. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from aegis.core.canonical import Json

Sign = Literal["added", "removed", "changed", "same"]


@dataclass(frozen=True, slots=True)
class Row:
    """One field. `field` is its dotted path; a side where it does not exist is None (the sign tells it from a null)."""

    field: str
    sign: Sign
    before: Json
    after: Json


def diff(before: Mapping[str, Json] | None, after: Mapping[str, Json] | None, *, with_same: bool = False) -> list[Row]:
    """Changes in the order of the field names; objects are opened, lists are compared as a whole.

    Args:
        with_same: also give the fields that stay as they are.
    """
    return [row for row in _rows(before or {}, after or {}, "") if with_same or row.sign != "same"]


def _rows(before: Mapping[str, Json], after: Mapping[str, Json], prefix: str) -> Iterator[Row]:
    for name in sorted({*before, *after}):
        field = f"{prefix}{name}"
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _rows(old, new, f"{field}.")
        elif name in before and name in after:
            yield Row(field, "same" if _equal(old, new) else "changed", old, new)
        elif name in before:
            yield from _rows(old, {}, f"{field}.") if isinstance(old, Mapping) and old else [Row(field, "removed", old, None)]
        else:
            yield from _rows({}, new, f"{field}.") if isinstance(new, Mapping) and new else [Row(field, "added", None, new)]


def _equal(old: Json, new: Json) -> bool:
    """As JSON: true is not 1, whatever Python says."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_equal(a, b) for a, b in zip(old, new, strict=True))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_equal(old[key], new[key]) for key in old)
    return bool(old == new)
