"""Rules read only the hours, measures and values they look at, and judge by that as by everything."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.alerts import counted, wording
from audit.alerts.evaluation import Finding, alone, evaluate, measured
from audit.alerts.rules import (
    HOURS_OF_A_WEEK,
    Absence,
    Anomaly,
    Count,
    Figure,
    NewValue,
    Percentile,
    Rule,
    Share,
    Threshold,
)
from audit.metrics import measures, slots
from audit.metrics.measures import Measure
from audit.metrics.models import Bucket, Series
from tests.alerts.test_rehearsal import NOW

pytestmark = pytest.mark.django_db

measures.register(
    Measure("cups", ("kettle.boiled",), ("kitchen", "tea"), lambda seen: None, amount=lambda seen: None, has_spread=True)
)
CUPS, GREEN = Figure("cups"), Figure("cups", ("", "green"))
RULES = [
    Rule("share", Anomaly(Share(GREEN, CUPS), weeks=3, samples=3, least=3), by=(0,)),
    Rule("slow", Anomaly(Percentile(CUPS, 0.9), weeks=2, samples=3, least=3), hours=6),
    Rule("many", Anomaly(Count(CUPS), weeks=3, samples=3, least=3, factor=1.5), hours=2, by=(0,)),
    Rule("gone", Absence(GREEN, least=2, weeks=3, samples=3), by=(0,)),
    Rule("border", Threshold(Count(Figure("cups", ("north",), within=5_000)), above=4)),
    Rule("new", NewValue(CUPS, after=24), by=(0, 1)),
]


@pytest.fixture
def poured() -> None:
    """Five weeks of tea at random; some kitchens begin in hours that no rule reads."""
    chance = Random(7)
    for kitchen, began in (("north", 840), ("south", 780), ("west", 250), ("hill", 100), ("east", 3)):
        for tea in ("green", "black"):
            at = datetime.fromtimestamp((NOW - began) * 3600, UTC)
            series = Series.objects.create(metric="cups", scope="system", a=kitchen, b=tea, first_at=at, month=f"{at:%Y-%m}")
            rows = {(NOW - began, slots.slot_of(100)): 1}
            for hour in range(NOW - began + 1, NOW):
                if chance.random() < 0.8:
                    rows[hour, slots.slot_of(chance.choice([80, 900, 7_000]))] = chance.randint(1, 9)
            Bucket.objects.bulk_create(
                Bucket(series=series, hour=hour, slot=slot, count=count, total=0) for (hour, slot), count in rows.items()
            )


def judged(first: int, until: int) -> list[Finding]:
    history = counted.history(RULES, first=first, until=until)
    return [
        found
        for rule in RULES
        for start in range(first + -first % rule.hours, until - rule.hours + 1, rule.hours)
        for found in evaluate(rule, history, start)
    ]


def whole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(counted, "stretches", lambda rules, first, until: [(0, until)])


def test_what_is_read_gives_the_findings_of_all_there_is(poured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(NOW - 24, NOW)
    whole(monkeypatch)

    assert found == judged(NOW - 24, NOW)
    assert {one.rule for one in found} >= {"many", "gone", "border", "new"}


def test_hours_that_nobody_looks_at_are_not_read() -> None:
    read = counted.stretches(RULES, NOW - 1, NOW)
    hours = sum(end - begin for begin, end in read)

    assert hours <= 1 + 3 * (1 + 4 * 6)
    assert read[-1] == (NOW - 1, NOW)
    assert read[0][0] == NOW - 1 - 3 * HOURS_OF_A_WEEK - 2 * 2  # that of six hours looks back two weeks


@pytest.mark.parametrize("rules", [RULES[:1], RULES])
def test_three_queries_read_it_all(poured: None, rules: Any) -> None:
    with CaptureQueriesContext(connection) as asked:
        counted.history(rules, first=NOW - 24, until=NOW)

    assert len(asked) <= 3


def test_the_group_of_what_has_no_value_is_that_and_not_any(poured: None) -> None:
    """The graph of one group, as the database and as the rules read it."""
    at = datetime.fromtimestamp((NOW - 400) * 3600, UTC)
    series = Series.objects.create(metric="cups", scope="system", a="", b="green", first_at=at, month=f"{at:%Y-%m}")
    Bucket.objects.create(series=series, hour=NOW - 1, slot=slots.slot_of(100), count=77, total=0)
    rule = Rule("many", Threshold(Count(CUPS), above=0), by=(0,))
    one = alone(rule, ("",))
    whole = counted.history([rule], first=NOW - 3, until=NOW)
    narrow = counted.history([one], first=NOW - 3, until=NOW)

    shown = [[window.value for window in measured(one, history, range(NOW - 3, NOW))] for history in (whole, narrow)]

    assert shown == [[0, 0, 77], [0, 0, 77]]
    assert wording.measured_words(one.condition.measured) == "the number of cups where kitchen is (none)"  # type: ignore[union-attr]
