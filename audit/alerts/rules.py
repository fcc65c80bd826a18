"""What an alert watches, as values. Pure.

A window is some whole hours; the windows of a rule do not overlap, and only closed ones are judged. What is measured in one is
a count, a share of a count, or a percentile of amounts; a rule is judged for each value of the dimensions it names (`by`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

HOURS_OF_A_WEEK: Final = 168
MOST_HOURS: Final = 24
MOST_WEEKS: Final = 12

Direction = Literal["up", "down", "both"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What is counted: a measure with its first values ("" stands for any, `measures.NONE` for the empty one).

    Attributes:
        within: only events whose amount is at most this (milliseconds, or units) count, to the width of a slot; None for all.
    """

    metric: str
    values: tuple[str, ...] = ()
    within: int | None = None


@dataclass(frozen=True, slots=True)
class Count:
    figure: Figure


@dataclass(frozen=True, slots=True)
class Share:
    """How much of `whole` is `part`, between 0 and 1."""

    part: Figure
    whole: Figure


@dataclass(frozen=True, slots=True)
class Percentile:
    """The amount that `share` of the events do not exceed."""

    figure: Figure
    share: float


Measured = Count | Share | Percentile


@dataclass(frozen=True, slots=True)
class Threshold:
    """Beyond a number set by people. Of a `Share` it is what people call a ratio.

    Attributes:
        least: events that a share or percentile must rest on; with fewer nothing is said. A count rests on itself.
    """

    measured: Measured
    above: float | None = None
    below: float | None = None
    least: int = 1

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError("a threshold has one border: above or below")


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Unlike the same hours of past weeks: further from their median than `factor` robust deviations.

    Attributes:
        weeks: how far back it looks; of each week the same window and the ones beside it.
        samples: past windows it needs at least; with fewer nothing is said.
        least: events that a window, now or then, must rest on. A count going down rests on what was usual.
    """

    measured: Measured
    direction: Direction = "both"
    factor: float = 4.0
    weeks: int = 8
    samples: int = 6
    least: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.weeks <= MOST_WEEKS or self.samples < 3 or self.factor <= 0:
            raise ValueError(f"an anomaly looks at 1 to {MOST_WEEKS} weeks and at least 3 windows, with a factor above 0")


@dataclass(frozen=True, slots=True)
class Absence:
    """Nothing at all, though the same hours of past weeks had at least `least` by their median."""

    figure: Figure
    least: int = 10
    weeks: int = 8
    samples: int = 6


@dataclass(frozen=True, slots=True)
class NewValue:
    """A value of the dimension `by` that was never counted before.

    Attributes:
        after: hours that the measure must have been counted before; until then every value is new.
    """

    figure: Figure
    after: int = HOURS_OF_A_WEEK


Condition = Threshold | Anomaly | Absence | NewValue


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Attributes:
        hours: length of a window; it divides a day, so that the windows of all weeks are the same.
        by: places of the dimensions whose values are judged apart; empty: all together.
        workflow: name of the one whose events alone count; "" for everything.
    """

    name: str
    condition: Condition
    hours: int = 1
    by: tuple[int, ...] = ()
    workflow: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.hours <= MOST_HOURS or MOST_HOURS % self.hours:
            raise ValueError("the hours of a window divide a day")
        if isinstance(self.condition, NewValue) and not self.by:
            raise ValueError("a rule about new values names a dimension")


@dataclass(frozen=True, slots=True)
class StateRule:
    """A rule about what stands now, judged at once and by no window (`audit.alerts.states`).

    Attributes:
        state: name of the state that a room registered ("breaker_open").
        within: how far the state looks ahead or back, for those that do; None: as far as it does by itself.
        only: first parts of the groups that count; empty for all.
    """

    name: str
    state: str
    within: timedelta | None = None
    only: frozenset[str] = frozenset()


def figures_of(condition: Condition) -> tuple[Figure, ...]:
    """Every figure that the condition reads."""
    match condition:
        case Absence(figure) | NewValue(figure):
            return (figure,)
        case Threshold(measured) | Anomaly(measured):
            return (measured.part, measured.whole) if isinstance(measured, Share) else (measured.figure,)


def weeks_of(condition: Condition) -> int:
    """How many past weeks the condition looks at."""
    return condition.weeks if isinstance(condition, Anomaly | Absence) else 0
