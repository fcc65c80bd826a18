"""What the lint finds in expressions: what does not compile, what nothing leaves behind, what comes too late."""

from __future__ import annotations

import pytest

from tests.workflows.documents import steps_of
from tests.workflows.linting import findings, only


@pytest.mark.parametrize(
    ("place", "bend"),
    [
        ("/spec/business_key 1:8", lambda w, a: w["spec"].update(business_key="input. ")),
        ("/spec/priority 1:6", lambda w, a: w["spec"].update(priority="1 +  nix")),
        ("/spec/success 1:1", lambda w, a: w["spec"].update(success="'yes'")),
        ("/spec/steps/0/input/text 1:4", lambda w, a: steps_of(w)["extract"]["input"].update(text="nix.x")),
        ("/spec/steps/1/facts/amount 2:4", lambda w, a: steps_of(w)["triage"]["facts"].update(amount="1 +\n 1 2")),
        ("/spec/steps/2/proposal 1:1", lambda w, a: steps_of(w)["sign-off"].update(proposal="]")),
        ("/spec/steps/4/set/who 1:5", lambda w, a: steps_of(w)["tell"]["set"].update(who="1 ==")),
    ],
)
def test_an_expression_that_does_not_compile_is_found_with_line_and_column(place, bend):
    assert only(bend).where == place


def test_the_business_key_must_be_text():
    assert only(lambda w, a: w["spec"].update(business_key="1 + 1")).what == "the business key must be text"


def test_the_business_key_cannot_be_a_number_of_the_contract():
    fault = only(lambda w, a: w["spec"].update(business_key="input.amount"))

    assert fault.what == "the business key must be text, and the contract says integer"


def test_the_priority_must_be_a_number():
    assert only(lambda w, a: w["spec"].update(priority="'high'")).what == "the priority must be a whole number"


def test_business_key_and_priority_see_the_input_alone():
    fault = only(lambda w, a: w["spec"].update(priority="steps.extract.output.kind == 'typo' ? 1 : 2"))

    assert fault.remedy == "only input is known here"


def test_a_field_that_the_input_contract_does_not_have_is_found():
    fault = only(lambda w, a: steps_of(w)["tell"]["set"].update(who="1 == 1 ? input.idd : ''"))

    assert fault.where == "/spec/steps/4/set/who 1:10"
    assert fault.what == "contract invoice@1 has no input.idd"
    assert fault.remedy == "fields there are amount, id, text"


def test_a_field_that_an_output_contract_does_not_have_is_found_deep_inside():
    fault = only(lambda w, a: steps_of(w)["tell"]["set"].update(who="steps.extract.output.change.resource.name"))

    assert fault.what == "contract change@1 has no steps.extract.output.change.resource.name"
    assert fault.remedy == "fields there are id, type"


def test_a_field_guarded_by_has_must_still_exist():
    assert (
        only(lambda w, a: steps_of(w)["tell"]["set"].update(who="has(input.idd) ? 1 : 2")).where == "/spec/steps/4/set/who 1:5"
    )


def test_a_field_below_text_is_found():
    assert "there are no fields there" in only(lambda w, a: steps_of(w)["tell"]["set"].update(who="input.id.x")).remedy


def test_outputs_of_tables_effects_and_values_are_known():
    def bend(workflow, around):
        steps_of(workflow)["tell"]["set"] = {
            "a": "steps.triage.output.queue + steps.triage.case + steps.triage.output.case",
            "b": "steps.apply.output.resource.id",
        }
        workflow["spec"]["success"] = "steps.tell.output.a != ''"

    assert findings(bend) == []


@pytest.mark.parametrize("source", ["steps.triage.output.tier", "steps.apply.output.status", "steps.triage.case.x"])
def test_what_tables_and_effects_do_not_leave_behind_is_found(source):
    assert only(lambda w, a: steps_of(w)["tell"]["set"].update(who=source)).where == "/spec/steps/4/set/who 1:1"


def test_a_gate_leaves_no_output_behind():
    assert "no output" in only(lambda w, a: steps_of(w)["tell"]["set"].update(who='steps["sign-off"].output.x')).what


def test_a_step_that_does_not_exist_is_found():
    assert only(lambda w, a: steps_of(w)["tell"]["set"].update(who="steps.nix.output")).what == "there is no step 'nix'"


def test_a_step_that_never_comes_before_is_found():
    assert "never comes before" in only(lambda w, a: steps_of(w)["extract"]["input"].update(text="steps.tell.output.who")).what


def test_a_step_cannot_read_its_own_output_before_it_is_done():
    assert "before it is done" in only(lambda w, a: steps_of(w)["tell"]["set"].update(who="steps.tell.output.who")).what


def test_a_step_that_only_may_come_before_can_be_read():
    """Whether it did is for the expression to ask (has)."""
    bend = lambda w, a: steps_of(w)["tell"]["set"].update(who='has(steps.triage) ? "a" : "b"')  # noqa: E731

    assert findings(bend) == []


def test_a_hyphen_in_a_step_id_is_explained():
    fault = only(lambda w, a: steps_of(w)["tell"]["set"].update(who="steps.sign-off.output"))

    assert fault.remedy == 'write steps["sign-off"]'
