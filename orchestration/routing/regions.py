"""What a cell accepts, as a set of values; and a column cut into pieces that every one of its cells treats alike. Pure.

The same sets decide at run time and in the analysis, so the two cannot disagree about a cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from orchestration.routing.values import DISCRETE, ORDERED, TYPICAL, Column, Value

Test = Callable[[Value], bool]


@dataclass(frozen=True, slots=True)
class Span:
    """Values from `low` to `high`; None = without end on that side."""

    low: Value = None
    high: Value = None
    is_low_open: bool = False
    is_high_open: bool = False

    def holds(self, value: Value) -> bool:
        if self.low is not None and (value <= self.low if self.is_low_open else value < self.low):
            return False
        return self.high is None or (value < self.high if self.is_high_open else value <= self.high)


@dataclass(frozen=True, slots=True)
class Region:
    """The values a cell accepts: those in `values` or a span, with `is_negated` all others; an absent one by `takes_null`."""

    values: frozenset[Value] = frozenset()
    spans: tuple[Span, ...] = ()
    is_negated: bool = False
    takes_null: bool = False

    @property
    def is_anything(self) -> bool:
        return self.is_negated and self.takes_null and not self.values and not self.spans

    def holds(self, value: Value) -> bool:
        if value is None:
            return self.takes_null
        return (value in self.values or any(span.holds(value) for span in self.spans)) != self.is_negated

    def test(self) -> Test:
        """`holds` for values that are not absent, made ready: what the hot path calls for each cell of each rule."""
        if not self.spans:
            values = self.values
            return (lambda value: value not in values) if self.is_negated else values.__contains__
        if len(self.spans) == 1 and not self.values and not self.is_negated:
            return _span_test(self.spans[0])
        return self.holds


ANYTHING: Final = Region(is_negated=True, takes_null=True)


def _span_test(span: Span) -> Test:
    low, high = span.low, span.high
    if low is None:
        return (lambda value: value < high) if span.is_high_open else (lambda value: value <= high)
    if high is None:
        return (lambda value: value > low) if span.is_low_open else (lambda value: value >= low)
    if span.is_low_open or span.is_high_open:
        return span.holds
    return lambda value: low <= value <= high


def pieces(column: Column, regions: Collection[Region]) -> list[Value]:
    """One value of each piece into which these regions cut the column; None stands for the absent one.

    Every value the column can have is treated by all regions exactly as one of these is.
    """
    found = _ordered_pieces(column, regions) if column.type in ORDERED and not column.values else _plain_pieces(column, regions)
    return [*found, None] if column.is_optional else found


def mask(region: Region, samples: Iterable[Value]) -> int:
    """Which pieces a region covers, a bit each."""
    bits = 0
    for index, sample in enumerate(samples):
        if region.holds(sample):
            bits |= 1 << index
    return bits


def _plain_pieces(column: Column, regions: Iterable[Region]) -> list[Value]:
    if column.type == "bool":
        return [True, False]
    if column.values:
        return list(column.values)
    if column.type != "string":
        return [TYPICAL[column.type]]
    named: dict[Value, None] = {}
    for region in regions:
        named |= dict.fromkeys(sorted(region.values))
    other, number = "anything else", 1
    while other in named:
        number += 1
        other = f"anything else {number}"
    return [*named, other]


def _ordered_pieces(column: Column, regions: Iterable[Region]) -> list[Value]:
    edges = {edge for region in regions for span in region.spans for edge in (span.low, span.high)}
    edges |= {value for region in regions for value in region.values} | {column.low, column.high}
    low, high = column.limits
    inside = sorted(edge for edge in edges if edge is not None and _within(edge, low, high))
    if not inside:
        return [TYPICAL[column.type]]
    found: list[Value] = []
    if column.low is None and _within(before := _before(inside[0]), low, high):
        found.append(before)
    for edge, following in pairwise(inside):
        found.append(edge)
        between = _between(edge, following, is_whole=column.type in DISCRETE)
        if between is not None:
            found.append(between)
    found.append(inside[-1])
    if column.high is None and _within(after := _after(inside[-1]), low, high):
        found.append(after)
    return found


def _within(edge: Value, low: Value, high: Value) -> bool:
    return math.isfinite(edge) and (low is None or edge >= low) and (high is None or edge <= high)


def _between(low: Value, high: Value, *, is_whole: bool) -> Value | None:
    """A value strictly between two; None if the type has none there."""
    if is_whole:
        return (low + high) // 2 if high - low > 1 else None
    if high - low > 2:  # a round one is easier on the eye
        return math.floor(low) + 1
    middle = low / 2 + high / 2
    return middle if low < middle < high else None


def _before(edge: Value) -> Value:
    return edge - 1 if edge - 1 < edge else math.nextafter(edge, -math.inf)


def _after(edge: Value) -> Value:
    return edge + 1 if edge + 1 > edge else math.nextafter(edge, math.inf)
