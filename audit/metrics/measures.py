"""What is counted: each room declares measures of its own event types, as it declares the types. Pure.

    measures.register(Measure("routes", ("route.chosen",), ("table",), lambda seen: (seen.text("table"),)))

`take` reads one event and nothing else, so the same journal always gives the same counts. A measure whose meaning changes gets
a new name, or the release says that metrics are to be rebuilt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from aegis.core.canonical import Json

MAX_DIMENSIONS: Final = 4
#: Takes the place of values beyond the cap.
OTHER: Final = "(other)"
#: Where values are asked for "" stands for any; this for the empty one, which an event without that value has. None can be it,
#: for what is counted holds printable characters alone.
NONE: Final = "\0"
#: Distinct values of one measure, of one scope and id, that first appear in one month. An agent may make up any number.
CAP: Final = 300


@dataclass(frozen=True, slots=True)
class First:
    """The first event of the stream: what began it, and when."""

    type: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as measures read it: its columns, and what its line says. No payload: those are erased, counts are not."""

    type: str
    at: datetime
    agent: str
    agent_digest: str
    step: str
    capability: str
    outcome: str
    actor: str  # "user:<id>", "agent:<id>", "system"
    duration_ms: int | None
    data: Mapping[str, Json]
    first: First | None

    def text(self, name: str) -> str:
        """A field of `data` as text; "" if it is missing or no scalar."""
        value = self.data.get(name)
        return str(value) if isinstance(value, str | int) else ""

    def number(self, name: str) -> int | None:
        value = self.data.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @property
    def age_ms(self) -> int | None:
        """How long the stream has lived at this event."""
        return None if self.first is None else (self.at - self.first.at) // timedelta(milliseconds=1)


Take = Callable[[Seen], tuple[str, ...] | None]
Amount = Callable[[Seen], int | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is counted, by some dimensions.

    Attributes:
        name: what pages and addresses call it ("runs").
        types: of the events it reads.
        dimensions: names of the values that `take` returns.
        take: the values of one event; None if the event does not count.
        amount: milliseconds or units of that event; None if it has none.
        has_spread: keep a histogram of the amounts, for percentiles, and not their sum alone.
        needs_first: `Seen.first` is read.
        closed: dimension -> its only values: they stay as they are when others are more than `CAP`, anything else is `OTHER`.
    """

    name: str
    types: tuple[str, ...]
    dimensions: tuple[str, ...]
    take: Take
    amount: Amount | None = None
    has_spread: bool = False
    needs_first: bool = False
    closed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.dimensions) > MAX_DIMENSIONS or not self.closed.keys() <= set(self.dimensions):
            raise ValueError(f"measure {self.name!r}: at most {MAX_DIMENSIONS} dimensions, and closed ones among them")

    def rest(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """The same event when its values are one too many: what is closed stays."""
        return tuple(
            value if value in self.closed.get(name, ()) else OTHER for name, value in zip(self.dimensions, values, strict=True)
        )


_measures: dict[str, Measure] = {}


def register(*declared: Measure) -> None:
    """Have events counted. Called from `AppConfig.ready`; registering the same again is harmless.

    Raises:
        ValueError: another measure has the name.
    """
    for measure in declared:
        if _measures.setdefault(measure.name, measure) is not measure:
            raise ValueError(f"measure {measure.name!r} is registered twice")


def all_measures() -> list[Measure]:
    return [_measures[name] for name in sorted(_measures)]


def get(name: str) -> Measure | None:
    return _measures.get(name)


def by_type() -> dict[str, list[Measure]]:
    """Event type -> the measures that read it, by name."""
    found: dict[str, list[Measure]] = {}
    for measure in all_measures():
        for name in measure.types:
            found.setdefault(name, []).append(measure)
    return found
