"""From document to definition: what is read, and what is refused at its place with a remedy."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import jsonschema_rs
import pytest

from orchestration.workflows import parse
from orchestration.workflows.definition import ActStep, AgentStep, GateStep, OnFailure, Retry, RouteStep
from orchestration.workflows.schema import STEP_KINDS
from tests.workflows.documents import invoice_flow, steps_of

SURE = {"value": 60, "queue": "desk"}
NOWHERE = {"timeout": {"step": "nix"}}
GOLDEN = Path(__file__).parent / "workflow.schema.json"


def refusal(bend):
    workflow = invoice_flow()
    bent = bend(workflow)
    with pytest.raises(parse.WorkflowInvalid) as caught:
        parse.load(workflow if bent is None else bent)
    assert caught.value.http_status == 422
    return caught.value.faults


def put(step, **fields):
    return lambda workflow: steps_of(workflow)[step].update(**fields)


def test_a_definition_says_what_the_document_says():
    workflow = invoice_flow()
    steps_of(workflow)["apply"]["on_failure"] = {
        "denied": "fail",
        "rejected": {"step": "done"},
        "expired": {"queue": "desk"},
        "*": "queue",
    }

    definition = parse.load(workflow)

    assert (definition.name, definition.owner, definition.input) == ("invoice-flow", "Finance", "invoice@1")
    assert definition.fallback_queue == "desk"
    extract = definition.step("extract")
    assert isinstance(extract, AgentStep)
    assert extract.timeout == timedelta(seconds=30)
    assert extract.retry == Retry(3, timedelta(seconds=1), 2.0, timedelta(minutes=1), jitter=True)
    assert extract.confidence_below == (0.5, "desk")
    triage = definition.step("triage")
    assert isinstance(triage, RouteStep)
    assert triage.cases == {"low": "apply", "high": "sign-off", "unknown": OnFailure("queue", "desk")}
    apply = definition.step("apply")
    assert isinstance(apply, ActStep)
    assert apply.source == "extract"
    assert apply.common.on_failure == {
        "denied": OnFailure("fail"),
        "rejected": OnFailure("step", "done"),
        "expired": OnFailure("queue", "desk"),
        "*": OnFailure("queue"),
    }
    assert definition.following(apply) == "tell"


def test_a_gate_is_bound_to_the_agent_whose_output_it_asks_about():
    gate = parse.load(invoice_flow()).step("sign-off")

    assert isinstance(gate, GateStep)
    assert gate.source == "extract"


def test_the_priority_may_be_a_plain_number():
    workflow = invoice_flow()
    workflow["spec"]["priority"] = 2

    assert parse.load(workflow).priority == "2"


def test_ids_with_hyphens_are_read_from_brackets():
    workflow = invoice_flow()
    workflow["spec"]["steps"][0]["id"] = "read-it"
    del workflow["spec"]["steps"][1]
    workflow["spec"]["steps"][1]["proposal"] = 'steps["read-it"].output.change'
    workflow["spec"]["steps"][2].update(act='steps["read-it"].output.change', requires=["read-it"])

    definition = parse.load(workflow)

    assert definition.step("apply").source == "read-it"
    assert definition.step("sign-off").source == "read-it"


@pytest.mark.parametrize(
    ("where", "says", "bend"),
    [
        ("/spec/fallback", "is missing", lambda w: w["spec"].pop("fallback") and None),
        ("/spec/business_key", "is missing", lambda w: w["spec"].pop("business_key") and None),
        ("/spec/nonsense", "is not known here", lambda w: w["spec"].update(nonsense=1)),
        ("/spec/input", "names no contract version", lambda w: w["spec"].update(input="invoice")),
        ("/spec/priority", "must be at most 5", lambda w: w["spec"].update(priority=6)),
        ("/spec/steps", "must have at least 1 entries", lambda w: w["spec"].update(steps=[])),
        ("/metadata/owner", "is missing", lambda w: w["metadata"].pop("owner") and None),
        ("/apiVersion", "must be aegis/v1", lambda w: w.update(apiVersion="aegis/v2")),
        ("/spec/steps/0", "does not say what the step does", lambda w: steps_of(w)["extract"].pop("agent") and None),
        ("/spec/steps/0", "is agent and act at once", put("extract", act="x")),
        ("/spec/steps/6", "must be an object", lambda w: w["spec"]["steps"].append("tell")),
        ("/spec/steps/0/colour", "is not known in an agent step", put("extract", colour="red")),
        ("/spec/steps/5/next", "is not known in a finish step", put("done", next="tell")),
        ("/spec/steps/0/timeout", "is no duration", put("extract", timeout="30")),
        ("/spec/steps/0/timeout", "must be more than nothing", put("extract", timeout="0s")),
        ("/spec/steps/0/retry/cap", "is no duration", lambda w: steps_of(w)["extract"]["retry"].update(cap=60)),
        ("/spec/steps/0/retry/attempts", "must be at most 20", lambda w: steps_of(w)["extract"]["retry"].update(attempts=99)),
        ("/spec/steps/0/confidence_below/value", "must be at most 1", put("extract", confidence_below=SURE)),
        ("/spec/steps/0/on_failure/broken", "is no error code", put("extract", on_failure={"broken": "fail"})),
        ("/spec/steps/0/on_failure/timeout", "one of fail, compensate", put("extract", on_failure={"timeout": "retry"})),
        ("/spec/steps/0/on_failure/timeout/step", "there is no step 'nix'", put("extract", on_failure=NOWHERE)),
        ("/spec/steps/0/max_visits", "must be at least 1", put("extract", max_visits=0)),
        ("/spec/steps/1/cases/low", "there is no step 'nix'", lambda w: steps_of(w)["triage"]["cases"].update(low="nix")),
        ("/spec/steps/1/cases/low", "goes nowhere", lambda w: steps_of(w)["triage"]["cases"].update(low=3)),
        ("/spec/steps/1/facts", "is missing", lambda w: steps_of(w)["triage"].pop("facts") and None),
        ("/spec/steps/2/risk", "must be one of low, medium, high", put("sign-off", risk="grave")),
        ("/spec/steps/3/requires/0", "there is no step 'nix'", put("apply", requires=["nix"])),
        ("/spec/steps/3/act", "is no place in the output of a step", put("apply", act="input.change")),
        ("/spec/steps/3/act", "'tell' is no agent step", put("apply", act="steps.tell.output.who")),
        ("/spec/steps/3/next", "there is no step 'nix'", put("apply", next="nix")),
        ("/spec/steps/4/id", "is already the id of step 1", put("tell", id="extract")),
        ("/spec/steps/4/set", "must have at least 1 fields", put("tell", set={})),
        ("/spec/steps/4/id", "must match the pattern", put("tell", id="Tell me")),
        ("", "must be an object", lambda w: ["a", "list"]),
        ("/kind", "must be Workflow", lambda w: w.update(kind="Contract")),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_at_its_place(where, says, bend):
    faults = refusal(bend)

    assert [fault.where for fault in faults] == [where]
    assert says in faults[0].what


def test_a_step_of_two_kinds_is_one_finding_not_seven():
    assert len(refusal(put("extract", act="x", gate="y"))) == 1


def test_every_kind_of_step_has_a_builder():
    assert {*parse._BUILDERS, *parse._SCOPED_BUILDERS} == set(STEP_KINDS)


def test_the_exported_schema_is_a_schema_and_accepts_the_workflow():
    validator = jsonschema_rs.Draft202012Validator(parse.SCHEMA, offline=True)

    assert validator.is_valid(invoice_flow())
    assert not validator.is_valid({**invoice_flow(), "spec": {}})


def test_the_exported_schema_is_stable():
    """Editors keep a copy of it. A change here is a change of the language: write the file anew and say so in the commit."""
    assert json.loads(GOLDEN.read_text(encoding="utf-8")) == parse.SCHEMA
