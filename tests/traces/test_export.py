"""Spans of runs reach a real collector, all of them, whatever dies in between; and nothing that anybody typed is in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.test import override_settings

from aegis.core import clock, tracing
from audit import exporters, following, sealer
from audit.models import Event, Follower
from orchestration import checks
from orchestration.agents.protocol import Done
from orchestration.engine import verbs
from orchestration.engine.models import Run
from orchestration.engine.traces import exporter, otlp, spans
from tests.agents.asking import SECRET
from tests.children import house as blocks
from tests.effects.conftest import asked, documents, heard, says
from tests.engine import house
from tests.engine.test_governed_run import decide
from tests.traces.collector import Collector
from tests.traces.test_traceparent import HEADER, SPAN, TRACE, submitted

pytestmark = pytest.mark.django_db(transaction=True)
TYPED = "nobody-but-the-customer-knows"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    made = Collector()
    made.live()
    monkeypatch.setattr(otlp, "SEND_SECONDS", 0.5)
    restarted()
    with override_settings(
        OTLP_ENDPOINT=f"http://127.0.0.1:{made.port}", OTLP_HEADERS={"x-token": SECRET.hex()}, OTLP_SERVICE="desk"
    ):
        yield made
    made.die()
    restarted()


def restarted() -> None:
    """What a process that dies forgets."""
    exporter._lives.clear()
    exporter._under_way = exporter._UnderWay()
    otlp._client.cache_clear()


def begun() -> None:
    """The first look begins at the end of the journal."""
    sealer.seal()
    assert exporter.look() == 0


def sent() -> int:
    sealer.seal()
    Follower.objects.filter(name=exporter.NAME).update(held_until=None)  # a pause after a fault is over
    return exporter.look()


def exporters_tell(count: int) -> bool:
    return Follower.objects.get(name=exporter.NAME).refused == count


def names(collector: Collector) -> list[str]:
    return sorted(span.name for span in collector.by_id.values())


@pytest.fixture
def zoe(person: Callable, ada, sam, olivia):
    house.bootstrap(
        documents([{"id": "plan", "agent": "clerk", "output": "plan@1"}, {"id": "pay", "act": "steps.plan.output.pay"}])
    )
    house.answers["plan"] = Done({"pay": asked("note.pay", amount=5, about=TYPED)}, confidence=0.9, rationale=TYPED)
    return person("zoe", "Support leads")


def test_a_run_is_one_trace_of_run_steps_attempts_and_effects(zoe, collector):
    begun()
    run = submitted(zoe, HEADER)
    house.drive(run)

    assert sent() > 0

    key, spans = run.pk.hex, collector.by_id
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    effect = tracing.span_of_effect(key, heard[0].key, 1, heard[0].fence)
    parents = {span: spans[span].parent_span_id.hex() for span in spans}
    assert parents == {
        tracing.span_of_run(key): SPAN,
        tracing.span_of_visit(key, "plan", 1): tracing.span_of_run(key),
        tracing.span_of_visit(key, "pay", 1): tracing.span_of_run(key),
        tracing.span_of_attempt(key, "plan", 1, 1, heard[0].fence): tracing.span_of_visit(key, "plan", 1),
        effect: tracing.span_of_visit(key, "pay", 1),
    }
    assert heard[0].traceparent == tracing.traceparent(TRACE, effect), "what was called and what is shown are one span"
    assert names(collector) == ["agent clerk", "effect note.pay", "run notes", "step pay", "step plan"]
    told = {one.key: one.value.string_value or one.value.int_value for one in spans[tracing.span_of_run(key)].attributes}
    assert told["aegis.run.id"] == str(run.pk)
    assert told["aegis.workflow"] == "notes"
    assert all(0 < span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)
    assert collector.headers[0]["x-token"] == SECRET.hex()


def test_nothing_that_was_typed_leaves_in_a_span(zoe, collector):
    begun()
    house.answers["plan"] = RuntimeError(TYPED)
    failing = submitted(zoe, None, "k-2")
    house.drive(failing)
    house.answers["plan"] = Done({"pay": asked("note.pay", amount=5, about=TYPED)}, confidence=0.9, rationale=TYPED)
    says["test.pay"] = RuntimeError(TYPED)
    house.drive(submitted(zoe, None, "k-3"))

    sent()

    assert len(collector.spans) >= 4
    assert not [body for body in collector.bodies if TYPED.encode() in body or b"n-1" in body]
    assert [span.status.message for span in collector.spans if span.name == "agent clerk" and span.status.code == 2] == [
        "agent_error"
    ]


def test_a_wait_for_a_decision_is_a_span_of_its_own(person, ada, sam, collector):
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    house.bootstrap(house.documents(effect="gate"))
    begun()
    run = submitted(person("zoe", "Support leads"), None)
    house.drive(run)
    sent()
    assert names(collector) == ["agent clerk", "step write"], "the gate is open, so is its step, so is the run"

    decide(sam, run)
    house.drive(run)
    collector.status = 503
    with pytest.raises(exporter.NotSent):
        sent()
    collector.status = 200
    sent()

    assert names(collector) == ["agent clerk", "effect note.write", "gate leads", "run notes", "step keep", "step write"]
    assert {span.trace_id.hex() for span in collector.spans} == {run.pk.hex}


def test_a_branch_hangs_under_the_step_that_forked_it(person, ada, collector):
    branches = {name: {"steps": [blocks.ask(name)]} for name in ("a", "b")}
    house.bootstrap(blocks.documents({"id": "both", "parallel": branches}))
    begun()
    run = submitted(person("zoe", "Support leads"), HEADER)
    blocks.drive(run)
    sent()

    block = tracing.span_of_visit(run.pk.hex, "both", 1)
    roots = [collector.by_id[tracing.span_of_run(child.pk.hex)] for child in blocks.children(run)]
    assert [span.parent_span_id.hex() for span in roots] == [block, block]
    assert block in collector.by_id


def test_what_a_dead_collector_missed_reaches_it_when_it_lives_again(zoe, collector):
    begun()
    run = submitted(zoe, HEADER)
    collector.die()
    house.drive(run)
    sealer.seal()
    before = Follower.objects.get(name=exporter.NAME).position

    with pytest.raises(exporter.NotSent):
        exporter.look()
    assert exporter.look() == 0, "it waits before it knocks again"
    assert Follower.objects.get(name=exporter.NAME).position == before
    collector.live()
    sent()

    assert names(collector) == ["agent clerk", "effect note.pay", "run notes", "step pay", "step plan"]
    assert len(collector.spans) == 5
    assert sent() == 0


def test_a_refusal_leaves_the_place_where_it_was(zoe, collector):
    begun()
    house.drive(submitted(zoe, HEADER))
    collector.status = 400  # whatever comes, nothing at all too: it is the port that is wrong, and no span
    with pytest.raises(exporter.NotSent):
        sent()
    collector.status = 200

    sent()

    assert len(collector.spans) == len(collector.by_id) == 5
    assert exporters_tell(0)


def test_an_answer_that_was_lost_brings_the_same_spans_again(zoe, collector):
    begun()
    house.drive(submitted(zoe, HEADER))
    collector.loses_answers = True
    with pytest.raises(exporter.NotSent):
        sent()
    collector.loses_answers = False
    restarted()

    sent()

    repeated = collector.spans
    assert len(repeated) > len(collector.by_id) == 5
    told = {(span.span_id, span.name, span.start_time_unix_nano, span.end_time_unix_nano) for span in repeated}
    assert len(told) == 5


@pytest.mark.parametrize("size", [1, 2, 7])
def test_any_split_with_a_restart_after_each_part_sends_the_same(zoe, collector, monkeypatch, size):
    begun()
    start = Follower.objects.get(name=exporter.NAME).position
    house.drive(submitted(zoe, HEADER), submitted(zoe, None, "k-2"))
    sent()
    whole = {span.SerializeToString() for span in collector.spans}
    assert len(whole) == 10
    collector.bodies.clear()
    Follower.objects.filter(name=exporter.NAME).update(position=start)

    while exporters.export(exporter.NAME, exporter.send, limit=size):
        restarted()

    assert {span.SerializeToString() for span in collector.spans} == whole
    assert len(collector.spans) == 10


def test_one_process_sends_at_a_time_and_a_dead_ones_hold_runs_out(zoe, collector):
    begun()
    house.drive(submitted(zoe, HEADER))
    sealer.seal()
    Follower.objects.filter(name=exporter.NAME).update(held_until=clock.db_now() + timedelta(seconds=30))
    assert exporter.look() == 0
    Follower.objects.filter(name=exporter.NAME).update(held_until=clock.db_now() - timedelta(seconds=1))

    assert exporter.look() > 0
    assert len(collector.spans) == 5


def test_a_run_that_is_sent_on_and_ends_again_has_a_second_span_and_no_id_twice(person, ada, sam, collector):
    house.answers["write"] = RuntimeError("no")
    steps = [{"id": "write", "agent": "clerk", "output": "anything@1", "on_failure": {"agent_error": "fail"}}]
    house.bootstrap(house.documents(steps=steps))
    begun()
    zoe = person("zoe", "Support leads")
    run = submitted(zoe, HEADER)
    house.drive(run)
    house.answers["write"] = Done({"ok": True}, confidence=0.9)
    verbs.retry_run(run.pk, person=zoe, actor=house.actor_for(zoe), reason="mended")
    house.drive(run)

    sent()

    run.refresh_from_db()
    assert run.status == Run.Status.COMPLETED
    assert len(collector.spans) == len(collector.by_id)
    again = collector.by_id[tracing.span_of(run.pk.hex, "run", 1)]
    assert again.parent_span_id.hex() == tracing.span_of_run(run.pk.hex)


def test_what_undoes_an_effect_hangs_under_the_run_and_opens_no_visit_again(person, ada, sam, olivia, collector):
    steps = [
        {"id": "plan", "agent": "clerk", "output": "plan@1"},
        {"id": "pay", "act": "steps.plan.output.pay", "compensate": True},
        {"id": "check", "agent": "clerk", "output": "anything@1", "on_failure": {"agent_error": "compensate"}},
    ]
    house.bootstrap(documents(steps))
    house.answers.update(plan=Done({"pay": asked("note.pay", amount=5)}, confidence=0.9), check=RuntimeError("no"))
    begun()
    run = submitted(person("zoe", "Support leads"), HEADER)
    house.drive(run)

    sent()

    assert "effect note.refund" in names(collector)
    assert len(collector.spans) == len(collector.by_id)
    undone = next(span for span in collector.spans if span.name == "effect note.refund")
    assert undone.parent_span_id.hex() == tracing.span_of_run(run.pk.hex)
    assert names(collector).count("step pay") == 1


def test_spans_of_the_past_are_not_sent_and_a_run_under_way_is_sent_whole(zoe, collector):
    house.drive(submitted(zoe, None, "old"))
    run = submitted(zoe, HEADER)
    begun()
    house.drive(run)
    sent()

    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    root = collector.by_id[tracing.span_of_run(run.pk.hex)]
    first = Event.objects.get(stream=run.stream, seq=1)
    assert abs(root.start_time_unix_nano / 1e9 - first.at.timestamp()) < 0.001


def test_its_lag_is_told_and_without_an_endpoint_nothing_is_sent(zoe, collector, monkeypatch):
    monkeypatch.setattr(following, "_exporters", set())
    following.register_exporter(exporter.NAME)
    begun()
    house.drive(submitted(zoe, HEADER))
    sealer.seal()

    assert exporter.NAME in following.names()
    assert following.lag(exporter.NAME).events > 0
    following.follow_all()
    with override_settings(OTLP_ENDPOINT=""):
        assert exporter.look() == 0
    assert collector.bodies == []
    assert exporters.skip(exporter.NAME) > 0
    assert following.lag(exporter.NAME).events == 0


def test_a_line_that_nobody_can_read_as_a_span_holds_up_no_other(zoe, collector, monkeypatch):
    begun()
    house.drive(submitted(zoe, HEADER))
    read = spans.take

    def broken(life: spans.Life, line: spans.Line) -> list[spans.Span]:
        if line["type"] == "step.started":
            raise KeyError("attempt")
        return read(life, line)

    monkeypatch.setattr(spans, "take", broken)

    assert sent() > 0
    assert names(collector) == ["effect note.pay", "run notes", "step pay", "step plan"]


def test_an_endpoint_without_the_packages_is_refused_at_start(monkeypatch):
    with override_settings(OTLP_ENDPOINT="http://127.0.0.1:1"):
        assert checks.spans_can_be_sent() == []
        monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
        monkeypatch.setattr(otlp, "find_spec", lambda name: None)
        assert [message.id for message in checks.spans_can_be_sent()] == ["aegis.E034"]
    with override_settings(OTLP_ENDPOINT=""):
        assert checks.spans_can_be_sent() == []
