"""Compensation in the language: what publishing refuses, how a change of it is told, and where it stands on the map."""

from __future__ import annotations

import copy

import pytest

from orchestration.workflows import parse
from orchestration.workflows.definition import ActStep, OnFailure
from orchestration.workflows.drawing import draw, mermaid
from orchestration.workflows.flowmap import layout
from orchestration.workflows.lint import lint
from orchestration.workflows.wording import sentences
from tests.workflows.documents import bent, document, invoice_flow, proposal, steps_of


def undoable(workflow, around):
    """`apply` can be undone; a second action gives up into compensation."""
    steps_of(workflow)["apply"]["compensate"] = True
    workflow["spec"]["steps"].insert(
        4, {"id": "book", "act": "steps.extract.output.change", "on_failure": {"denied": "compensate", "*": "queue"}}
    )
    around["Capability/invoice.update"]["spec"]["compensation"] = "invoice.restore"
    around["Capability/invoice.restore"] = document(
        "Capability",
        "invoice.restore",
        {
            "resource": "invoice", "risk": "high", "safety": "idempotent", "handler": "record.restore",
            "parameters": {"type": "object", "additionalProperties": True},
        },
    )  # fmt: skip
    around["Role/clerk"]["spec"]["grants"].append({"capability": "invoice.restore", "effect": "allow"})


def findings(bend=lambda workflow, around: None, **options):
    def both(workflow, around):
        undoable(workflow, around)
        bend(workflow, around)

    return [(fault.where, fault.what) for fault in lint(*bent(both), **options)]


def test_a_workflow_that_undoes_what_it_did_has_no_finding():
    assert findings() == []


def test_the_definition_says_it():
    workflow, _ = bent(undoable)
    definition = parse.load(workflow)

    apply, book = definition.step("apply"), definition.step("book")
    assert isinstance(apply, ActStep) and apply.compensate  # noqa: PT018
    assert isinstance(book, ActStep) and not book.compensate  # noqa: PT018
    assert book.common.on_failure["denied"] == OnFailure("compensate")


@pytest.mark.parametrize(
    ("bend", "where", "says"),
    [
        (
            lambda w, a: a["Capability/invoice.update"]["spec"].pop("compensation"),
            "/spec/steps/3/compensate", "names no capability that undoes it",
        ),
        (lambda w, a: a.pop("Capability/invoice.restore"), "/spec/steps/3/compensate", "there is no capability"),
        (
            lambda w, a: a["Role/clerk"]["spec"]["grants"].pop(),
            "/spec/steps/3/compensate", "can never do invoice.restore",
        ),
        (
            lambda w, a: steps_of(w)["apply"].pop("compensate"),
            "/spec/steps/4/on_failure/denied", "there is nothing to undo",
        ),
        (
            lambda w, a: steps_of(w)["extract"].update(on_failure={"timeout": "compensate"}),
            "/spec/steps/0/on_failure/timeout", "there is nothing to undo",
        ),
        (
            lambda w, a: steps_of(w)["apply"].update(on_failure={"effect_diverged": "fail"}),
            "/spec/steps/3/on_failure/effect_diverged", "only a person can say",
        ),
    ],
)  # fmt: skip
def test_what_could_not_be_undone_is_refused_at_its_place(bend, where, says):
    [(place, what)] = findings(bend)

    assert place == where
    assert says in what


def test_what_the_contract_leaves_open_cannot_be_undone():
    def open_capability(workflow, around):
        change = proposal()
        change["properties"]["capability"] = {"type": "string"}
        around["Contract/change@1"]["spec"]["schema"]["properties"]["change"] = change

    assert [where for where, _ in findings(open_capability)] == ["/spec/steps/3/compensate"]


def test_a_right_being_withdrawn_is_not_held_back_by_it():
    assert findings(lambda w, a: a["Role/clerk"]["spec"]["grants"].pop(), with_rights=False) == []


def test_only_an_action_can_be_undone():
    workflow = invoice_flow()
    steps_of(workflow)["tell"]["compensate"] = True

    with pytest.raises(parse.WorkflowInvalid) as refused:
        parse.load(workflow)
    assert [fault.where for fault in refused.value.faults] == ["/spec/steps/4/compensate"]


def test_a_change_of_it_is_told():
    old = invoice_flow()
    new = copy.deepcopy(old)
    steps_of(new)["apply"]["compensate"] = True

    assert sentences(old, new, "x") == ["Step “apply”: undone when the run gives up or is cancelled is now true."]


def test_the_map_draws_the_way_into_compensation():
    workflow, _ = bent(undoable)
    graph = layout(parse.load(workflow))

    [node] = [node for node in graph.nodes if node.kind == "undo"]
    assert (node.id, node.about) == ("undo:effects", "apply")
    assert [(edge.source, edge.labels) for edge in graph.edges if edge.target == node.id] == [("book", ("denied",))]
    drawing = draw(graph)
    assert [box.icon for box in drawing.boxes if box.id == node.id] == ["undo"]
    assert node.id not in {box.id for box in drawing.steps}
    assert "Undo, then fail" in mermaid(graph)
