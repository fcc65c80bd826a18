"""What was found of one group in one window, as episodes keep it and events tell it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from aegis.core import canonical, clock_text
from aegis.core.canonical import Json

Pairs = tuple[tuple[str, str], ...]  # (dimension, value)


@dataclass(frozen=True, slots=True)
class Told:
    """One judgement against one group.

    Attributes:
        start, end: of the window, aware; of a state both are the moment it was looked at.
        value: what was measured; `rests_on` is the number of events behind it (0 for a state).
        center, spread, samples: what was usual then, for rules about the past.
        badness: how far beyond its border; for comparing windows of one episode.
        words: the judgement in one line.
        address: path of the list behind the figure.
    """

    start: datetime
    end: datetime
    value: float
    rests_on: int
    badness: float
    words: str
    address: str
    center: float | None = None
    spread: float | None = None
    samples: int | None = None

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "start": clock_text.render(self.start), "end": clock_text.render(self.end)}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        times = {name: clock_text.parse(kept[name]) for name in ("start", "end")}
        return cls(**{**kept, **times})

    def data(self) -> dict[str, Json]:
        """The numbers for an event's line, in whole thousandths."""
        hour = int(self.start.timestamp() // 3600)
        hours = int((self.end - self.start).total_seconds() // 3600)
        found: dict[str, Json] = {"start": hour, "hours": hours, "value_milli": _milli(self.value), "rests_on": self.rests_on}
        if self.center is not None and self.spread is not None and self.samples is not None:
            found |= {"center_milli": _milli(self.center), "spread_milli": _milli(self.spread), "samples": self.samples}
        return found


def key_of(group: Pairs, scope: str, scope_id: str = "") -> str:
    """Hex sha256 of a group and the scope it is known under: what makes two findings of a rule the same episode. Of two things
    with one name (titles of workflows may be alike) each has its own, for each has its own readers."""
    return hashlib.sha256(canonical.dump([scope, scope_id, [list(pair) for pair in group]])).hexdigest()


def pairs_of(kept: Sequence[Sequence[str]]) -> Pairs:
    return tuple((name, value) for name, value in kept)


def payload_of(group: Pairs, told: Told) -> bytes:
    """What an event says beside numbers: names that agents and people may have made up."""
    return canonical.dump({"group": [list(pair) for pair in group], "words": told.words, "address": told.address})


def _milli(value: float) -> int:
    return min(max(round(value * 1_000), -(2**52)), 2**52)
