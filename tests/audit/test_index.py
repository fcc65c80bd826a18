"""The search index finds what a slow reference finds, counts what a slow reference counts, and can be made again from zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import pairwise
from random import Random
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import F, Value
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from aegis.core import clock
from aegis.core.actors import SYSTEM, Actor, agent_actor, user_actor
from aegis.identity.models import User
from audit import catalogue, counting, following, journal, masking, scopes, search
from audit.asking import Search
from audit.catalogue import EventType
from audit.drafts import Context, Draft
from audit.index import content, projection, store, words
from audit.index.models import Hour, Indexed, Tally
from audit.index.projection import hour_of
from audit.models import Event, Payload
from tests.support.following import caught_up

catalogue.register(
    EventType(
        "crate.moved", "{actor} moved {subject} to {data.place}", "effects",
        fields=("place", "policy?", "risk?"), payloads={"note": "personal", "blob": "business"}, searchable=("note",),
    )
)  # fmt: skip

HERE, THERE = str(UUID(int=1)), str(UUID(int=2))
WORDS = ("credit", "creditor", "note", "größe", "771", "a_b", "note's")
RUNS = (None, UUID(int=7), UUID(int=8))
ACTORS = (SYSTEM, user_actor(UUID(int=3), auth="session"), agent_actor(UUID(int=4)))
NOW = clock.now().replace(minute=30, second=0, microsecond=0)


class Everyone:
    """A masker that closes the payloads of one run to whoever is asked about."""

    def __init__(self, closed: UUID | None) -> None:
        self.closed = closed

    def unsearchable(self, viewer: Any) -> Any:
        from django.db.models import Q

        return None if self.closed is None else Q(run_id=self.closed)


@st.composite
def moves(draw: Any) -> list[dict[str, Any]]:
    one = st.fixed_dictionaries(
        {
            "place": st.sampled_from(WORDS),
            "note": st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
            "blob": st.sampled_from(("", "secret")),
            "scope_id": st.sampled_from((HERE, THERE)),
            "run_id": st.sampled_from(RUNS),
            "actor": st.sampled_from(ACTORS),
            "agent": st.sampled_from(("", "clerk", "writer")),
            "outcome": st.sampled_from(("", "done", "denied")),
            "risk": st.sampled_from(("", "high")),
            "hours": st.one_of(st.integers(0, 100), st.integers(0, 2_000)),
        }
    )
    return draw(st.lists(one, min_size=1, max_size=12))


@st.composite
def asked(draw: Any) -> Search:
    some = lambda *values: st.one_of(st.just(()), st.lists(st.sampled_from(values), unique=True, max_size=2).map(tuple))  # noqa: E731
    since = draw(
        st.sampled_from((None, NOW - timedelta(hours=50), *(hour_of(NOW - timedelta(hours=ago)) for ago in (70, 1_700))))
    )
    until = draw(st.sampled_from((None, NOW - timedelta(hours=5), hour_of(NOW - timedelta(hours=20)))))
    return Search(
        text=draw(st.lists(st.sampled_from((*WORDS, "cred", "moved", "secret", "%")), max_size=2).map(" ".join)),
        outcome=draw(some("done", "denied")),
        workflow=draw(some(HERE, THERE)),
        actor=draw(some("system", f"user:{UUID(int=3)}", "agent:clerk")),
        agent=draw(some("clerk", "writer")),
        type=draw(some("crate.moved")),
        lane=draw(some("effects", "routing")),
        risk=draw(some("high")),
        span="" if since or until else "all",
        since=since,
        until=until,
    )


class Reference:
    """The same questions, answered by reading every event."""

    def __init__(self, seen: scopes.Reach, closed: UUID | None) -> None:
        places = dict(Indexed.objects.values_list("event_id", "position"))
        rows = sorted(Event.objects.filter(type="crate.moved"), key=lambda event: places[event.pk], reverse=True)
        self.events = [event for event in rows if seen.ids["workflow"] is None or event.scope_id in seen.ids["workflow"]]
        self.closed = closed
        bodies = Payload.objects.filter(name="note", erased_at__isnull=True).values_list("stream", "seq", "body")
        self.notes = {(stream, seq): body for stream, seq, body in bodies}

    def find(self, ask: Search, without: str = "") -> list[Event]:
        return [event for event in self.events if self._fits(event, ask, without)]

    def _fits(self, event: Event, ask: Search, without: str) -> bool:
        risk = "high" if '"risk":"high"' in event.line else ""
        actor = (
            f"agent:{event.agent}"
            if event.agent and event.actor_kind == "agent"
            else (event.actor_kind + (f":{event.actor_ref}" if event.actor_ref else ""))
        )
        lanes = [lane for lane in catalogue.LANES if event.type in catalogue.in_lane(lane)]
        of = {
            "outcome": [event.outcome], "workflow": [event.scope_id], "actor": [actor], "agent": [event.agent],
            "type": [event.type], "lane": lanes, "risk": [risk],
        }  # fmt: skip
        if any(
            getattr(ask, name) and name != without and not set(getattr(ask, name)) & set(values) for name, values in of.items()
        ):
            return False
        if (ask.since and event.at < ask.since) or (ask.until and event.at >= ask.until):
            return False
        return self._holds(event, ask.text)

    def _holds(self, event: Event, text: str) -> bool:
        if not text:
            return True
        typed = [word for piece in text.split() for word in words.words_of(piece)]
        if not typed:
            return False
        row = content.entry(0, event, {})
        known = set(row.open.split())
        if self.closed is None or event.run_id != self.closed:
            known |= set(words.words_of(self.notes.get((event.stream, event.seq), "")))
        return all(word in known for word in typed[:-1]) and any(word.startswith(typed[-1]) for word in known)


def write(made: list[dict[str, Any]]) -> None:
    for number, one in enumerate(made):
        data = {"place": one["place"], **({"risk": one["risk"]} if one["risk"] else {})}
        payloads = {name: one[name].encode() for name in ("note", "blob") if one[name]}
        actor: Actor = one["actor"]
        draft = Draft("crate.moved", actor, data, payloads, agent=one["agent"], outcome=one["outcome"])
        about = Context(stream=f"config:Crate{number % 3}", scope="workflow", scope_id=one["scope_id"], run_id=one["run_id"])
        with transaction.atomic():
            journal.append(about, [draft], NOW - timedelta(hours=one["hours"]))


class TestAgainstAReference(TestCase):
    """Hypothesis' own test case: each example in a transaction that is rolled back."""

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(moves(), asked(), st.sampled_from((None, HERE)), st.sampled_from(RUNS))
    def test_hits_counts_and_histogram_are_those_of_a_reference(
        self, made: list[dict[str, Any]], ask: Search, only: str | None, closed: UUID | None
    ) -> None:
        write(made)
        caught_up()
        seen = scopes.Reach({"workflow": None if only is None else frozenset([only])})
        reference = Reference(seen, closed)
        with (
            mock.patch.object(masking, "_masker", Everyone(closed)),
            mock.patch.object(clock, "now", return_value=NOW + timedelta(hours=1)),
        ):
            found = search.find(ask, User(), seen=seen)
            counts = counting.count(ask, User(), seen)
        wanted = reference.find(ask)
        assert [event.pk for event in found.events] == [event.pk for event in wanted]
        assert counts.total == len(wanted)
        assert sum(bar.count for bar in counts.bars) == len(wanted)
        assert sum(bar.bad for bar in counts.bars) == sum(event.outcome == "denied" for event in wanted)
        for bar in counts.bars[1:-1]:
            assert bar.count == sum(bar.start <= event.at < bar.end for event in wanted)
        for name, value_of in (("outcome", lambda event: event.outcome), ("workflow", lambda event: event.scope_id),
                               ("agent", lambda event: event.agent)):  # fmt: skip
            there = reference.find(ask, without=name)
            assert counts.values[name] == {value: n for value, n in Counter(map(value_of, there)).items() if value}, name


@pytest.fixture
def crates(db: None) -> Callable[..., None]:
    def make(count: int, **fields: Any) -> None:
        base = {
            "place": "here", "note": "credit", "blob": "", "scope_id": HERE, "run_id": RUNS[1], "actor": SYSTEM,
            "agent": "", "outcome": "done", "risk": "", "hours": 1,
        }  # fmt: skip
        write([{**base, **fields} for _ in range(count)])
        caught_up()

    return make


def tables() -> list[list[Any]]:
    return [
        sorted(map(repr, Indexed.objects.values_list())),
        sorted(map(repr, Hour.objects.values_list())),
        sorted(
            map(repr, Tally.objects.values_list("grain", "start", "scope", "scope_id", "dimension", "value", "count", "bad"))
        ),
    ]


def test_made_again_from_zero_it_is_the_same(crates: Callable[..., None]) -> None:
    crates(3)
    crates(2, note="größe 771", hours=30, outcome="denied")
    crates(2, scope_id=THERE, agent="clerk", actor=ACTORS[2])
    before = tables()
    assert len(before[0]) >= 7

    following.rebuild(projection.NAME)
    assert tables() == [[], [], []]
    caught_up()

    assert tables() == before


def _tallies(moments: Iterable[datetime]) -> list[Tally]:
    starts = {"h": hour_of, "d": projection.day_of, "m": projection.month_of}
    counted = Counter((grain, start_of(at)) for at in moments for grain, start_of in starts.items())
    return [
        Tally(grain=grain, start=start, scope="workflow", scope_id=HERE, dimension=dimension, value=value, count=n, bad=0)
        for (grain, start), n in counted.items()
        for dimension, value in (("all", ""), ("outcome", "done"))
    ]


def test_a_time_is_summed_from_months_days_and_hours_and_every_hour_once(quinn: User) -> None:
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=7 * number) for number in range(600)]  # to the end of June
    Tally.objects.bulk_create(_tallies(moments))
    dice = Random(3)
    edges = [moments[0] + timedelta(hours=dice.randint(-100, 4_300)) for _ in range(60)]
    edges += [datetime(2026, month, 1, hour, tzinfo=UTC) for month in (1, 2, 3, 4) for hour in (0, 1, 23)]
    for since, until in [(dice.choice((*edges, None)), dice.choice((*edges, None))) for _ in range(300)]:
        expected = sum((since is None or at >= since) and (until is None or at < until) for at in moments)
        with mock.patch.object(clock, "now", return_value=datetime(2026, 7, 1, tzinfo=UTC)):
            span = "" if since or until else "all"
            counts = counting.count(Search(since=since, until=until, span=span), quinn, scopes.Reach({"workflow": None}))
        found = (sum(counts.values["outcome"].values()), counts.total, sum(bar.count for bar in counts.bars))
        assert found == (expected, expected, expected), (since, until)


def test_months_are_counted_once_more_from_the_days(crates: Callable[..., None]) -> None:
    """What the migration does to an index that knew days only."""
    for hours in (1, 500, 900, 1_700):
        crates(2, hours=hours)
    before = tables()
    migration = import_module("audit.migrations.0015_blocks_and_months")
    editor = connection.SchemaEditorClass(connection)  # entered, SQLite would want to be outside the test's transaction
    migration.forget_months(None, editor)
    assert not Tally.objects.filter(grain="m").exists()
    migration.count_months(None, editor)
    assert tables() == before


def test_an_erased_payload_is_neither_searched_nor_kept_and_a_rebuild_agrees(crates: Callable[..., None], quinn: User) -> None:
    crates(1, note="zoe berlin")
    event = Event.objects.filter(type="crate.moved").latest("id")
    Payload.objects.filter(stream=event.stream, seq=event.seq).update(body="", salt="", erased_at=clock.now())
    projection.forget(event.stream, event.seq)

    assert not search.find(Search(text="zoe", span="all"), quinn, seen=scopes.Reach({"workflow": None})).hits
    assert "zoe" not in str(Indexed.objects.values_list("whole", flat=True).get(event_id=event.pk))
    before = tables()
    following.rebuild(projection.NAME)
    caught_up()
    assert tables() == before


def asked_of_the_database(user: User, ask: Search, seen: scopes.Reach) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        search.find(ask, user, seen=seen)
        counting.count(ask, user, seen)
    return [query["sql"] for query in captured]


@pytest.mark.parametrize(
    "ask", [Search(), Search(text="credit no"), Search(outcome=("done",)), Search(outcome=("done",), risk=("high",), span="7d")]
)
def test_no_question_counts_the_table_or_skips_rows_and_queries_do_not_grow(
    crates: Callable[..., None], quinn: User, ask: Search
) -> None:
    seen = scopes.Reach({"workflow": None})
    crates(5)
    few = asked_of_the_database(quinn, ask, seen)
    crates(400, outcome="done")
    many = asked_of_the_database(quinn, ask, seen)

    assert len(many) == len(few) <= 20
    for sql in many:
        assert "COUNT(" not in sql.upper()
        assert " OFFSET " not in sql.upper()
        rows = 'FROM "audit_indexed"' in sql or "FROM audit_words" in sql or 'FROM "audit_event"' in sql
        assert not rows or "LIMIT" in sql.upper() or " IN (" in sql.upper(), sql


@pytest.mark.parametrize("most", [1, 3])
def test_above_the_cap_numbers_say_at_least(crates: Callable[..., None], quinn: User, monkeypatch: Any, most: int) -> None:
    seen = scopes.Reach({"workflow": None})
    crates(4, outcome="done", agent="clerk")
    monkeypatch.setattr(counting, "CAP", most)

    capped = counting.count(Search(text="credit"), quinn, seen)
    assert (capped.total, capped.is_capped, "agent" in capped.capped) == (most, True, True)
    exact = counting.count(Search(outcome=("done",)), quinn, seen)
    assert (exact.total, exact.is_capped, "agent" in exact.capped, "outcome" in exact.capped) == (4, False, True, False)


@pytest.mark.parametrize("few", [-1, 10**9])  # PostgreSQL walks, or asks the index
def test_words_of_a_payload_find_nothing_for_whom_it_is_masked_and_words_of_the_line_do(
    crates: Callable[..., None], quinn: User, monkeypatch: Any, few: int
) -> None:
    monkeypatch.setattr(store, "FEW", few)
    seen = scopes.Reach({"workflow": None})
    crates(3, note="sesame", place="cellar", run_id=RUNS[1])
    crates(2, note="sesame", place="cellar", run_id=RUNS[2])

    def numbers(closed: UUID | None) -> list[int]:
        with mock.patch.object(masking, "_masker", Everyone(closed)):
            asked = [Search(text=text) for text in ("sesame", "cellar", "sesame cellar")]
            assert [len(search.find(ask, quinn, seen=seen).hits) for ask in asked] == [
                counting.count(ask, quinn, seen).total for ask in asked
            ]
            return [len(search.find(ask, quinn, seen=seen).hits) for ask in asked]

    assert numbers(None) == [5, 5, 5]
    assert numbers(RUNS[1]) == [2, 5, 2]


@pytest.mark.postgres
def test_postgresql_plans_for_disks_that_do_not_turn(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('random_page_cost'), current_setting('work_mem')")
        assert cursor.fetchone() == ("1.1", "16MB")


@pytest.fixture
def walking(monkeypatch: Any) -> None:
    """Every way of PostgreSQL through a few rows: nothing is rare, and a walk takes two rows at a time."""
    monkeypatch.setattr(store, "FEW", -1)
    monkeypatch.setattr(store, "WALK_FIRST", 2)


@pytest.mark.postgres
@pytest.mark.parametrize("most", [0, 3, 1_000])  # never walk on, sometimes, always
@pytest.mark.parametrize("blocks", [1, 4, 100])
@pytest.mark.parametrize("text", ["credit no", "no", "credit note of"])
def test_a_walk_and_the_blocks_and_the_index_find_the_same(
    crates: Callable[..., None], quinn: User, walking: None, monkeypatch: Any, most: int, blocks: int, text: str
) -> None:
    """On PostgreSQL; SQLite knows one way only."""
    monkeypatch.setattr(store, "WALK_MOST", most)
    monkeypatch.setattr(store, "BLOCK", 3)
    monkeypatch.setattr(store, "BLOCKS_MOST", blocks)
    monkeypatch.setattr(store, "MANY", 5)
    seen = scopes.Reach({"workflow": None})
    for number in range(24):
        crates(1, note=("credit note", "a note", "credit note of a crate", "credit")[number // 2 % 4])
    ask = Search(text=text)

    for limit in (1, 2, 5, 50):
        found = [hit.position for hit in search.find(ask, quinn, seen=seen, limit=limit).hits]
        with mock.patch.object(store, "FEW", 10**9):
            assert found == [hit.position for hit in search.find(ask, quinn, seen=seen, limit=limit).hits]
        assert len(found) == min(limit, {"credit no": 12, "no": 18, "credit note of": 6}[text])
    everything = found
    terms = words.terms(text, lambda _: (), lambda _: ())
    for floor in range(everything[-1], everything[0]):
        later = store.newest(Indexed.objects.since(floor), terms, None, limit=50)
        assert [position for (position,) in later] == [position for position in everything if position >= floor]


@pytest.mark.postgres
def test_the_index_of_words_answers_for_blocks_alone(crates: Callable[..., None], quinn: User) -> None:
    """Else each step back would be a walk through all."""
    crates(3, note="credit note")
    rows = Indexed.objects.filter(store.Fits(F("whole"), store.TsQuery(Value("'credit'"))), store.InBlocks(range(2, 5)))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        sql, params = rows.values("position").query.sql_with_params()
        cursor.execute(f"EXPLAIN {sql}", params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    index = next(line for line in plan.split("\n") if "Index Cond" in line)
    assert "indexed_whole" in plan
    assert "'credit'" in index
    assert "'{2,3,4}'" in index


def test_times_are_drawn_in_bars_that_touch_and_cover(db: None) -> None:
    for hours in (1, 3, 24, 100, 720, 9_000, 200_000):
        now = datetime(2026, 11, 24, 0, 17, tzinfo=clock.now().tzinfo)
        bars = counting.frame(now - timedelta(hours=hours), None, now)
        assert 1 <= len(bars) <= counting.BARS
        assert (bars[0].start, bars[-1].end) == (now - timedelta(hours=hours), now)
        assert all(one.end == other.start for one, other in pairwise(bars))
