"""A rule is tried over what the metrics counted, before anybody relies on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

from aegis.core import clock
from aegis.core.actors import SYSTEM
from approvals.alerts.rehearsal import rehearsed
from audit import catalogue, following, journal, sealer
from audit.alerts.rules import Absence, Anomaly, Count, Figure, NewValue, Rule, Threshold
from audit.catalogue import EventType
from audit.drafts import Context, Draft
from audit.metrics import measures, projection, slots
from audit.metrics.measures import Measure
from audit.metrics.models import Bucket, Series

pytestmark = pytest.mark.django_db

catalogue.register(EventType("kettle.boiled", "{subject} boiled", "handoffs", fields=("kitchen",)))
measures.register(Measure("kettles", ("kettle.boiled",), ("kitchen",), lambda seen: (seen.text("kitchen"),)))

NOW = 168 * 2_900 + 12
WEEK = 168
KETTLES = Figure("kettles")


def counted(counts: dict[int, int], kitchen: str = "north") -> None:
    """Hour -> how many boiled then."""
    first = min(counts)
    at = datetime.fromtimestamp(first * 3600, UTC)
    series = Series.objects.create(metric="kettles", scope="system", a=kitchen, first_at=at, month=f"{at:%Y-%m}")
    Bucket.objects.bulk_create(
        Bucket(series=series, hour=hour, slot=slots.NONE, count=count, total=0) for hour, count in counts.items() if count
    )


def test_what_is_odd_for_hours_is_told_once() -> None:
    counted(dict.fromkeys(range(NOW - 5 * WEEK, NOW), 20) | {NOW - 9: 90, NOW - 8: 95, NOW - 3: 99})

    [(_, found)] = rehearsed([Rule("many", Anomaly(Count(KETTLES), "up"))], days=2, now=NOW)

    assert [(one.start, one.end) for one in found] == [(NOW - 9, NOW - 7), (NOW - 3, NOW - 2)]


def test_the_hour_that_is_not_over_is_not_judged() -> None:
    counted({NOW - 1: 1, NOW: 50})

    [(_, found)] = rehearsed([Rule("many", Threshold(Count(KETTLES), above=10))], days=1, now=NOW)
    [(_, later)] = rehearsed([Rule("many", Threshold(Count(KETTLES), above=10))], days=1, now=NOW + 1)

    assert (len(found), len(later)) == (0, 1)


def test_a_window_that_reaches_into_this_hour_is_not_judged() -> None:
    start = NOW - NOW % 6
    counted({start: 50})
    rule = Rule("many", Threshold(Count(KETTLES), above=10), hours=6)

    assert [len(rehearsed([rule], days=1, now=start + ahead)[0][1]) for ahead in (5, 6)] == [0, 1]


def test_what_began_long_ago_is_not_new_and_its_empty_weeks_count_as_nothing() -> None:
    counted({NOW - 60 * WEEK: 1, NOW - 1: 40})
    rules = [Rule("new", NewValue(KETTLES), by=(0,)), Rule("many", Anomaly(Count(KETTLES), "up"), by=(0,))]

    new, many = rehearsed(rules, days=1, now=NOW)

    assert new[1] == []
    assert [(one.group, one.findings[0].value) for one in many[1]] == [(("north",), 40)]


def test_kitchens_are_judged_apart() -> None:
    counted(dict.fromkeys(range(NOW - 5 * WEEK, NOW), 20))
    counted(dict.fromkeys(range(NOW - 5 * WEEK, NOW - 2), 20), "south")

    [(_, found)] = rehearsed([Rule("silent", Absence(KETTLES), by=(0,))], days=1, now=NOW)

    assert [(one.group, one.start, one.end) for one in found] == [(("south",), NOW - 2, NOW)]


def test_two_queries_read_everything(django_assert_num_queries: Any) -> None:
    counted(dict.fromkeys(range(NOW - 2 * WEEK, NOW), 20))
    rules = [Rule(f"many-{border}", Threshold(Count(KETTLES), above=border)) for border in range(5)]

    with django_assert_num_queries(2):
        found = rehearsed(rules, days=3, now=NOW)

    assert [len(one) for _, one in found] == [1] * 5


MANIFEST = """
apiVersion: aegis/v1
kind: Alert
metadata: {name: many-kettles}
spec:
  by: [kitchen]
  threshold: {count: {measure: kettles}, above: 2}
"""


def command(folder: Path, text: str, *options: str) -> tuple[int, str, str]:
    path = folder / "alert.yaml"
    path.write_text(text)
    out, err = StringIO(), StringIO()
    try:
        call_command("aegis", "alerts", "rehearse", str(path), *options, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def boil(times: int, at: datetime) -> None:
    with transaction.atomic():
        drafts = [Draft("kettle.boiled", SYSTEM, {"kitchen": "west"}) for _ in range(times)]
        journal.append(Context(stream="kettles", scope="system"), drafts, at)


def test_the_command_says_when_a_rule_would_have_fired(tmp_path: Path) -> None:
    hour_before_last = clock.db_now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    boil(3, hour_before_last)
    sealer.seal()
    following.catch_up(projection.NAME)

    code, out, _ = command(tmp_path, MANIFEST)

    assert code == 0
    assert "many-kettles: would have fired 1 time in 30 days" in out
    assert f"{hour_before_last:%Y-%m-%d %H:%M} UTC, 1 h: west: 3, above 2; rests on 3 events" in out


def test_the_command_names_the_place_of_a_fault(tmp_path: Path) -> None:
    code, out, err = command(tmp_path, MANIFEST.replace("kitchen", "cellar"))

    assert (code, out) == (2, "")
    assert "alert.yaml:6:7: /spec/by: kettles has no dimension 'cellar' (it has kitchen)" in err


def test_the_command_refuses_what_is_too_long_and_files_without_alerts(tmp_path: Path) -> None:
    assert command(tmp_path, MANIFEST, "--days", "91")[0] == 2
    assert command(tmp_path, MANIFEST.replace("kind: Alert", "kind: Other"))[0] == 2
