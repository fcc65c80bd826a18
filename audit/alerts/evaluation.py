"""Judging a rule for one closed window. Pure and deterministic: the same counts always give the same findings, in one order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, assert_never

from audit.alerts import robust
from audit.alerts.robust import Usual
from audit.alerts.rules import (
    HOURS_OF_A_WEEK,
    Absence,
    Anomaly,
    Condition,
    Count,
    Figure,
    Measured,
    NewValue,
    Percentile,
    Rule,
    Share,
    Threshold,
)
from audit.metrics import slots
from audit.metrics.measures import NONE

#: Windows beside the same one: with few weeks of past, one window a week would say little of what is usual.
BESIDE: Final = (-2, -1, 0, 1, 2)

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """What was counted of one combination of values in one hour and slot (a bucket of the metrics)."""

    metric: str
    values: tuple[str, ...]
    hour: int
    slot: int
    count: int


@dataclass(frozen=True, slots=True)
class Finding:
    """That a rule holds in a window, for one group.

    Attributes:
        group: the values of the rule's dimensions; empty if it has none.
        value: what was measured; `rests_on` is the number of events behind it.
        usual: what it was compared with, for rules about the past.
    """

    rule: str
    group: Group
    start: int
    hours: int
    value: float
    rests_on: int
    usual: Usual | None = None


@dataclass(slots=True)
class _Counted:
    """Of one figure and one group: hour -> slot -> how many."""

    hours: dict[int, dict[int, int]] = field(default_factory=dict)
    first: int | None = None

    def add(self, cell: Cell) -> None:
        slots_of_hour = self.hours.setdefault(cell.hour, {})
        slots_of_hour[cell.slot] = slots_of_hour.get(cell.slot, 0) + cell.count
        self.first = cell.hour if self.first is None else min(self.first, cell.hour)

    def spread(self, start: int, hours: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for hour in range(start, start + hours):
            for slot, count in self.hours.get(hour, {}).items():
                found[slot] = found.get(slot, 0) + count
        return found

    def count(self, start: int, hours: int) -> int:
        return sum(sum(self.hours.get(hour, {}).values()) for hour in range(start, start + hours))


_NOTHING = _Counted()


class History:
    """Counts of the metrics, arranged for judging. What was measured of a group is kept: each window is a past one of many."""

    def __init__(self, cells: Iterable[Cell] = ()) -> None:
        self._cells: dict[str, list[Cell]] = {}
        self._found: dict[tuple[Figure, tuple[int, ...]], dict[Group, _Counted]] = {}
        self._watched: dict[tuple[Measured, tuple[int, ...]], list[tuple[Group, _Watched]]] = {}
        for cell in cells:
            if cell.count > 0:
                self._cells.setdefault(cell.metric, []).append(cell)

    def of(self, figure: Figure, by: tuple[int, ...]) -> dict[Group, _Counted]:
        key = (figure, by)
        if key not in self._found:
            self._found[key] = self._grouped(figure, by)
        return self._found[key]

    def watched(self, measured: Measured, by: tuple[int, ...]) -> list[tuple[Group, _Watched]]:
        key = (measured, by)
        if key not in self._watched:
            self._watched[key] = _watched(measured, self, by)
        return self._watched[key]

    def _grouped(self, figure: Figure, by: tuple[int, ...]) -> dict[Group, _Counted]:
        found: dict[Group, _Counted] = {}
        for cell in self._cells.get(figure.metric, ()):
            if _is_of(figure, cell):
                found.setdefault(tuple(cell.values[place] for place in by), _Counted()).add(cell)
        return found


def evaluate(rule: Rule, history: History, start: int) -> list[Finding]:
    """What the rule finds in the window that begins at hour `start`, by group.

    Args:
        start: hours since 1970; a multiple of the rule's hours. The window is closed: nothing more will be counted in it.

    Raises:
        ValueError: no window of the rule begins there.
    """
    if start % rule.hours:
        raise ValueError(f"windows of {rule.hours} hours do not begin at hour {start}")
    return sorted(_findings(rule, history, start), key=lambda found: found.group)


def badness(rule: Rule, finding: Finding) -> float:
    """How far a finding lies beyond its border, for comparing the windows of one group: spreads, or the amount beyond."""
    condition = rule.condition
    match condition:
        case Threshold(_, above, below):
            return finding.value - above if above is not None else (below or 0) - finding.value
        case Anomaly():
            return abs(finding.usual.score(finding.value)) if finding.usual else 0
        case Absence():
            return finding.usual.center if finding.usual else 0
        case NewValue():
            return finding.value
        case _:
            assert_never(condition)


def past_windows(start: int, hours: int, weeks: int) -> list[int]:
    """Beginnings of the same windows of past weeks and of those beside them, the latest week first."""
    return [start - week * HOURS_OF_A_WEEK + beside * hours for week in range(1, weeks + 1) for beside in BESIDE]


def _findings(rule: Rule, history: History, start: int) -> Iterator[Finding]:
    condition = rule.condition
    match condition:
        case Threshold():
            yield from _beyond(rule, condition, history, start)
        case Anomaly():
            yield from _unlike(rule, condition, history, start)
        case Absence():
            yield from _absent(rule, condition, history, start)
        case NewValue():
            yield from _new(rule, condition, history, start)
        case _:
            assert_never(condition)


def _beyond(rule: Rule, condition: Threshold, history: History, start: int) -> Iterator[Finding]:
    for group, one in history.watched(condition.measured, rule.by):
        if one.first >= start + rule.hours or (condition.below is not None and one.first > start):
            continue  # too little in a window that it was not there for from the beginning says nothing; too much does
        value, rests_on = one.at(start, rule.hours)
        is_counted = isinstance(condition.measured, Count)
        if value is None or (rests_on < condition.least and not is_counted):
            continue
        over = condition.above is not None and value > condition.above
        under = condition.below is not None and value < condition.below
        if over or under:
            yield Finding(rule.name, group, start, rule.hours, value, rests_on)


def _unlike(rule: Rule, condition: Anomaly, history: History, start: int) -> Iterator[Finding]:
    for group, one in history.watched(condition.measured, rule.by):
        value, rests_on = one.at(start, rule.hours)
        past = one.past(start, rule.hours, condition.weeks, condition.least)
        if value is None or len(past) < condition.samples:
            continue
        center, _ = robust.center_and_spread(past)
        usual = robust.usual(past, _noise(condition.measured, center, rests_on))
        # A count that fell rests on what is usual: its own number may well be nothing.
        rests = max(rests_on, center) if isinstance(condition.measured, Count) else rests_on
        if rests < condition.least:
            continue
        score = usual.score(value)
        up = score > condition.factor and condition.direction != "down"
        down = score < -condition.factor and condition.direction != "up"
        if up or down:
            yield Finding(rule.name, group, start, rule.hours, value, rests_on, usual)


def _absent(rule: Rule, condition: Absence, history: History, start: int) -> Iterator[Finding]:
    for group, one in history.watched(Count(condition.figure), rule.by):
        value, _ = one.at(start, rule.hours)
        past = one.past(start, rule.hours, condition.weeks, 0)
        if value != 0 or len(past) < condition.samples:
            continue
        center, _ = robust.center_and_spread(past)
        if center >= condition.least:
            yield Finding(rule.name, group, start, rule.hours, 0, 0, robust.usual(past, robust.count_noise(center)))


def _new(rule: Rule, condition: NewValue, history: History, start: int) -> Iterator[Finding]:
    counted = history.of(condition.figure, rule.by)
    began = min((one.first for one in counted.values() if one.first is not None), default=start)
    if start - began < condition.after:
        return
    for group, one in counted.items():
        if one.first is not None and start <= one.first < start + rule.hours:
            count = one.count(start, rule.hours)
            yield Finding(rule.name, group, start, rule.hours, count, count)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What is measured, of one group. `first` is the hour it was first counted in: nothing is known of earlier ones."""

    measured: Measured
    part: _Counted
    whole: _Counted
    first: int
    known: dict[tuple[int, int], tuple[float | None, int]] = field(default_factory=dict)

    def at(self, start: int, hours: int) -> tuple[float | None, int]:
        """The value in a window, and the events it rests on; None if there is no value without events."""
        if (start, hours) not in self.known:
            self.known[start, hours] = self._measure(start, hours)
        return self.known[start, hours]

    def _measure(self, start: int, hours: int) -> tuple[float | None, int]:
        match self.measured:
            case Count():
                count = self.whole.count(start, hours)
                return count, count
            case Share():
                whole = self.whole.count(start, hours)
                return (self.part.count(start, hours) / whole if whole else None), whole
            case Percentile(share=share):
                spread = self.whole.spread(start, hours)
                known = sum(count for slot, count in spread.items() if slot != slots.NONE)
                return slots.percentile(spread, share), known
            case _:
                assert_never(self.measured)

    def past(self, start: int, hours: int, weeks: int, least: int) -> list[float]:
        """The values of past windows that there are: begun after the first count, and resting on enough."""
        found: list[float] = []
        for begin in past_windows(start, hours, weeks):
            if begin < self.first:
                continue
            value, rests_on = self.at(begin, hours)
            if value is not None and (isinstance(self.measured, Count) or rests_on >= least):
                found.append(value)
        return found


def _watched(measured: Measured, history: History, by: tuple[int, ...]) -> list[tuple[Group, _Watched]]:
    whole = history.of(measured.whole if isinstance(measured, Share) else measured.figure, by)
    part = history.of(measured.part, by) if isinstance(measured, Share) else whole
    return [
        (group, _Watched(measured, part.get(group, _NOTHING), one, one.first))
        for group, one in whole.items()
        if one.first is not None
    ]


def _noise(measured: Measured, center: float, rests_on: int) -> float:
    match measured:
        case Count():
            return robust.count_noise(center)
        case Share():
            return robust.share_noise(center, rests_on)
        case Percentile():
            return robust.percentile_noise(center, rests_on)
        case _:
            assert_never(measured)


def _is_of(figure: Figure, cell: Cell) -> bool:
    pairs: Sequence[tuple[str, str]] = list(zip(figure.values, cell.values, strict=False))
    if any(wanted and wanted != (value or NONE) for wanted, value in pairs):
        return False
    return figure.within is None or (cell.slot != slots.NONE and cell.slot <= _slot(figure.within))


@cache
def _slot(amount: int) -> int:
    return slots.slot_of(amount)


@dataclass(frozen=True, slots=True)
class Window:
    """One window of one group. `value` is None where nothing was counted; `usual` where the past says too little."""

    start: int
    value: float | None
    rests_on: int
    usual: Usual | None


def measured(rule: Rule, history: History, starts: Iterable[int]) -> list[Window]:
    """What a rule measures window by window, and what was usual for each: the graph behind a finding.

    Args:
        rule: one that judges all together (`alone`).
    """
    condition = rule.condition
    figure = condition.measured if isinstance(condition, Threshold | Anomaly) else Count(condition.figure)
    watched = history.watched(figure, ())
    if not watched:
        return []
    ((_, one),) = watched
    weeks, least = (condition.weeks, condition.least) if isinstance(condition, Anomaly | Absence) else (0, 0)
    found = []
    for start in starts:
        value, rests_on = one.at(start, rule.hours)
        past = one.past(start, rule.hours, weeks, least if isinstance(condition, Anomaly) else 0) if weeks else []
        usual = None
        if weeks and len(past) >= condition.samples:  # type: ignore[union-attr]  # weeks are of those two alone
            center, _ = robust.center_and_spread(past)
            usual = robust.usual(past, _noise(figure, center, max(rests_on, 1)))
        found.append(Window(start, value, rests_on, usual))
    return found


def alone(rule: Rule, group: Group) -> Rule:
    """The rule for one of its groups: over the figures of that group, judging them together."""

    def of(figure: Figure) -> Figure:
        values = list(figure.values) + [""] * (max(rule.by, default=-1) + 1 - len(figure.values))
        for place, value in zip(rule.by, group, strict=True):
            values[place] = value or NONE
        return replace(figure, values=tuple(values))

    condition = rule.condition
    match condition:
        case Absence() | NewValue():
            one: Condition = replace(condition, figure=of(condition.figure))
        case Threshold(measured=figure) | Anomaly(measured=figure):
            match figure:
                case Share():
                    figure = Share(of(figure.part), of(figure.whole))
                case Count() | Percentile():
                    figure = replace(figure, figure=of(figure.figure))
            one = replace(condition, measured=figure)
        case _:
            assert_never(condition)
    # A rule about new values names a dimension; watched alone its group stands in the figure already.
    return replace(rule, condition=one, by=rule.by if isinstance(condition, NewValue) else ())
