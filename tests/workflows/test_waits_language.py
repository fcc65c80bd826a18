"""Waits, deadlines, resources, rollback: what is read from a document, and what is refused at its place with a remedy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.workflows import parse
from orchestration.workflows.definition import OnFailure, ResourceClaim, WaitStep, failure_codes_of
from orchestration.workflows.flowmap import layout
from orchestration.workflows.lint import lint
from orchestration.workflows.wording import sentences
from tests.workflows.documents import bent, invoice_flow, steps_of

PAID = {"message": "payment-received", "key": "input.id", "output": "invoice@1", "within": "2d"}

TEXT = "must be text, and the contract says integer"
NOTHING_TO_UNDO = "there is nothing to undo: no act step has compensate: true"
NIX = {"queue": "nix"}


def waiting(wait, **fields):
    """The invoice flow with a wait before its end, and `fields` beside its steps."""

    def bend(workflow, around=None):
        steps = workflow["spec"]["steps"]
        steps.insert(len(steps) - 1, {"id": "hold-on", "wait": wait})
        workflow["spec"] |= fields

    return bend


def read(wait, **fields):
    workflow = invoice_flow()
    waiting(wait, **fields)(workflow)
    return parse.load(workflow)


def only(bend):
    workflow, overlay = bent(bend)
    found = lint(workflow, overlay)
    assert len(found) == 1, [str(fault) for fault in found]
    assert found[0].remedy or " 1:1" in found[0].where
    return found[0].where, found[0].what


def test_each_way_of_waiting_is_read():
    def step(wait):
        return read(wait).step("hold-on")

    assert step({"for": "15m"}).lasting == timedelta(minutes=15)
    assert step({"until": "input.text"}).until == "input.text"
    paid = step(PAID)
    assert isinstance(paid, WaitStep)
    assert (paid.message, paid.key, paid.output, paid.within) == (
        "payment-received", "input.id", "invoice@1", timedelta(days=2)
    )  # fmt: skip


def test_what_stands_beside_the_steps_is_read():
    definition = read(
        {"for": "1s"},
        deadline="2h",
        on_deadline={"queue": "desk"},
        resource={"key": "'invoice/' + input.id", "hold": "while_running", "wait": "30m"},
        rollback={"gate": "two-eyes"},
    )

    assert (definition.deadline, definition.on_deadline) == (timedelta(hours=2), OnFailure("queue", "desk"))
    assert definition.resource == ResourceClaim("'invoice/' + input.id", "while_running", timedelta(minutes=30))
    assert definition.rollback == "two-eyes"


def test_codes_belong_to_what_can_end_with_them():
    step = read(PAID).step("hold-on")

    assert "no_message" in failure_codes_of(step)
    assert "no_message" not in failure_codes_of(read({"for": "1s"}).step("hold-on"))
    assert "resource_wait" in failure_codes_of(step, claims=True)
    assert "resource_wait" not in failure_codes_of(step)


@pytest.mark.parametrize(
    ("bend", "where", "what"),
    [
        (waiting({}), "/spec/steps/5/wait", "does not say what is waited for"),
        (waiting({"for": "1m", "until": "input.text"}), "/spec/steps/5/wait", "waits for for and until at once"),
        (waiting({"for": "soon"}), "/spec/steps/5/wait/for", "is no duration"),
        (waiting({"for": "1m", "within": "2m"}), "/spec/steps/5/wait/within", "belongs to a message"),
        (waiting({**PAID, "message": "Payment received"}), "/spec/steps/5/wait/message", "is no name of a message"),
        (waiting({k: v for k, v in PAID.items() if k != "key"}), "/spec/steps/5/wait/key", "is missing"),
        (waiting({k: v for k, v in PAID.items() if k != "output"}), "/spec/steps/5/wait/output", "is missing"),
        (waiting({k: v for k, v in PAID.items() if k != "within"}), "/spec/steps/5/wait", "could wait for ever"),
        (waiting({**PAID, "output": "nothing@1"}), "/spec/steps/5/wait/output", "there is no contract 'nothing@1'"),
        (waiting({**PAID, "key": "input.amount"}), "/spec/steps/5/wait/key 1:1", f"the key of a message {TEXT}"),
        (waiting({"until": "input.nowhere"}), "/spec/steps/5/wait/until 1:1", "contract invoice@1 has no input.nowhere"),
        (waiting({"for": "1m"}, deadline="never"), "/spec/deadline", "is no duration"),
        (waiting({"for": "1m"}, on_deadline="fail"), "/spec/on_deadline", "there is no deadline that could pass"),
        (waiting({"for": "1m"}, deadline="1h", on_deadline="compensate"), "/spec/on_deadline", NOTHING_TO_UNDO),
        (waiting({"for": "1m"}, deadline="1h", on_deadline=NIX), "/spec/on_deadline/queue", "there is no review queue 'nix'"),
        (waiting({"for": "1m"}, resource={"key": "input.amount"}), "/spec/resource/key 1:1", f"the key of a resource {TEXT}"),
        (waiting({"for": "1m"}, rollback={"gate": "nobody"}), "/spec/rollback/gate", "there is no approval policy 'nobody'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_place(bend, where, what):
    assert only(bend) == (where, what)


def on_failure(code, action, **fields):
    def bend(workflow, around):
        waiting(PAID, **fields)(workflow)
        steps_of(workflow)["hold-on"]["on_failure"] = {code: action}

    return bend


def test_a_code_that_is_never_heard_is_found():
    assert only(on_failure("resource_wait", "fail"))[0] == "/spec/steps/5/on_failure/resource_wait"
    assert only(on_failure("deadline", "fail"))[0] == "/spec/steps/5/on_failure/deadline"


def test_a_run_that_did_not_get_its_resource_cannot_go_to_a_step_that_needs_it():
    bend = on_failure("resource_wait", {"step": "done"}, resource={"key": "input.id"})

    assert only(bend) == ("/spec/steps/5/on_failure/resource_wait", "every other step needs the resource too")


def requiring(*names):
    def bend(workflow, around=None):
        steps_of(workflow)["apply"]["requires"] = list(names)

    return bend


def test_an_event_type_may_be_required():
    workflow = invoice_flow()
    requiring("extract", "event:gate.settled")(workflow)
    step = parse.load(workflow).step("apply")

    assert (step.common.required_steps, step.common.required_events) == (("extract",), ("gate.settled",))


def test_an_unknown_event_type_is_found_with_the_nearest_one():
    workflow, overlay = bent(requiring("event:gate.setled"))
    fault = lint(workflow, overlay)[0]

    assert (fault.where, fault.what) == ("/spec/steps/3/requires/0", "there is no event type 'gate.setled'")
    assert fault.remedy == "did you mean gate.settled?"


def test_a_requirement_that_is_neither_is_refused():
    workflow = invoice_flow()
    requiring("event:Gate")(workflow)
    fault = parse.faults_of(workflow)[0]

    assert fault.where == "/spec/steps/3/requires/0"
    assert "event:gate.settled" in fault.remedy


def test_the_map_and_the_words_tell_what_is_waited_for():
    node = next(node for node in layout(read(PAID)).nodes if node.id == "hold-on")
    workflow = invoice_flow()
    waiting({"for": "15m"})(workflow)

    assert (node.kind, node.about) == ("wait", "payment-received")
    assert "Adds step “hold-on” after “tell”; it waits for 15m." in sentences(invoice_flow(), workflow, "w")
