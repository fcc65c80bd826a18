"""Thirty days of a portal with days, nights and weekends, and ten shifts planted in them: five kinds, each twice.

The second of a kind comes a week after the first, in the same hours: an incident that the past holds already must not hide the
next. Nobody tells the rules what is planted. Seeded: the same seed gives the same days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Final

from audit.alerts.evaluation import Cell, History, evaluate
from audit.alerts.rules import Absence, Anomaly, Count, Figure, Percentile, Rule, Share
from audit.metrics import slots

DAYS: Final = 30
WEEK: Final = 168
LASTS: Final = 3  # hours of a planted shift
AGENTS: Final = {"classifier": 45.0, "remediator": 25.0, "refunder": 15.0}  # answers in a busy hour
PEOPLE: Final = {"carla": 18.0, "dan": 14.0}

_ROUTES = Figure("routes", ("refund-risk",))
_ANSWERS = Figure("answers")
_VOTES = Figure("votes")

RULES: Final = (
    Rule("routing-drift", Anomaly(Share(Figure("routes", ("refund-risk", "high")), _ROUTES), "up", least=20)),
    Rule("slow-agent", Anomaly(Percentile(_ANSWERS, 0.5), "up"), by=(0,)),
    Rule("permission-burst", Anomaly(Count(Figure("permissions")), "up", least=5)),
    Rule("silent-agent", Absence(_ANSWERS), by=(0,)),
    Rule("rubber-stamping", Anomaly(Share(Figure("votes", within=10_000), _VOTES), "up", least=6), by=(1,)),
)


@dataclass(frozen=True, slots=True)
class Planted:
    rule: str
    group: tuple[str, ...]
    start: int

    def lasts(self, hour: int) -> bool:
        return self.start <= hour < self.start + LASTS


@dataclass(frozen=True, slots=True)
class Result:
    """`false` counts false alarms by rule and week; consecutive windows of one group are one alarm."""

    planted: int
    found: tuple[Planted, ...]
    false: Counter[tuple[str, int]]


def run(seed: int) -> Result:
    random = Random(seed)
    shifts = _shifts(random)
    history = History(_cells(random, shifts))
    fired = [
        (rule.name, finding.group, hour)
        for rule in RULES
        for hour in range(DAYS * 24)
        for finding in evaluate(rule, history, hour)
    ]
    found = [shift for shift in shifts if any((shift.rule, shift.group, shift.start + late) in fired for late in (0, 1))]
    false: Counter[tuple[str, int]] = Counter()
    for name, group, hour in fired:
        is_planted = any(shift.rule == name and shift.group == group and shift.lasts(hour) for shift in shifts)
        if not is_planted and (name, group, hour - 1) not in fired:
            false[name, hour // WEEK] += 1
    return Result(len(shifts), tuple(found), false)


def _shifts(random: Random) -> list[Planted]:
    kinds: list[tuple[str, tuple[str, ...]]] = [
        ("routing-drift", ()),
        ("slow-agent", ("remediator",)),
        ("permission-burst", ()),
        ("silent-agent", ("classifier",)),
        ("rubber-stamping", ("carla",)),
    ]
    found = []
    for name, group in kinds:
        start = (15 + random.randrange(3)) * 24 + random.randrange(8, 12)  # Tuesday to Thursday of the third week
        found += [Planted(name, group, start), Planted(name, group, start + WEEK)]
    return found


def _cells(random: Random, shifts: list[Planted]) -> Iterator[Cell]:
    for hour in range(DAYS * 24):
        now = {shift.rule for shift in shifts if shift.lasts(hour)}
        busy = _busy(hour)
        if hour // 24 == 8 and hour % 24 >= 18:
            busy *= 3  # an evening of catching up, once
        high = 0.5 if "routing-drift" in now else 0.18
        for case, share in (("high", high), ("low", 0.92 - high), ("unknown", 0.08)):
            yield from _one("routes", ("refund-risk", case), hour, slots.NONE, _poisson(random, 60 * busy * share))
        for agent, most in AGENTS.items():
            if agent == "classifier" and "silent-agent" in now:
                continue
            usual = 5_000 if agent == "remediator" and "slow-agent" in now else 1_800
            yield from _amounts("answers", (agent, "done"), hour, random, most * busy, usual, 0.5)
        changes = 9.0 if "permission-burst" in now else 0.4 * busy
        yield from _one("permissions", ("access.granted",), hour, slots.NONE, _poisson(random, changes))
        for person, most in PEOPLE.items():
            hurried = 0.6 if person == "carla" and "rubber-stamping" in now else 0.03
            quick, slow = most * busy * hurried, most * busy * (1 - hurried)
            yield from _amounts("votes", ("refunds", person, "approve"), hour, random, quick, 3_000, 0.3)
            yield from _amounts("votes", ("refunds", person, "approve"), hour, random, slow, 900_000, 0.8)


def _busy(hour: int) -> float:
    """1 in working hours, less in the evening, at night and at weekends."""
    day, clock = hour % WEEK // 24, hour % 24
    level = 1.0 if 8 <= clock < 18 else 0.35 if 6 <= clock < 22 else 0.06
    return level * (0.25 if day >= 5 else 1.0)


def _amounts(
    metric: str, values: tuple[str, ...], hour: int, random: Random, mean: float, middle: float, width: float
) -> Iterator[Cell]:
    drawn = (middle * exp(random.gauss(0, width)) for _ in range(_poisson(random, mean)))
    for slot, count in Counter(slots.slot_of(int(amount)) for amount in drawn).items():
        yield Cell(metric, values, hour, slot, count)


def _one(metric: str, values: tuple[str, ...], hour: int, slot: int, count: int) -> Iterator[Cell]:
    yield Cell(metric, values, hour, slot, count)


def _poisson(random: Random, mean: float) -> int:
    """How many of rare, independent events happen: waiting times are added up until the hour is over."""
    count, waited = 0, random.expovariate(1)
    while waited < mean:
        count, waited = count + 1, waited + random.expovariate(1)
    return count
