"""Metrics count each event once, whatever stops in between, and a rebuild from zero counts the same."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from aegis.core.actors import SYSTEM
from aegis.identity.models import User
from audit import catalogue, following, journal, scopes, sealer, search
from audit.asking import Search
from audit.catalogue import EventType
from audit.drafts import Context, Draft
from audit.metrics import figures, measures, projection, slots
from audit.metrics.measures import OTHER, Measure, Seen
from audit.metrics.models import Bucket, Counted, Series
from audit.models import Event
from tests.support.following import caught_up

catalogue.register(
    EventType("parcel.posted", "{actor} posted {subject}", "handoffs", fields=("to",)),
    EventType("parcel.lost", "{subject} was lost", "handoffs", fields=("to", "fault?"), tone="red"),
)

HERE, THERE = str(UUID(int=1)), str(UUID(int=2))
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


def _read(seen: Seen) -> tuple[str, ...] | None:
    if seen.data.get("fault") == 1:
        raise KeyError("this one cannot be read")
    return (seen.text("to"), seen.outcome) if seen.first is not None and seen.first.type == "parcel.posted" else None


measures.register(
    Measure(
        "parcels", ("parcel.lost",), ("to", "outcome"), _read,
        amount=lambda seen: seen.age_ms, has_spread=True, needs_first=True, closed={"outcome": frozenset({"done", "failed"})},
    ),
    Measure("posted", ("parcel.posted",), (), lambda seen: ()),
)  # fmt: skip


def post(stream: str, type_: str, to: str, scope_id: str = HERE, outcome: str = "", at: datetime = NOW, **data: Any) -> None:
    about = Context(stream=stream, scope="workflow", scope_id=scope_id)
    with transaction.atomic():
        journal.append(about, [Draft(type_, SYSTEM, {"to": to, **data}, outcome=outcome)], at)


def snapshot() -> tuple[Any, ...]:
    """Everything that is counted, by what it means and not by its rows' numbers."""
    key = ("series__metric", "series__scope_id", "series__a", "series__b", "series__c", "series__d")
    rows = Series.objects.values_list("metric", "scope_id", "a", "b", "first_at", "month", "count", "total")
    buckets = Bucket.objects.values_list(*key, "hour", "slot", "count", "total")
    return sorted(rows), sorted(buckets), sorted(Counted.objects.values_list(*key, "position"))


def count_of(metric: str, *values: str) -> int:
    rows = Bucket.objects.filter(series__in=Series.objects.filter(figures.condition(figures.written(metric, *values))))
    return rows.aggregate(n=Sum("count"))["n"] or 0


@st.composite
def moves(draw: Any) -> list[dict[str, Any]]:
    one = st.fixed_dictionaries(
        {
            "stream": st.sampled_from(("parcel:a", "parcel:b", "parcel:c")),
            "type_": st.sampled_from(("parcel.posted", "parcel.lost", "parcel.lost")),
            "to": st.sampled_from(("rome", "oslo", "bonn", "riga")),
            "scope_id": st.sampled_from((HERE, THERE)),
            "outcome": st.sampled_from(("done", "failed", "strange")),
            "at": st.integers(0, 2_000).map(lambda hours: NOW - timedelta(hours=hours)),
        }
    )
    return draw(st.lists(one, min_size=1, max_size=25))


@pytest.mark.django_db
class TestFollowingIsRebuilding(TestCase):
    """Hypothesis' own test case: each example in a transaction that is rolled back."""

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(moves(), st.lists(st.tuples(st.integers(1, 9), st.sampled_from(("goes", "goes", "dies", "dies late"))), max_size=12))
    def test_any_split_with_any_crash_in_between_counts_what_a_rebuild_counts(
        self, made: list[dict[str, Any]], turns: list[tuple[int, str]]
    ) -> None:
        with mock.patch.object(measures, "CAP", 2):
            for one in made:
                post(**one)
            sealer.seal()
            for limit, how in turns:
                self.turn(limit, how)
            following.catch_up(projection.NAME)
            followed = snapshot()

            following.rebuild(projection.NAME)
            assert snapshot() == ([], [], [])
            following.catch_up(projection.NAME)

            assert snapshot() == followed
            self.check_against_reference(followed)

    def turn(self, limit: int, how: str) -> None:
        def handle(events: Any) -> None:
            if how == "dies":
                raise RuntimeError("before it counted")
            projection.handle(events)
            if how == "dies late":
                raise RuntimeError("after it counted")

        try:
            with transaction.atomic():  # stands for the transaction that `follow` makes where there is none
                following.follow(projection.NAME, handle, limit=limit)
        except RuntimeError:
            assert how != "goes"

    def check_against_reference(self, followed: tuple[Any, ...]) -> None:
        """The same, counted by reading every event."""
        begun: dict[tuple[str, str], set[tuple[str, str]]] = {}
        known: dict[str, set[tuple[str, str]]] = {}
        wanted: Counter[tuple[Any, ...]] = Counter()
        firsts = dict(Event.objects.filter(seq=1).values_list("stream", "type"))
        for event in Event.objects.filter(type="parcel.lost").order_by("sealed__leaf_index"):
            if firsts[event.stream] != "parcel.posted":
                continue
            values = (event.line.partition('"to":"')[2].partition('"')[0], event.outcome)
            seen = known.setdefault(event.scope_id, set())
            of_month = begun.setdefault((event.scope_id, f"{event.at:%Y-%m}"), set())
            if values not in seen and len(of_month) >= 2:
                values = (OTHER, event.outcome if event.outcome in ("done", "failed") else OTHER)
            elif values not in seen:
                of_month.add(values)
            seen.add(values)
            wanted[(event.scope_id, *values, int(event.at.timestamp()) // 3600)] += 1
        found: Counter[tuple[Any, ...]] = Counter()
        for metric, scope_id, a, b, _, _, hour, _, count, _ in followed[1]:
            if metric == "parcels":
                found[(scope_id, a, b, hour)] += count
        assert found == wanted


def test_an_event_falls_into_the_hour_it_happened_in(db: None) -> None:
    for minute in (0, 59):
        post("parcel:a", "parcel.posted", "rome", at=NOW.replace(minute=minute, second=minute))
    following_up()

    bucket = Bucket.objects.get(series__metric="posted")
    assert bucket.count == 2
    assert datetime.fromtimestamp(bucket.hour * 3600, UTC) == NOW.replace(minute=0)


def test_percentiles_of_what_was_added_up_are_near_the_true_ones(db: None) -> None:
    ages = [n * n * 37 for n in range(1, 200)]
    for number, age in enumerate(ages):
        post(f"parcel:{number}", "parcel.posted", "rome")
        post(f"parcel:{number}", "parcel.lost", "rome", outcome="done", at=NOW + timedelta(milliseconds=age))
    following_up()

    rows = Bucket.objects.filter(series__metric="parcels").values_list("slot").annotate(n=Sum("count"))
    merged = dict(rows.values_list("slot", "n"))
    for share in (0.5, 0.95, 0.99):
        true = sorted(ages)[-(-round(share * 1000) * len(ages) // 1000) - 1]
        assert slots.percentile(merged, share) == pytest.approx(true, rel=0.05)
    assert Bucket.objects.filter(series__metric="parcels").aggregate(n=Sum("total"))["n"] == sum(ages)


def test_a_slot_tells_what_it_holds_to_five_in_a_hundred() -> None:
    ends = [end for low, after in pairwise(slots._BOUNDS) for end in (low, after - 1) if end <= slots.MOST]

    assert [end for end in ends if slots.middle_of(slots.slot_of(end)) != pytest.approx(end, rel=0.05)] == []
    assert len(slots._BOUNDS) < 300


@pytest.mark.parametrize(("amount", "kept"), [(-5, 0), (slots.MOST * 9, slots.MOST)])
def test_an_amount_out_of_bounds_counts_as_the_bound(amount: int, kept: int) -> None:
    assert slots.slot_of(amount) == slots.slot_of(kept)


def test_no_percentile_of_nothing() -> None:
    assert slots.percentile({slots.NONE: 5}, 0.5) is None


def test_an_event_that_cannot_be_read_is_counted_as_such_and_stops_nothing(db: None) -> None:
    post("parcel:a", "parcel.posted", "rome")
    post("parcel:a", "parcel.lost", "rome", outcome="done", fault=1)
    post("parcel:a", "parcel.lost", "rome", outcome="done")
    following_up()

    assert count_of("unreadable", "parcels", "parcel.lost") == 1
    assert count_of("parcels", "rome", "done") == 1
    assert following.lag(projection.NAME).events == 0


@pytest.mark.django_db(transaction=True)
def test_when_the_counting_itself_fails_nothing_is_counted_and_the_lag_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    post("parcel:a", "parcel.posted", "rome", at=NOW)
    sealer.seal()
    with monkeypatch.context() as patched:
        patched.setattr(projection, "_COUNTED", None)  # the buckets are written, then it breaks
        with pytest.raises(AttributeError):
            following.catch_up(projection.NAME)
    assert not Bucket.objects.exists()
    assert following.lag(projection.NAME).is_late

    following.catch_up(projection.NAME)
    assert count_of("posted") == 1


def test_values_that_an_agent_makes_up_without_end_become_other_and_closed_ones_stay(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "CAP", 5)
    post("parcel:a", "parcel.posted", "rome")
    for number in range(40):
        post("parcel:a", "parcel.lost", f"place {number}", outcome=("done", "failed", f"made up {number}")[number % 3])
    following_up()

    assert Series.objects.filter(metric="parcels").count() == 5 + 3  # done, failed and (other) of the rest
    assert count_of("parcels", OTHER, "done") + count_of("parcels", OTHER, "failed") + count_of("parcels", OTHER, OTHER) == 35
    assert count_of("parcels") == 40


def test_a_new_month_has_room_again(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "CAP", 1)
    post("parcel:a", "parcel.posted", "rome")
    for to, days in (("rome", 0), ("oslo", 0), ("bonn", 40)):
        post("parcel:a", "parcel.lost", to, outcome="done", at=NOW + timedelta(days=days))
    following_up()

    named = set(Series.objects.filter(metric="parcels").values_list("a", flat=True))
    assert named == {"rome", OTHER, "bonn"}


def test_hostile_values_are_one_line_of_bounded_length(db: None) -> None:
    post("parcel:a", "parcel.posted", "rome")
    post("parcel:a", "parcel.lost", "a\nb\u202ec" + "x" * 500, outcome="done")
    following_up()

    value = Series.objects.get(metric="parcels").a
    assert value.startswith("a�b�cx")
    assert len(value) == 120


@pytest.mark.parametrize(
    "figure", ["parcels", "parcels/rome", "parcels//done", "parcels/rome/done", "parcels/a%2Fb", "parcels/!"]
)
def test_the_list_behind_a_figure_has_the_events_that_were_counted(db: None, figure: str) -> None:
    post("parcel:a", "parcel.posted", "rome")
    for to, outcome, scope_id in (
        ("rome", "done", HERE),
        ("rome", "failed", HERE),
        ("a/b", "done", HERE),
        ("", "done", HERE),
        ("rome", "done", THERE),
    ):
        post("parcel:a", "parcel.lost", to, outcome=outcome, scope_id=scope_id)
    following_up()
    everything, here = scopes.Reach({"workflow": None}), scopes.Reach({"workflow": frozenset([HERE])})

    for seen in (everything, here):
        rows = Bucket.objects.filter(series__in=Series.objects.within(seen).filter(figures.condition(figure)))
        listed = search.find(Search(figure=figure, span="all"), User(), seen=seen).events
        assert rows.aggregate(n=Sum("count"))["n"] == len(listed) > 0
        assert {event.type for event in listed} == {"parcel.lost"}


def test_the_command_counts_anew(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    post("parcel:a", "parcel.posted", "rome")
    following_up()
    before = snapshot()
    Bucket.objects.update(count=77)

    call_command("aegis", "metrics", "rebuild")

    assert snapshot() == before
    assert "are in the journal" in capsys.readouterr().out


def test_two_measures_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        measures.register(Measure("posted", ("parcel.posted",), (), lambda seen: None))


def following_up() -> None:
    caught_up()
    following.catch_up(projection.NAME)
