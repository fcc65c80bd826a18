"""A message as a tree of rows, with the places that break its contract marked. Pure; bounded, however big the message.

Everything in it was written by others: names and values are plain text, and templates escape them. A faulty place is always
shown, with what leads to it; of the rest only as much as there is room for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from aegis.core.canonical import Json

MAX_ROWS: Final = 200
MAX_CHARS: Final = 240  # of one value
MAX_NAME: Final = 80
MAX_BESIDE: Final = 12  # entries of one list or object that are shown though nothing is wrong there
MAX_DEPTH: Final = 12  # deeper than that rows are not drawn further in
_BRACKETS: Final = {"object": "{ }", "array": "[ ]"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        value: text of a scalar; "" for an object or list, whose form says so.
        form: "object", "array", "scalar", "missing" (named by a fault, not there) or "rest" (what was left out).
        faults: what is wrong here, in words.
        pointer: JSON pointer of a row with faults.
    """

    depth: int
    name: str
    value: str
    form: str
    faults: tuple[str, ...] = ()
    is_cut: bool = False
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows in order, and faults whose place could not be found in the message."""

    rows: tuple[Row, ...]
    elsewhere: tuple[tuple[str, str], ...] = ()

    @property
    def marked(self) -> int:
        return sum(bool(row.faults) for row in self.rows)


@dataclass(slots=True)
class _Spot:
    """The faults at one place and below it."""

    here: list[str] = field(default_factory=list)
    below: dict[str, _Spot] = field(default_factory=dict)


def build(value: Json, faults: Sequence[tuple[str, str]], *, max_rows: int = MAX_ROWS) -> Tree:
    """
    Args:
        faults: (JSON pointer, what is wrong there).
    """
    root, elsewhere = _Spot(), []
    for where, what in faults:
        parts = _parts(where)
        found = _place(value, parts) if parts is not None else None
        if found is None:
            elsewhere.append((where or "/", what))
            continue
        spot = root
        for part in parts[:found] if parts else ():
            spot = spot.below.setdefault(part, _Spot())
        rest = parts[found:] if parts else []
        if len(rest) == 1 and isinstance(_at(value, (parts or [])[:found]), Mapping):
            spot.below.setdefault(rest[0], _Spot()).here.append(what)  # not there: it gets a row of its own
        else:
            spot.here.append(f"{what} (at /{'/'.join(rest)} below)" if rest else what)
    rows: list[Row] = []
    room = max_rows
    for row, is_needed in _rows(value, "", root, ""):
        if room <= 0 and not is_needed:
            continue
        rows.append(row)
        room -= 1
        if len(rows) >= 2 * max_rows:
            break
    return Tree(tuple(rows), tuple(elsewhere))


def _rows(value: Json, name: str, spot: _Spot, where: str, depth: int = 0) -> Iterator[tuple[Row, bool]]:
    """Rows, each with whether it leads to a fault or stands at one. `where`: JSON pointer of `value`."""
    is_needed = bool(spot.here or spot.below)
    form = "object" if isinstance(value, Mapping) else "array" if isinstance(value, list) else "scalar"
    text = _text(value) if form == "scalar" else "" if value else _BRACKETS[form]
    pointer = (where or "/")[:MAX_CHARS] if spot.here else ""
    level, is_cut = min(depth, MAX_DEPTH), len(text) > MAX_CHARS
    yield Row(level, name[:MAX_NAME], text[:MAX_CHARS], form, tuple(spot.here), is_cut, pointer), is_needed
    if form == "scalar":
        return
    entries = list(value.items()) if isinstance(value, Mapping) else [(str(index), item) for index, item in enumerate(value)]
    beside = left_out = 0
    for key, item in entries:
        below = spot.below.get(key)
        if below is None and (beside := beside + 1) > MAX_BESIDE:
            left_out += 1
            continue
        yield from _rows(item, key, below or _Spot(), f"{where}/{_escaped(key)}", depth + 1)
    names = {key for key, _ in entries}
    for key, below in spot.below.items():
        if key not in names:
            pointer = f"{where}/{_escaped(key)}"[:MAX_CHARS]
            yield Row(min(depth + 1, MAX_DEPTH), key[:MAX_NAME], "", "missing", tuple(below.here), pointer=pointer), True
    if left_out:
        yield Row(min(depth + 1, MAX_DEPTH), "…", f"{left_out:,} more", "rest"), False


def _parts(where: str) -> list[str] | None:
    """The parts of a JSON pointer; None for one that was cut, whose place is not known."""
    if where in ("", "/"):
        return []
    if not where.startswith("/") or where.endswith("…"):
        return None
    return [part.replace("~1", "/").replace("~0", "~") for part in where[1:].split("/")]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _place(value: Json, parts: Sequence[str]) -> int | None:
    """How many parts lead to something that is there."""
    for count, part in enumerate(parts):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and len(part) < 9 and int(part) < len(value):
            value = value[int(part)]
        else:
            return count
    return len(parts)


def _at(value: Json, parts: Sequence[str]) -> Json:
    for part in parts:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _text(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
