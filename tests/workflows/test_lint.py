"""Every finding of the lint, planted one at a time: found at its place, with a remedy, and alone."""

from __future__ import annotations

import pytest

from tests.workflows.documents import closed, document, proposal, steps_of
from tests.workflows.linting import findings, only


def test_a_sound_workflow_has_no_finding():
    assert findings(lambda workflow, around: None) == []


# --- what it names ---


@pytest.mark.parametrize(
    ("missing", "place", "says"),
    [
        ("Contract/invoice@1", "/spec/input", "there is no contract 'invoice@1'"),
        ("Contract/change@1", "/spec/steps/0/output", "there is no contract 'change@1'"),
        ("RoutingTable/risk", "/spec/steps/1/route", "there is no routing table 'risk'"),
        ("Agent/reader", "/spec/steps/0/agent", "there is no agent 'reader'"),
        ("ApprovalPolicy/two-eyes", "/spec/steps/2/gate", "there is no approval policy 'two-eyes'"),
    ],
)
def test_an_unknown_document_is_found_where_it_is_named(missing, place, says):
    found = findings(lambda workflow, around: around.pop(missing))

    assert (place, says) in [(fault.where, fault.what) for fault in found]


def test_an_unknown_queue_is_found_at_every_mention():
    found = findings(lambda workflow, around: around.pop("ReviewQueue/desk"))

    assert [fault.where for fault in found] == [
        "/spec/fallback/queue",
        "/spec/steps/0/confidence_below/queue",
        "/spec/steps/1/cases/unknown/queue",
    ]


def test_a_name_that_is_nearly_right_is_offered():
    fault = only(lambda workflow, around: steps_of(workflow)["extract"].update(agent="raeder"), with_rights=False)

    assert fault.remedy == "did you mean reader?"


def test_a_queue_of_on_failure_is_looked_up_too():
    def bend(workflow, around):
        steps_of(workflow)["apply"]["on_failure"] = {"denied": {"queue": "nowhere"}}

    assert only(bend).where == "/spec/steps/3/on_failure/denied/queue"


# --- flow ---


def test_an_unreachable_step_is_found():
    def bend(workflow, around):
        workflow["spec"]["steps"].append({"id": "orphan", "finish": "never"})

    fault = only(bend)

    assert (fault.where, fault.what) == ("/spec/steps/6", "step 'orphan' can never be reached")
    assert fault.remedy


def test_a_step_only_a_failure_leads_to_is_reachable():
    def bend(workflow, around):
        workflow["spec"]["steps"].append({"id": "refused", "finish": "refused"})
        steps_of(workflow)["apply"]["on_failure"] = {"rejected": {"step": "refused"}}

    assert findings(bend) == []


def test_a_loop_needs_a_bound_on_every_step_of_it():
    def bend(workflow, around):
        steps_of(workflow)["sign-off"]["on_failure"] = {"rejected": {"step": "extract"}}

    found = findings(bend)

    assert [fault.where for fault in found] == [f"/spec/steps/{index}/max_visits" for index in (0, 1, 2)]
    assert "max_visits" in found[0].remedy


def test_a_bounded_loop_is_fine():
    def bend(workflow, around):
        steps_of(workflow)["sign-off"]["on_failure"] = {"rejected": {"step": "extract"}}
        for name in ("extract", "triage", "sign-off"):
            steps_of(workflow)[name]["max_visits"] = 3

    assert findings(bend) == []


@pytest.mark.parametrize("code", ["max_visits", "*"])
@pytest.mark.parametrize("circle", [("apply",), ("extract", "sign-off")])
def test_what_was_visited_too_often_does_not_send_the_run_in_a_circle(code, circle):
    def bend(workflow, around):
        for step in workflow["spec"]["steps"][:5]:
            step["max_visits"] = 3
        for name, following in zip(circle, (*circle[1:], circle[0]), strict=True):
            steps_of(workflow)[name]["on_failure"] = {code: {"step": following}}

    found = findings(bend)

    assert [fault.where.rpartition("/")[2] for fault in found] == [code] * len(circle)
    assert all("for ever" in fault.what and "max_visits" in fault.remedy for fault in found)


def test_a_circle_that_being_visited_too_often_leaves_is_fine():
    def bend(workflow, around):
        steps_of(workflow)["apply"] |= {"on_failure": {"*": {"step": "apply"}, "max_visits": "fail"}, "max_visits": 3}

    assert findings(bend) == []


def test_what_can_never_be_on_record_cannot_be_required():
    fault = only(lambda workflow, around: steps_of(workflow)["apply"].update(requires=["tell"]))

    assert fault.where == "/spec/steps/3/requires/0"


def test_a_failure_code_that_the_step_never_ends_with_is_found():
    def bend(workflow, around):
        steps_of(workflow)["tell"]["on_failure"] = {"rejected": "fail"}

    fault = only(bend)

    assert fault.where == "/spec/steps/4/on_failure/rejected"
    assert "expression" in fault.remedy


# --- routes ---


def test_a_case_that_no_step_takes_is_found():
    fault = only(lambda workflow, around: steps_of(workflow)["triage"]["cases"].pop("unknown"))

    assert (fault.where, fault.what) == ("/spec/steps/1/cases", "the table can answer 'unknown', and no case takes it")


def test_a_case_that_the_table_never_answers_is_found():
    fault = only(lambda workflow, around: steps_of(workflow)["triage"]["cases"].update(middling="apply"))

    assert fault.where == "/spec/steps/1/cases/middling"
    assert fault.remedy == "its cases are high, low, unknown"


def test_a_route_that_always_asks_a_person_is_found():
    def bend(workflow, around):
        route = steps_of(workflow)["triage"]
        route["cases"] = {case: {"queue": "desk"} for case in route["cases"]}
        workflow["spec"]["steps"] = [step for step in workflow["spec"]["steps"] if step["id"] in ("extract", "triage")]
        workflow["spec"].pop("success")

    assert only(bend).what.startswith("every case asks a person")


def test_an_input_of_the_table_without_a_fact_is_found():
    fault = only(lambda workflow, around: steps_of(workflow)["triage"]["facts"].pop("kind"))

    assert (fault.where, fault.what) == ("/spec/steps/1/facts", "the table's input 'kind' gets no fact")


def test_a_fact_that_the_table_does_not_take_is_found():
    fault = only(lambda workflow, around: steps_of(workflow)["triage"]["facts"].update(colour="input.id"))

    assert fault.where == "/spec/steps/1/facts/colour"


def test_a_fact_of_another_type_is_found():
    fault = only(lambda workflow, around: steps_of(workflow)["triage"]["facts"].update(amount="input.text"))

    assert fault.what == "the table's input 'amount' is of type int, this is string"


def test_a_table_whose_tests_fail_holds_the_workflow_back():
    def bend(workflow, around):
        around["RoutingTable/risk"]["spec"]["tests"][0]["expect"] = {"case": "high"}

    fault = only(bend)

    assert fault.where == "/spec/steps/1/route"
    assert "test 'small' expects" in fault.what


# --- acts and rights ---


def test_what_is_no_proposal_cannot_be_carried_out():
    fault = only(lambda w, a: steps_of(w)["apply"].update(act="steps.extract.output.change.resource"))

    assert fault.what == "is no proposal: contract change@1 has no capability there"


def test_an_agent_without_the_capability_is_found():
    fault = only(lambda w, a: a["Role/clerk"]["spec"].update(grants=[]))

    assert (fault.where, fault.what) == (
        "/spec/steps/3/act",
        "agent reader can never do invoice.update: no role of it grants that",
    )


def test_an_agent_whose_other_role_denies_is_found():
    def bend(workflow, around):
        around["Agent/reader"]["spec"]["roles"].append("barred")
        around["Role/barred"] = document("Role", "barred", {"grants": [{"capability": "invoice.update", "effect": "deny"}]})

    assert "Role barred denies" in only(bend).what


def test_a_deny_under_a_condition_is_no_finding():
    def bend(workflow, around):
        around["Agent/reader"]["spec"]["roles"].append("careful")
        grants = [{"capability": "invoice.update", "effect": "deny", "when": "parameters.amount > 5"}]
        around["Role/careful"] = document("Role", "careful", {"grants": grants})

    assert findings(bend) == []


def test_a_right_under_a_condition_is_no_finding():
    def bend(workflow, around):
        around["Role/clerk"]["spec"]["grants"] = [{"capability": "invoice.update", "effect": "allow", "when": "1 == 2"}]

    assert findings(bend) == []


def test_an_unknown_capability_is_found():
    assert only(lambda w, a: a.pop("Capability/invoice.update")).what == "there is no capability 'invoice.update'"


def test_a_capability_that_the_contract_leaves_open_is_judged_when_it_is_proposed():
    def bend(workflow, around):
        change = proposal()
        change["properties"]["capability"] = {"type": "string"}
        around["Contract/change@1"]["spec"]["schema"]["properties"]["change"] = change
        around["Role/clerk"]["spec"]["grants"] = []

    assert findings(bend) == []


def test_a_proposal_about_another_type_of_resource_is_found():
    def bend(workflow, around):
        around["Contract/change@1"]["spec"]["schema"]["properties"]["change"] = proposal(type_="payment")

    assert "acts on resources of type invoice" in only(bend).what


def lock(around, policy="two-eyes"):
    spec = {"capability": "invoice.update", "policy": policy, "kind": "law", "basis": "§ 1", "owner": "Finance"}
    around["FloorLock/four-eyes"] = document("FloorLock", "four-eyes", spec)


def test_a_locked_capability_without_its_gate_is_found():
    def bend(workflow, around):
        lock(around)
        around["Role/clerk"]["spec"]["grants"] = [{"capability": "invoice.update", "effect": "allow"}]

    fault = only(bend)

    assert "under floor lock four-eyes" in fault.what
    assert fault.remedy == "gate it with policy two-eyes in role clerk"


def test_a_locked_capability_with_its_gate_is_fine():
    assert findings(lambda workflow, around: lock(around)) == []


def test_a_lock_that_ended_holds_nothing():
    def bend(workflow, around):
        lock(around)
        around["FloorLock/over"] = document("FloorLock", "over", {"ends": "four-eyes", "basis": "repealed", "owner": "Finance"})
        around["Role/clerk"]["spec"]["grants"] = [{"capability": "invoice.update", "effect": "allow"}]

    assert findings(bend) == []


def test_a_workflow_that_only_stands_beside_holds_back_no_lock_and_no_withdrawal():
    def bend(workflow, around):
        lock(around)
        around["Role/clerk"]["spec"]["grants"] = []

    assert findings(bend, with_rights=False) == []


def test_a_document_that_cannot_be_read_has_only_those_findings():
    found = findings(lambda workflow, around: workflow["spec"].pop("fallback"))

    assert [fault.where for fault in found] == ["/spec/fallback"]


def test_open_contracts_are_not_second_guessed():
    def bend(workflow, around):
        schema = closed(id={"type": "string"}, text={"type": "string"}, amount={"type": "integer"})
        around["Contract/invoice@1"]["spec"]["schema"] = {**schema, "additionalProperties": True}
        steps_of(workflow)["tell"]["set"]["who"] = "input.anything.at.all"

    assert findings(bend) == []
