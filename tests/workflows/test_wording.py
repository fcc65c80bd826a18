"""A change of a workflow in sentences."""

from __future__ import annotations

import copy

from orchestration.workflows.wording import sentences
from tests.workflows.documents import invoice_flow, steps_of


def said(bend):
    old = invoice_flow()
    new = copy.deepcopy(old)
    bend(new)
    return sentences(old, new, "invoice-flow")


def test_a_new_workflow_is_told_step_by_step():
    told = sentences(None, invoice_flow(), "invoice-flow")

    assert told[0] == "Adds the workflow “invoice-flow”, owned by Finance, with 6 steps."
    assert "Step “extract” asks the agent reader." in told
    assert "Step “sign-off” waits for an approval under two-eyes." in told


def test_a_removed_workflow_says_what_becomes_of_its_runs():
    assert "keep the version they started with" in sentences(invoice_flow(), None, "invoice-flow")[0]


def test_a_changed_field_says_before_and_after():
    assert said(lambda w: steps_of(w)["extract"].update(timeout="10s")) == ["Step “extract”: timeout was 30s, now 10s."]


def test_a_gate_taken_out_is_said():
    assert said(lambda w: w["spec"]["steps"].pop(2)) == ["Removes step “sign-off”, which waits for an approval under two-eyes."]


def test_a_step_put_in_says_where():
    told = said(lambda w: w["spec"]["steps"].insert(1, {"id": "look", "review": "desk", "output": "change@1"}))

    assert told == ["Adds step “look” after “extract”; it waits for a person of the queue desk."]


def test_a_step_of_another_kind_says_what_it_did():
    def bend(workflow):
        workflow["spec"]["steps"][2] = {"id": "sign-off", "set": {"x": "1"}}

    assert said(bend) == ["Step “sign-off” now computes x; until now it waits for an approval under two-eyes."]


def test_another_order_is_said():
    def bend(workflow):
        steps = workflow["spec"]["steps"]
        steps[3], steps[4] = steps[4], steps[3]

    assert said(bend) == ["The steps are now in the order extract, triage, sign-off, tell, apply, done."]


def test_cases_are_told_one_by_one():
    assert said(lambda w: steps_of(w)["triage"]["cases"].update(low="sign-off")) == [
        "Step “triage”: cases “low” was apply, now sign-off."
    ]


def test_the_frame_is_told_too():
    told = said(lambda w: (w["metadata"].update(owner="Sales"), w["spec"].update(fallback={"queue": "other"})))

    assert told == [
        "Workflow “invoice-flow”: owner was Finance, now Sales.",
        'Workflow “invoice-flow”: fallback was {"queue":"desk"}, now {"queue":"other"}.',
    ]
