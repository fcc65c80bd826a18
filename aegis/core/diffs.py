"""Two states of one thing, one row per field: the proposed change against the record as it stands, what an event changed. Pure.

Each row is three of the four facts of the screen: sign and word, now, proposed. (The fourth, where a value is known from, comes
with provenance.) Only the differing part of a text is marked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from aegis.core import canonical
from aegis.core.canonical import Json

MAX_ROWS = 200
_MARK_LIMIT = 2000  # characters; matching is quadratic, longer texts are marked as a whole

Kind = Literal["added", "removed", "changed", "same"]
SIGNS: Mapping[Kind, str] = {"added": "+", "removed": "−", "changed": "≠", "same": "="}


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a value; `marked` pieces differ from the other side."""

    text: str
    marked: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One field. `now` and `proposed` are empty where the field does not exist."""

    path: str
    label: str
    kind: Kind
    now: tuple[Part, ...]
    proposed: tuple[Part, ...]

    @property
    def sign(self) -> str:
        return SIGNS[self.kind]


@dataclass(frozen=True, slots=True)
class Diff:
    """All rows, changed ones first as they come, with what was left out."""

    rows: tuple[Row, ...]
    left_out: int = 0

    @property
    def changed(self) -> int:
        return sum(row.kind != "same" for row in self.rows)

    @property
    def unchanged(self) -> int:
        return len(self.rows) - self.changed


def diff(before: Mapping[str, Json] | None, after: Mapping[str, Json] | None) -> Diff:
    """Compare two JSON objects leaf by leaf; None is an object that does not exist.

    Lists are compared as whole values: a person judges "tags: a, b -> a, c", not positions.
    """
    old, new = dict(_leaves(before or {})), dict(_leaves(after or {}))
    rows = []
    for path in [*new, *(path for path in old if path not in new)]:
        rows.append(_row(path, old, new))
    rows.sort(key=lambda row: row.kind == "same")
    return Diff(tuple(rows[:MAX_ROWS]), max(0, len(rows) - MAX_ROWS))


def display(value: Json) -> str:
    """One value as text on a page."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value if value else "(empty text)"
    if isinstance(value, list) and all(not isinstance(item, list | dict) for item in value):
        return ", ".join(display(item) for item in value) if value else "(empty list)"
    if isinstance(value, list | dict):
        return pretty(value) if value else "(empty)"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def field_label(path: str) -> str:
    """A field name for people: "ticket_status" -> "Ticket status"; nested names keep their dots."""
    words = path.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def pretty(value: Json) -> str:
    """JSON for a `<pre>`: indented text. The template escapes it; nothing here is HTML."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=False)


def _leaves(value: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Json]]:
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, f"{path} › ")
        else:
            yield path, item


def _row(path: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> Row:
    label = field_label(path)
    if path not in old:
        return Row(path, label, "added", (), (Part(display(new[path]), True),))
    if path not in new:
        return Row(path, label, "removed", (Part(display(old[path]), True),), ())
    if _same(old[path], new[path]):
        part = (Part(display(new[path]), False),)
        return Row(path, label, "same", part, part)
    now, proposed = _mark(display(old[path]), display(new[path]))
    return Row(path, label, "changed", now, proposed)


def _same(old: Json, new: Json) -> bool:
    return canonical.dump(old) == canonical.dump(new)  # as JSON: 1, 1.0 and true are different values


def _mark(old: str, new: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Both texts in pieces, whole words marked where they differ; wholly marked when little is common."""
    whole = (Part(old, True),), (Part(new, True),)
    if max(len(old), len(new)) > _MARK_LIMIT:
        return whole
    left, right = _words(old), _words(new)
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < 0.4:
        return whole
    now: list[Part] = []
    proposed: list[Part] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        differs = tag != "equal"
        if i2 > i1:
            now.append(Part("".join(left[i1:i2]), differs))
        if j2 > j1:
            proposed.append(Part("".join(right[j1:j2]), differs))
    return tuple(now), tuple(proposed)


def _words(text: str) -> list[str]:
    """The text cut behind every space, so that joining the pieces gives it back."""
    pieces: list[str] = []
    start = 0
    for index, char in enumerate(text):
        if char.isspace():
            pieces.append(text[start : index + 1])
            start = index + 1
    if start < len(text):
        pieces.append(text[start:])
    return pieces
