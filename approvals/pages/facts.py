"""A JSON value as facts for people: name and value, instead of braces. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aegis.core.canonical import Json
from aegis.core.diffs import display, field_label

MAX_FACTS = 60
MAX_CHARS = 20_000  # of one value


@dataclass(frozen=True, slots=True)
class Fact:
    """One line. `is_code`: the value is still JSON (a list of objects) and is shown as such."""

    label: str
    text: str
    is_code: bool = False


def facts(value: Json) -> tuple[Fact, ...]:
    """The leaves of an object, in its order; any other value is one fact without a name."""
    found = list(_facts(value, ""))
    if len(found) > MAX_FACTS:
        left_out = Fact("…", f"{len(found) - MAX_FACTS} more")
        found = [*found[:MAX_FACTS], left_out]
    return tuple(found)


def _facts(value: Json, path: str) -> Iterator[Fact]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _facts(item, f"{path} › {key}" if path else key)
        return
    is_code = isinstance(value, list) and any(isinstance(item, list | Mapping) for item in value)
    yield Fact(field_label(path), display(value)[:MAX_CHARS], is_code)
