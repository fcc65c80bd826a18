"""Samples are tests: a workflow whose sample fails is not published; a dry run and its samples change no row."""

from __future__ import annotations

import copy

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aegis.core import clock
from aegis.core.errors import Forbidden, NotFound
from aegis.core.kinds import Key, Overlay, get_kind
from aegis.identity import grants
from aegis.identity.models import User
from approvals import changes
from approvals.errors import ChangeInvalid
from orchestration.agents import protocol
from orchestration.engine import rehearsals
from orchestration.engine.rehearsal import InputRefused
from orchestration.records.models import Record
from orchestration.workflows.models import Workflow
from orchestration.workflows.samples import script_of
from tests.workflows.documents import invoice_flow

pytestmark = pytest.mark.django_db

KEY = Key("Workflow", "invoice-flow")
INPUT = {"id": "I-1", "text": "x", "amount": 5}
CHANGE = {"capability": "invoice.update", "resource": {"type": "invoice", "id": "I-1"}, "parameters": {"amount": 7}}
SAMPLE = {
    "name": "a typo",
    "input": INPUT,
    "answers": {"extract": {"kind": "typo", "change": CHANGE}},
    "decisions": {"apply": "approved"},
    "records": [{"type": "invoice", "id": "I-1", "body": {"amount": 5}}],
    "expect": {
        "outcome": "changed", "status": "completed", "path": ["extract", "triage", "apply", "tell", "done"],
    },
}  # fmt: skip


def with_samples(*samples):
    document = invoice_flow()
    document["spec"]["samples"] = list(copy.deepcopy(samples))
    return document


def publish(document, as_actor, others=()):
    fred = User.objects.get(username="fred")
    return changes.propose([(KEY, document), *others], author=fred, actor=as_actor(fred), reason="With samples")


def refusal(document, as_actor):
    with pytest.raises(ChangeInvalid) as refused:
        publish(document, as_actor)
    assert Workflow.objects.get(name="invoice-flow").version == 1
    return refused.value.faults


def test_a_workflow_whose_samples_pass_is_published(bootstrapped, as_actor):
    publish(with_samples(SAMPLE), as_actor)

    assert Workflow.objects.get(pk=bootstrapped.pk).version == 2


@pytest.mark.parametrize(
    ("expect", "where", "remedy"),
    [
        ({"outcome": "refused"}, "/expect/outcome", "write outcome: changed"),
        ({"status": "waiting_review"}, "/expect/status", "write status: completed"),
        ({"path": ["extract"]}, "/expect/path", "write path: [extract, triage, apply, tell, done]"),
    ],
)
def test_publishing_is_refused_while_an_expectation_fails(bootstrapped, as_actor, expect, where, remedy):
    (fault,) = refusal(with_samples({**SAMPLE, "expect": expect}), as_actor)

    assert (fault.where, fault.remedy) == (f"Workflow/invoice-flow/spec/samples/0{where}", remedy)
    assert fault.code == "sample"


def test_a_sample_must_answer_for_every_agent_its_path_asks(bootstrapped, as_actor):
    (fault,) = refusal(with_samples({**SAMPLE, "answers": {"apply": {}}}), as_actor)

    assert fault.where == "Workflow/invoice-flow/spec/samples/0/answers"
    assert "step 'extract' asks the agent reader" in fault.what
    assert fault.remedy == "add answers: {extract: ...}"


def test_an_input_that_breaks_the_contract_is_no_sample(bootstrapped, as_actor):
    (fault,) = refusal(with_samples({"name": "x", "input": {"id": "I-1", "text": "x"}}), as_actor)

    assert (fault.where, fault.what) == ("Workflow/invoice-flow/spec/samples/0/input/amount", "is missing")


def test_a_sample_that_answers_for_nobody_is_held_to_what_can_be_known(bootstrapped, as_actor):
    """Agents are not asked when publishing: what only they could decide stays open, what contradicts refuses."""
    faults = refusal(
        with_samples({"name": "x", "input": INPUT, "expect": {"path": ["triage"], "outcome": "changed"}}), as_actor
    )
    publish(with_samples({"name": "x", "input": INPUT, "expect": {"path": ["extract", "triage"], "outcome": "no"}}), as_actor)

    assert [fault.where.rpartition("/")[2] for fault in faults] == ["path"]


def test_a_table_that_would_break_a_sample_elsewhere_is_refused(bootstrapped, as_actor, ada):
    publish(with_samples(SAMPLE), as_actor)
    table = copy.deepcopy(get_kind("RoutingTable").dump("risk"))
    for rule, turned in zip(table["spec"]["rules"], ("amount >= 100", "amount < 100"), strict=True):
        rule["when"] = turned
    table["spec"]["tests"] = []

    with pytest.raises(ChangeInvalid) as refused:
        changes.propose([(Key("RoutingTable", "risk"), table)], author=ada, actor=as_actor(ada), reason="All are high")

    places = [fault.where for fault in refused.value.faults]
    assert "Workflow/invoice-flow/spec/samples/0/expect/path" in places


def test_a_right_is_withdrawn_though_a_sample_needs_it(bootstrapped, as_actor, ada):
    publish(with_samples(SAMPLE), as_actor)
    role = copy.deepcopy(get_kind("Role").dump("clerk"))
    role["spec"]["grants"] = []

    applied = changes.propose([(Key("Role", "clerk"), role)], author=ada, actor=as_actor(ada), reason="It misbehaves")

    assert applied.status == "applied"


def test_samples_cannot_be_published_where_nobody_could_try_them(bootstrapped, monkeypatch):
    from orchestration.workflows import kind

    monkeypatch.setattr(kind, "_rehearsals", None)
    change = changes.previews.Change(KEY, invoice_flow(), with_samples(SAMPLE))

    faults = get_kind("Workflow").lint(change, Overlay({KEY: change.new}))

    assert [fault.where for fault in faults] == ["/spec/samples"]


# --- dry runs ---


@pytest.fixture
def fred(bootstrapped):
    return User.objects.get(username="fred")


def rows():
    """How many rows every table has."""
    return {model._meta.label: model._default_manager.count() for model in apps.get_models()}


def test_a_dry_run_changes_no_row_and_sends_no_statement_that_could(fred):
    before = rows()

    with CaptureQueriesContext(
        connection,
    ) as asked:
        played = rehearsals.dry_run("invoice-flow", INPUT, script_of(SAMPLE), person=fred)
        rehearsals.try_samples("invoice-flow", person=fred, document=with_samples(SAMPLE))

    assert played.status == "completed"
    assert rows() == before
    assert [query["sql"] for query in asked if not query["sql"].lstrip("( ").upper().startswith(("SELECT", "WITH"))] == []


def test_a_dry_run_learns_nothing_of_records_that_stand(fred):
    Record.objects.create(type="invoice", key="I-1", version=1, body='{"amount":5,"iban":"secret"}', updated_at=clock.now())

    played = rehearsals.dry_run("invoice-flow", INPUT, script_of({**SAMPLE, "records": []}), person=fred)

    assert played.waits_for.code == "effect_failed"  # as far as the rehearsal knows there is no such record
    assert "secret" not in repr(played)


def test_a_dry_run_asks_the_live_matrix_for_the_person_who_asks(fred):
    played = rehearsals.dry_run("invoice-flow", INPUT, script_of({**SAMPLE, "decisions": {}}), person=fred)

    verdict = next(one for one in played.happenings if one.type == "verdict.given")
    assert verdict.matrix > 0
    assert verdict.values["facts"]["requester"] == {"id": str(fred.pk), "roles": ["Finance"]}


def test_agents_are_asked_only_on_the_persons_wish_and_only_python_in_this_process(fred, monkeypatch):
    calls = []

    def reader(request):
        calls.append(request.step)
        return protocol.Done(SAMPLE["answers"]["extract"], confidence=0.9)

    monkeypatch.setitem(protocol._registry, "reader", reader)
    script = script_of({**SAMPLE, "answers": {}})

    silent = rehearsals.dry_run("invoice-flow", INPUT, script, person=fred)
    asked = rehearsals.dry_run("invoice-flow", INPUT, script, person=fred, asks_agents=True)

    assert (silent.status, asked.status, calls) == ("waiting_answer", "completed", ["extract"])


def test_an_agent_that_never_answers_holds_nobody_up(fred, monkeypatch):
    import threading
    from datetime import timedelta

    over = threading.Event()
    monkeypatch.setitem(protocol._registry, "reader", lambda request: over.wait(30))
    monkeypatch.setattr(rehearsals, "MAX_CALL", timedelta(seconds=0.05))

    played = rehearsals.dry_run("invoice-flow", INPUT, script_of({}), person=fred, asks_agents=True)
    over.set()

    assert played.waits_for.code == "timeout"


def test_a_halted_agent_is_not_asked_in_a_dry_run_either(fred, ada, as_actor, monkeypatch):
    from orchestration.agents.models import Agent
    from orchestration.agents.registry import set_enabled

    monkeypatch.setitem(protocol._registry, "reader", lambda request: pytest.fail("asked"))
    set_enabled(Agent.objects.get(name="reader").pk, False, actor=as_actor(ada), reason="It misbehaves")

    played = rehearsals.dry_run("invoice-flow", INPUT, script_of({}), person=fred, asks_agents=True)

    assert played.waits_for.code == "agent_error"


def test_a_dry_run_of_the_stored_text_needs_start_and_of_another_text_edit(fred, olivia, person):
    vera = person("vera", "Viewers")
    workflow = Workflow.objects.get(name="invoice-flow")
    from django.contrib.auth.models import Group

    from aegis.core.actors import SYSTEM
    from aegis.identity.authority import raise_epoch

    raise_epoch()
    for verb in ("view", "start"):
        grants.grant(Group.objects.get(name="Viewers"), workflow, verb, actor=SYSTEM, reason="May try it")

    rehearsals.dry_run("invoice-flow", INPUT, script_of(SAMPLE), person=vera)
    with pytest.raises(Forbidden):
        rehearsals.dry_run("invoice-flow", INPUT, script_of(SAMPLE), person=vera, document=invoice_flow())
    with pytest.raises(NotFound):
        rehearsals.dry_run("invoice-flow", INPUT, script_of(SAMPLE), person=olivia)


def test_an_input_that_breaks_the_contract_is_refused(fred):
    with pytest.raises(InputRefused):
        rehearsals.dry_run("invoice-flow", {}, script_of({}), person=fred)
