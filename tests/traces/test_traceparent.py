"""A run joins the trace it was submitted from, and says so to whatever it calls; what is no traceparent is nobody's trace."""

from __future__ import annotations

import json
import time

import pytest

from aegis.core import tracing
from approvals.models import ApprovalRequest
from approvals.notices import outbox
from audit import chain
from audit.models import Event
from orchestration.agents.protocol import AgentRequest, Done
from orchestration.agents.protocol import _registry as agents
from orchestration.engine import webhook
from orchestration.engine.models import Run
from tests.agents.asking import SECRET_NAME, SECRET_TEXT, Asked, ScriptedAgent, serving
from tests.approvals.house import ask, policy_document, store_policy
from tests.children import house as blocks
from tests.effects.conftest import asked, documents, heard
from tests.engine import house
from tests.support.api import client_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01"

HOSTILE = (
    "", " ", HEADER.upper(), HEADER + " ", " " + HEADER, HEADER + "\n", HEADER + "-", HEADER + "-more", HEADER + "," + HEADER,
    f"ff-{TRACE}-{SPAN}-01", f"0-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE[:-1]}-{SPAN}-01", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-0g",
    f"00-{TRACE[:-1]}\u0661-{SPAN}-01", f"01-{TRACE}-{SPAN}-01x", f"01-{TRACE}-{SPAN}-01-" + "x" * 300,
    "00-" + "'; DROP TABLE run".ljust(32, "-") + f"-{SPAN}-01", "<script>", "\x00" * 55,
)  # fmt: skip


def test_a_header_of_the_standard_is_read():
    assert tracing.read(HEADER) == tracing.Parent(TRACE, SPAN)
    assert tracing.read(f"00-{TRACE}-{SPAN}-00") == tracing.Parent(TRACE, SPAN)
    assert tracing.read(f"cc-{TRACE}-{SPAN}-01-what-comes-later") == tracing.Parent(TRACE, SPAN)


@pytest.mark.parametrize("header", [None, *HOSTILE])
def test_anything_else_is_not(header: str | None):
    assert tracing.read(header) is None


def test_span_ids_are_computed_and_tell_apart():
    ids = [
        tracing.span_of_run("r"), tracing.span_of_visit("r", "a", 1), tracing.span_of_attempt("r", "a", 1, 1, 1),
        tracing.span_of_attempt("r", "a", 1, 1, 2),
        tracing.span_of_attempt("r", "a", 1, 2, 1), tracing.span_of_attempt("r", "a", 11, 2, 1), tracing.span_of_run("s"),
    ]  # fmt: skip

    assert len(set(ids)) == len(ids)
    assert all(tracing.read(tracing.traceparent(TRACE, span)) == tracing.Parent(TRACE, span) for span in ids)
    assert tracing.span_of_run("r") == "492d0ebaa0293121"  # a golden value: headers of yesterday and spans of today must meet


def submitted(person, header: str | None, key: str = "k-1") -> Run:
    headers = {"Idempotency-Key": key} | ({"traceparent": header} if header is not None else {})
    body = json.dumps({"workflow": "notes", "input": {"id": "n-1"}})
    made = client_of(person).post("/api/v1/runs", body, content_type="application/json", headers=headers)
    assert made.status_code in (200, 201), made.content
    return Run.objects.get(pk=made.json()["id"])


def first_line(run: Run) -> dict:
    return chain.read_line(Event.objects.get(stream=run.stream, seq=1).line)


@pytest.mark.django_db(transaction=True)
def test_a_run_keeps_the_trace_it_was_submitted_from_in_every_event(person, ada):
    house.bootstrap(house.documents())
    zoe = person("zoe", "Support leads")

    run = submitted(zoe, HEADER)
    house.drive(run)

    lines = [chain.read_line(event.line) for event in Event.objects.filter(stream=run.stream)]
    assert {line["trace"] for line in lines} == {TRACE}
    assert len(lines) > 2
    assert lines[0]["data"]["parent_span"] == SPAN
    assert client_of(zoe).get(f"/api/v1/runs/{run.pk}").json()["trace_id"] == TRACE


@pytest.mark.django_db(transaction=True)
def test_without_a_header_or_with_a_hostile_one_the_trace_is_the_runs_own(person, ada):
    house.bootstrap(house.documents())
    zoe = person("zoe", "Support leads")

    for number, header in enumerate((None, *(text for text in HOSTILE if text.isascii() and text.isprintable()))):
        run = submitted(zoe, header, key=f"k-{number}")

        line = first_line(run)
        assert (run.trace, run.trace_id, line["trace"]) == ("", run.pk.hex, run.pk.hex), header
        assert "parent_span" not in line["data"]


@pytest.mark.django_db(transaction=True)
def test_a_repeated_submission_leaves_the_trace_of_the_first(person, ada):
    house.bootstrap(house.documents())
    zoe = person("zoe", "Support leads")
    run = submitted(zoe, HEADER)

    again = submitted(zoe, f"00-{'a' * 32}-{'b' * 16}-01")

    assert (again.pk, again.trace) == (run.pk, TRACE)


@pytest.mark.django_db(transaction=True)
def test_an_http_agent_hears_the_trace_and_the_span_of_each_attempt(person, ada, sam, monkeypatch):
    monkeypatch.setenv(SECRET_NAME, SECRET_TEXT)
    ill = 503, {"content-type": "text/plain"}, b"not now"
    well = 200, {"content-type": "application/json"}, b'{"reply":"done","output":{"ok":true},"confidence":0.9}'
    with serving(ScriptedAgent()) as agent:

        def answer(_: Asked) -> tuple[int, dict[str, str], bytes]:
            return ill if len(agent.asked) == 1 else well

        agent.answer = answer
        origin = f"http://127.0.0.1:{agent.port}"
        connector = {"http": {"url": origin + "/ask", "secret": SECRET_NAME, "allow": [origin]}}
        retry = {"attempts": 2, "backoff": "1s", "cap": "1s", "jitter": False}
        steps = [{"id": "write", "agent": "clerk", "output": "anything@1", "retry": retry}]
        docs = house.documents(steps=steps)
        next(one for one in docs if one["kind"] == "Agent")["spec"]["connector"] = connector
        house.bootstrap(docs)
        run = submitted(person("zoe", "Support leads"), HEADER)
        house.drive(run)
        time.sleep(1.1)  # the wait before the second attempt
        house.drive(run)

    run.refresh_from_db()
    assert run.status == Run.Status.COMPLETED
    fences = [json.loads(one.body)["fence"] for one in agent.asked]
    attempts = [tracing.span_of_attempt(run.pk.hex, "write", 1, number, fence) for number, fence in enumerate(fences, 1)]
    assert [one.headers["traceparent"] for one in agent.asked] == [tracing.traceparent(TRACE, span) for span in attempts]


@pytest.mark.django_db(transaction=True)
def test_an_effect_handler_gets_the_span_of_its_attempt(person, ada, sam, olivia):
    steps = [
        {"id": "plan", "agent": "clerk", "output": "plan@1"},
        {"id": "pay", "act": "steps.plan.output.pay"},
    ]
    house.bootstrap(documents(steps))
    house.answers["plan"] = Done({"pay": asked("note.pay", amount=5)}, confidence=0.9)

    run = submitted(person("zoe", "Support leads"), HEADER)
    house.drive(run)

    assert [one.traceparent for one in heard] == [
        tracing.traceparent(TRACE, tracing.span_of_effect(run.pk.hex, heard[0].key, 1, heard[0].fence))
    ]


@pytest.mark.django_db(transaction=True)
def test_a_branch_belongs_to_the_trace_of_the_run_that_forked_it(person, ada, monkeypatch):
    told: dict[str, str] = {}

    def noting(request: AgentRequest) -> Done:
        told[request.run_id] = request.traceparent
        return Done({"ok": True}, confidence=0.9)

    monkeypatch.setitem(agents, "test.scripted", noting)
    branches = {name: {"steps": [blocks.ask(name)]} for name in ("a", "b")}
    house.bootstrap(blocks.documents({"id": "both", "parallel": branches}))

    run = submitted(person("zoe", "Support leads"), HEADER)
    blocks.drive(run)

    children = blocks.children(run)
    assert len(children) == 2
    assert {first_line(child)["trace"] for child in children} == {TRACE}
    assert {told[str(child.pk)].split("-")[1] for child in children} == {TRACE}


@pytest.mark.django_db(transaction=True)
def test_the_webhook_hears_the_span_of_the_gate_and_of_what_is_about_no_run_none(person, ada, sam, settings, monkeypatch):
    monkeypatch.setenv(webhook.KEPT_UNDER, SECRET_TEXT)
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    house.bootstrap(house.documents(effect="gate"))
    settings.TELLS_BY_WEBHOOK = True
    with serving(ScriptedAgent()) as listener:
        listener.answer = lambda _: (204, {}, b"")
        origin = f"http://127.0.0.1:{listener.port}"
        settings.WEBHOOK_URL, settings.WEBHOOK_HOSTS = f"{origin}/hook", [origin]
        run = submitted(person("zoe", "Support leads"), HEADER)
        house.drive(run)
        outbox.look()
        person("lea", "Leads")
        ask(store_policy(policy_document("apart")))
        outbox.look()

    of_run, of_none = listener.asked
    request = ApprovalRequest.objects.get(run_id=run.pk)
    gate = tracing.span_of_gate(run.pk.hex, str(request.pk))
    assert of_run.headers["traceparent"] == tracing.traceparent(TRACE, gate)
    assert "traceparent" not in of_none.headers
