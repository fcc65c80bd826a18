"""For which step of a rehearsal a key of a sample speaks. Pure.

`verify` speaks for the step wherever and as often as it is walked; `verify/2` for its second visit. Blocks around it narrow
that: `claims#3.verify` is the third item of the map `claims` (numbered from 1, as the pages do), `checks/2.verify` the second
visit of the block `checks`. Steps of another workflow are reached through the `run` step alone: `sub.verify`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeVar

from aegis.core.canonical import Json

_ID: Final = r"[a-z][a-z0-9_-]{0,62}"
_NUMBER: Final = r"[1-9][0-9]{0,3}"
_BLOCK: Final = rf"{_ID}(?:/{_NUMBER})?(?:#{_NUMBER})?"
PATTERN: Final = rf"^(?:{_BLOCK}\.){{0,12}}{_ID}(?:/{_NUMBER})?$"
_SEGMENT: Final = re.compile(rf"({_ID})(?:/({_NUMBER}))?(?:#({_NUMBER}))?")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """A block on the way to a step.

    Attributes:
        visit: of the block.
        item: its number from 1, in a `map`; 0 elsewhere.
        is_run: the steps behind it are those of another workflow.
    """

    step: str
    visit: int
    item: int = 0
    is_run: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a key; 0 where it does not say a visit or an item."""

    step: str
    visit: int = 0
    item: int = 0


@lru_cache(maxsize=4096)
def read(key: str) -> tuple[Segment, ...]:
    """The pieces of a key that keeps `PATTERN`: blocks, then the step."""
    found = (_SEGMENT.fullmatch(piece) for piece in key.split("."))
    return tuple(Segment(one[1], int(one[2] or 0), int(one[3] or 0)) for one in found if one)


def said(of: Mapping[str, T], places: Sequence[Place], step: str, visit: int) -> T | None:
    """What is said of one visit of a step. The key that says most wins; of two that say as much, the later one."""
    best: tuple[int, T] | None = None
    for key, value in of.items():
        *blocks, last = read(key)
        if last.step != step or last.visit not in (0, visit) or not _leads(blocks, places):
            continue
        weight = sum(1 + bool(one.visit) + bool(one.item) for one in (*blocks, last))
        if best is None or weight >= best[0]:
            best = weight, value
    return best[1] if best else None


def _leads(blocks: Sequence[Segment], places: Sequence[Place]) -> bool:
    """Do the blocks of a key stand in this order around the step, with every `run` on the way among them?"""
    left: Iterator[Segment] = iter(blocks)
    wanted = next(left, None)
    for place in places:
        if wanted is not None and _is(wanted, place):
            wanted = next(left, None)
        elif place.is_run:
            return False
    return wanted is None


def _is(one: Segment, place: Place) -> bool:
    return one.step == place.step and one.visit in (0, place.visit) and one.item in (0, place.item)


def fault_of(key: str, around: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> str:
    """Why no step can ever be meant by a key; "" if one can.

    Args:
        around: id of every step of the workflow -> ids of the blocks around it; kinds: id of a block -> its kind word.
    """
    *blocks, last = read(key)
    for index, one in enumerate(blocks):
        if one.step not in around:
            return f"there is no step {one.step!r}"
        if one.step not in kinds:
            return f"{one.step!r} is no block"
        if one.item and kinds[one.step] != "map":
            return f"{one.step!r} walks no items"
        if index and blocks[index - 1].step not in around[one.step]:
            return f"{one.step!r} does not stand in {blocks[index - 1].step!r}"
        if kinds[one.step] == "run":
            return ""  # what is behind it is another workflow's
    if last.step not in around:
        return f"there is no step {key!r}"
    if blocks and blocks[-1].step not in around[last.step]:
        return f"{last.step!r} does not stand in {blocks[-1].step!r}"
    return ""


def enclosing(steps: Sequence[Mapping[str, Json]], around: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Step id -> ids of the blocks around it, outer first, of the steps as a document writes them."""
    found: dict[str, tuple[str, ...]] = {}
    for step in steps:
        found[step["id"]] = around
        for body in _bodies(step):
            found |= enclosing(body, (*around, step["id"]))
    return found


def kinds(steps: Sequence[Mapping[str, Json]]) -> dict[str, str]:
    """Id -> "parallel", "map" or "run", of every block a document writes."""
    found: dict[str, str] = {}
    for step in steps:
        if kind := next((name for name in ("parallel", "map", "run") if name in step), ""):
            found[step["id"]] = kind
        for body in _bodies(step):
            found |= kinds(body)
    return found


def _bodies(step: Mapping[str, Json]) -> Iterator[Sequence[Mapping[str, Json]]]:
    yield step.get("steps", ())
    branches = step.get("parallel", {})
    yield from (branch.get("steps", ()) for branch in branches.values())
