"""A span that the collector will never take is left out, told and counted; it holds up no other, and no other is left out."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.testing import capture_logs

from aegis.core import clock
from aegis.portal.metrics import prometheus
from audit import exporters, following, sealer
from audit.models import Follower
from orchestration.engine.models import Run
from orchestration.engine.traces import exporter, spans
from tests.engine import house
from tests.traces.test_export import begun, collector, sent, submitted, zoe  # noqa: F401  fixtures

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = 4
SPANS = 5  # of each run


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_exporters", {exporter.NAME})


@pytest.fixture
def runs(zoe, collector) -> list[Run]:  # noqa: F811
    begun()
    made = [submitted(zoe, None, f"k-{number}") for number in range(RUNS)]
    house.drive(*made)
    sealer.seal()
    return made


def of_run(run: Run, name: str) -> Callable[[Span], bool]:
    return lambda span: span.trace_id.hex() == run.pk.hex and span.name == name


def refusing(poison: Callable[[Span], bool], status: int) -> Callable[[list[Span]], int]:
    return lambda found: status if any(map(poison, found)) else 0


def told_of() -> Follower:
    return Follower.objects.get(name=exporter.NAME)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_span_that_is_refused_is_left_out_alone(runs, collector, status):  # noqa: F811
    collector.refuses = refusing(of_run(runs[2], "step pay"), status)

    with capture_logs() as logged:
        assert sent() > 0

    assert len(collector.spans) == len(collector.by_id) == RUNS * SPANS - 1
    assert not any(map(of_run(runs[2], "step pay"), collector.spans))
    assert following.lag(exporter.NAME).events == 0, "nothing waits"
    assert told_of().refused == 1
    assert told_of().refusal == f"'step pay' of run {runs[2].pk}: HTTP {status}"
    assert len(collector.asked) < 20, "by halves, not one by one"
    (line,) = [one for one in logged if one["event"] == "span_refused"]
    assert (line["run"], line["name"], line["reason"]) == (str(runs[2].pk), "step pay", f"HTTP {status}")


def test_an_operator_finds_what_was_left_out(runs, collector):  # noqa: F811
    collector.refuses = refusing(of_run(runs[0], "agent clerk"), 400)
    sent()
    said = io.StringIO()

    call_command("aegis", "traces", "lag", stdout=said)

    assert (
        f"1 span left out, which the collector refuses; the last one: 'agent clerk' of run {runs[0].pk}: HTTP 400."
        in said.getvalue()
    )
    (family,) = [one for one in prometheus._health() if one.name == "aegis_exporter_refused"]
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"follower": "traces"}, 1)]


def test_several_are_each_left_out_and_counted_over_batches(runs, collector):  # noqa: F811
    collector.refuses = refusing(lambda span: span.name == "step plan", 400)
    while exporters.export(exporter.NAME, exporter.send, limit=7):
        pass

    assert len(collector.spans) == RUNS * (SPANS - 1)
    assert told_of().refused == RUNS


def test_a_span_that_nobody_can_encode_is_left_out_alone(runs, collector, monkeypatch):  # noqa: F811
    read = spans.take
    before_there_was_time = datetime(1900, 1, 1, tzinfo=UTC)

    def odd(life: spans.Life, line: spans.Line) -> list[spans.Span]:
        found = read(life, line)
        return [replace(one, start=before_there_was_time) if one.name == "effect note.pay" else one for one in found]

    monkeypatch.setattr(spans, "take", odd)

    assert sent() > 0

    assert len(collector.spans) == RUNS * (SPANS - 1)
    assert told_of().refused == RUNS
    assert "it cannot be encoded (ValueError)" in told_of().refusal


def test_a_span_whose_ids_make_no_sense_is_left_out_alone(runs, collector, monkeypatch):  # noqa: F811
    read = spans.take

    def odd(life: spans.Life, line: spans.Line) -> list[spans.Span]:
        return [replace(one, parent="no number") if one.name == "step pay" else one for one in read(life, line)]

    monkeypatch.setattr(spans, "take", odd)

    assert sent() > 0
    assert (len(collector.spans), told_of().refused) == (RUNS * (SPANS - 1), RUNS)


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405, 408, 429, 500, 503])
def test_what_is_not_about_a_span_leaves_none_out(runs, collector, status):  # noqa: F811
    before = told_of().position
    collector.refuses = lambda found: status if found else 0  # whoever asks with nothing in hand is let in

    with pytest.raises(exporter.NotSent):
        sent()
    assert (told_of().position, told_of().refused) == (before, 0)
    assert told_of().held_until > clock.db_now()
    collector.refuses = lambda found: 0
    sent()

    assert len(collector.by_id) == RUNS * SPANS
    assert told_of().refused == 0


def test_a_collector_that_breaks_down_amid_halving_hears_nothing_twice_and_nothing_is_counted_twice(runs, collector):  # noqa: F811
    poison = of_run(runs[0], "step plan")
    collector.refuses = lambda found: 400 if any(map(poison, found)) else 503 if len(collector.bodies) >= 2 else 0
    with pytest.raises(exporter.NotSent):
        sent()
    assert told_of().refused == 0
    heard = len(collector.spans)
    assert 0 < heard < RUNS * SPANS
    collector.refuses = refusing(poison, 400)

    sent()

    assert len(collector.spans) == len(collector.by_id) == RUNS * SPANS - 1
    assert told_of().refused == 1


def test_a_collector_slow_to_refuse_ends_the_turn_and_the_next_goes_on(runs, collector, monkeypatch):  # noqa: F811
    monkeypatch.setattr(exporter, "TURN_SECONDS", 0.0)
    collector.refuses = refusing(of_run(runs[3], "step pay"), 400)
    turns = 0
    while following.lag(exporter.NAME).events and turns < 40:
        turns += 1
        try:
            sent()
        except exporter.NotSent:
            Follower.objects.update(held_until=clock.db_now() - timedelta(seconds=1))

    assert len(collector.spans) == len(collector.by_id) == RUNS * SPANS - 1
    assert 1 < turns < 20
    assert told_of().refused == 1
