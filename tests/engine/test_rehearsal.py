"""A rehearsal plays the run that would be: real steps, real verdicts, nothing sent, nothing written."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from approvals import policies
from orchestration.agents.protocol import CallFailed, Done
from orchestration.authority.overlays import matrix_of
from orchestration.engine import rehearsal
from orchestration.engine.rehearsal import Cast, InputRefused, rehearse
from orchestration.workflows import release
from orchestration.workflows.samples import script_of
from tests.engine.world import START
from tests.workflows.documents import bent, closed, document, steps_of

INPUT = {"id": "I-1", "text": "price went up", "amount": 50}
CHANGE = {"capability": "invoice.update", "resource": {"type": "invoice", "id": "I-1"}, "parameters": {"amount": 70}}
ANSWERS = {"extract": {"kind": "typo", "change": CHANGE}}
RECORD = {"type": "invoice", "id": "I-1", "body": {"amount": 50}}


def cast(bend=lambda workflow, around: None) -> Cast:
    workflow, overlay = bent(bend)
    drafted = release.draft(workflow, overlay, {})
    return Cast(
        release=drafted,
        matrix=matrix_of(overlay, {agent.id: agent.name for agent in drafted.all_agents()}),
        policies={name: policies.load(overlay.get("ApprovalPolicy", name)) for name in overlay.names("ApprovalPolicy")},
        queues=dict.fromkeys(overlay.names("ReviewQueue"), ("Finance",)),
        is_remote=lambda name: name == "outside.post",
        now=START,
    )


def play(bend=lambda workflow, around: None, ask=None, payload=INPUT, **said):
    return rehearse(cast(bend), payload, script_of(said), ask)


def allowed(workflow, around):
    around["Role/clerk"]["spec"]["grants"] = [{"capability": "invoice.update", "effect": "allow"}]


def remote(workflow, around):
    allowed(workflow, around)
    around["Capability/invoice.update"]["spec"].update(handler="outside.post", safety="keyed")


def types(played):
    return [one.type for one in played.happenings]


def test_a_run_that_nobody_holds_up_comes_to_its_end_with_its_path_and_values():
    played = play(allowed, answers=ANSWERS, records=[RECORD])

    assert (played.status, played.outcome, played.success) == ("completed", "changed", "yes")
    assert played.path == ("extract", "triage", "apply", "tell", "done")
    assert played.business_key == "I-1"
    assert played.values["apply"] == {"resource": {"type": "invoice", "id": "I-1"}, "version": 2}
    done = next(one for one in played.happenings if one.type == "effect.done")
    assert (done.values["before"], done.values["after"]) == ({"amount": 50}, {"amount": 70})


def test_a_verdict_is_shown_with_the_grants_that_led_to_it_and_the_decision_that_would_be_waited_for():
    played = play(answers=ANSWERS, records=[RECORD])

    verdict = next(one for one in played.happenings if one.type == "verdict.given")
    assert (verdict.data["answer"], verdict.data["grants"]) == ("gate", ["clerk/invoice.update"])
    assert played.status == "waiting_decision"
    assert (played.waits_for.what, played.waits_for.who, played.waits_for.step) == ("two-eyes", ("Finance leads",), "apply")


@pytest.mark.parametrize(("decision", "status"), [("approved", "completed"), ("rejected", "waiting_review")])
def test_a_decision_of_the_script_settles_the_gate(decision, status):
    played = play(answers=ANSWERS, records=[RECORD], decisions={"apply": decision})

    assert played.status == status


def test_where_nobody_answers_the_rehearsal_stops_and_says_at_whom():
    played = play()

    assert (played.status, played.path) == ("waiting_answer", ("extract",))
    assert (played.waits_for.kind, played.waits_for.what) == ("answer", "reader")
    assert types(played) == ["step.started"]


def test_an_agent_is_asked_only_where_somebody_wants_that():
    calls = []

    def ask(call):
        calls.append(call.request.input)
        return Done(ANSWERS["extract"], confidence=0.9)

    played = play(allowed, ask, records=[RECORD])

    assert calls == [{"text": "price went up"}]
    assert played.status == "completed"
    assert [one.source for one in played.happenings if one.type == "step.completed"] == ["asked"]


def test_the_script_comes_before_asking():
    played = play(allowed, lambda call: pytest.fail("asked"), answers=ANSWERS, records=[RECORD])

    assert [one.source for one in played.happenings if one.type == "step.completed"] == ["given"]


def test_a_remote_effect_is_never_sent_and_counts_as_done_with_what_the_script_says():
    def bend(workflow, around):
        remote(workflow, around)
        workflow["spec"]["success"] = "steps.apply.output.result.ok"

    played = play(bend, answers={**ANSWERS, "apply": {"ok": True}})
    assumed = play(bend, answers=ANSWERS)

    assert (played.status, played.success) == ("completed", "yes")
    assert [one.source for one in played.happenings if one.type == "effect.done"] == ["given"]
    assert [one.source for one in assumed.happenings if one.type == "effect.done"] == ["assumed"]
    assert (assumed.status, assumed.success) == ("completed", "unknown")


@pytest.mark.parametrize(
    ("fails", "waits"),
    [
        ({"extract": "abstained"}, ("desk", "abstained")),
        ({"extract": "timeout"}, ("desk", "timeout")),
        ({"extract": "agent_error"}, ("desk", "agent_error")),
        ({"extract": "low_confidence"}, ("desk", "low_confidence")),
    ],
)
def test_an_agent_that_fails_ends_in_the_queue_the_workflow_names(fails, waits):
    played = play(answers=ANSWERS, fails=fails)

    assert (played.waits_for.what, played.waits_for.code) == waits
    assert (played.status, played.waits_for.who) == ("waiting_review", ("Finance",))


def test_retries_take_no_time_and_each_is_shown():
    played = play(fails={"extract": "timeout"})

    assert types(played).count("step.failed") == 3


def test_an_answer_that_breaks_its_contract_is_told_with_its_pointers():
    played = play(answers={"extract": {"kind": "nonsense", "change": CHANGE}})

    broken = next(one for one in played.happenings if one.type == "contract.violated")
    assert broken.values["faults"][0]["pointer"] == "/kind"
    assert played.waits_for.code == "contract"


def test_a_person_who_takes_over_a_step_answers_in_its_stead():
    played = play(
        allowed, answers=ANSWERS, fails={"extract": "abstained"}, decisions={"extract": "completed"}, records=[RECORD]
    )

    assert played.status == "completed"


def test_a_case_that_asks_a_person_is_chosen_by_the_script():
    def bend(workflow, around):
        allowed(workflow, around)
        around["RoutingTable/risk"]["spec"]["rules"] = []

    waiting = play(bend, answers=ANSWERS)
    chosen = play(bend, answers=ANSWERS, decisions={"triage": "low"}, records=[RECORD])

    assert (waiting.waits_for.step, waiting.waits_for.code) == ("triage", "no_route")
    assert chosen.status == "completed"


def test_one_visit_can_be_answered_differently_from_the_others():
    def bend(workflow, around):
        allowed(workflow, around)
        for name in ("extract", "triage", "sign-off"):
            steps_of(workflow)[name]["max_visits"] = 3
        steps_of(workflow)["sign-off"]["on_failure"] = {"rejected": {"step": "extract"}}

    dear = {"id": "I-1", "text": "x", "amount": 500}
    played = play(
        bend,
        payload=dear,
        answers={"extract": {"kind": "price", "change": CHANGE}},
        decisions={"sign-off/1": "rejected", "sign-off/2": "approved"},
        records=[RECORD],
    )

    assert played.path == ("extract", "triage", "sign-off", "extract", "triage", "sign-off", "apply", "tell", "done")


def test_what_was_done_is_undone_in_memory_too():
    def bend(workflow, around):
        allowed(workflow, around)
        around["Role/clerk"]["spec"]["grants"].append({"capability": "invoice.restore", "effect": "allow"})
        around["Capability/invoice.update"]["spec"]["compensation"] = "invoice.restore"
        restore = copy.deepcopy(around["Capability/invoice.update"])
        restore["metadata"]["name"] = "invoice.restore"
        restore["spec"].pop("compensation")
        restore["spec"]["handler"] = "record.restore"
        around["Capability/invoice.restore"] = restore
        steps_of(workflow)["apply"]["compensate"] = True
        steps_of(workflow)["tell"].update(set={"who": "input.amount / 0"}, on_failure={"expression": "compensate"})

    played = play(bend, answers=ANSWERS, records=[RECORD])

    assert (played.status, played.outcome) == ("failed", "expression")
    assert types(played)[-2:] == ["run.compensated", "run.failed"]
    assert played.path == ("extract", "triage", "apply", "tell")


def test_an_input_that_breaks_the_contract_is_refused_with_its_pointers():
    with pytest.raises(InputRefused) as refused:
        play(payload={"id": "I-1", "text": "x"})

    assert [fault.where for fault in refused.value.faults] == ["/amount"]


def test_a_guard_that_would_hold_it_is_told(monkeypatch):
    from orchestration.engine.guards.asking import Hold

    held = replace(cast(), hold=lambda asking: Hold("halt", "halt-1"))

    played = rehearse(held, INPUT, script_of({"answers": ANSWERS}))

    assert (played.status, played.waits_for.kind, played.waits_for.code) == ("held", "guard", "halt")


def test_a_loop_without_end_is_no_end_of_the_process(monkeypatch):
    monkeypatch.setattr(rehearsal, "MAX_TURNS", 1)

    assert play(answers=ANSWERS).status == "runaway"


def test_an_agent_that_fails_when_asked_is_told_like_any_failure():
    played = play(ask=lambda call: CallFailed("agent_error", "it broke"))

    assert played.waits_for.code == "agent_error"


# --- time and messages ---


def waiting(**wait):
    def bend(workflow, around):
        allowed(workflow, around)
        around["Contract/paid@1"] = document("Contract", "paid@1", {"schema": closed(sum={"type": "integer"})})
        workflow["spec"]["steps"].insert(3, {"id": "wait", "wait": wait})

    return bend


def test_a_wait_for_a_time_takes_none():
    def bend(workflow, around):
        waiting(**{"for": "15m"})(workflow, around)
        steps_of(workflow)["triage"]["cases"]["low"] = "wait"

    played = play(bend, answers=ANSWERS, records=[RECORD])

    assert (played.status, played.path) == ("completed", ("extract", "triage", "wait", "apply", "tell", "done"))


def test_a_message_is_answered_by_the_script_or_waited_for():
    bend = waiting(message="payment-received", key="input.id", output="paid@1", within="2d")
    dear = {"id": "I-1", "text": "x", "amount": 500}
    said = {"payload": dear, "records": [RECORD], "decisions": {"sign-off": "approved"}}
    price = {"extract": {"kind": "price", "change": CHANGE}}

    silent = play(bend, answers=price, **said)
    told = play(bend, answers={**price, "wait": {"sum": 5}}, **said)
    late = play(bend, answers=price, fails={"wait": "no_message"}, **said)
    wrong = play(bend, answers={**price, "wait": {"sum": "five"}}, **said)

    assert (silent.status, silent.waits_for.kind, silent.waits_for.what) == ("waiting_message", "message", "payment-received")
    assert (told.status, told.values["wait"]) == ("completed", {"sum": 5})
    assert late.waits_for.code == "no_message"
    assert (wrong.status, "contract.violated" in types(wrong)) == ("waiting_message", True)


def test_a_deadline_of_the_run_is_one_in_a_rehearsal_too():
    def bend(workflow, around):
        waiting(**{"for": "15m"})(workflow, around)
        workflow["spec"]["deadline"] = "5m"
        for case in ("low", "high"):
            steps_of(workflow)["triage"]["cases"][case] = "wait"

    played = play(bend, answers=ANSWERS, records=[RECORD])

    assert played.waits_for.code == "run_deadline"


def test_the_output_of_the_workflow_is_told():
    def bend(workflow, around):
        allowed(workflow, around)
        around["Contract/told@1"] = document("Contract", "told@1", {"schema": closed(who={"type": "string"})})
        workflow["spec"]["output"] = {"contract": "told@1", "value": "steps.tell.output"}

    assert play(bend, answers=ANSWERS, records=[RECORD]).output == {"who": "I-1"}
