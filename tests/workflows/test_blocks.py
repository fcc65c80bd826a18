"""Blocks in the language: `parallel`, `map` and `run`, what is refused in them, and how they are told."""

from __future__ import annotations

import copy

import pytest

from orchestration.workflows import parse
from orchestration.workflows.definition import MapStep, ParallelStep, RunStep
from orchestration.workflows.lint import lint
from orchestration.workflows.references import Reference, references_of
from orchestration.workflows.wording import sentences
from tests.workflows.documents import Documents, Key, closed, document, proposal, surroundings

LINES = {"type": "array", "items": {"$ref": "#/$defs/line"}}
PLAN = {
    **closed(lines=LINES, changes={"type": "array", "items": proposal()}),
    "$defs": {"line": closed(sku={"type": "string"})},
}


def flow():
    """plan (agent) -> checks (parallel) -> each (map) -> sub (run) -> end."""
    spec = {
        "input": "invoice@1",
        "business_key": "input.id",
        "fallback": {"queue": "desk"},
        "output": {"contract": "report@1", "value": "steps.report"},
        "steps": [
            {"id": "plan", "agent": "reader", "output": "plan@1"},
            {
                "id": "checks",
                "parallel": {
                    "style": {"steps": [{"id": "lint", "agent": "reader", "output": "change@1"}]},
                    "facts": {
                        "steps": [{"id": "count", "set": {"n": "size(steps.plan.output.lines)"}}],
                        "output": "steps.count.output.n",
                    },
                },
                "join": "any",
            },
            {
                "id": "each",
                "map": "steps.plan.output.lines",
                "steps": [{"id": "look", "set": {"sku": "item.sku", "place": "index"}}],
                "output": "steps.look.output",
                "at_once": 2,
                "on_item_failure": "collect",
            },
            {"id": "sub", "run": "helper", "input": {"id": "input.id", "text": "input.text", "amount": "1"}},
            {"id": "report", "set": {"said": "steps.sub.output.said", "kind": "steps.checks.output.style.lint.kind"}},
        ],
    }
    return document("Workflow", "blocks", spec, owner="Finance")


def helper(**spec):
    base = {
        "input": "invoice@1",
        "business_key": "input.id",
        "fallback": {"queue": "desk"},
        "output": {"contract": "report@1", "value": "steps.say.output"},
        "steps": [{"id": "say", "set": {"said": "input.text"}}],
    }
    return document("Workflow", "helper", base | spec, owner="Finance")


def around(**workflows):
    more = [
        document("Contract", "plan@1", {"schema": PLAN}),
        document("Contract", "report@1", {"schema": closed(said={"type": "string"})}),
        *(workflows.values() or [helper()]),
    ]
    return Documents({**surroundings(), **{Key(one["kind"], one["metadata"]["name"]): one for one in more}})


def step(workflow, name):
    return next(one for one in workflow["spec"]["steps"] if one["id"] == name)


def bent(bend):
    workflow = flow()
    workflow["spec"]["output"]["value"] = "steps.report.output"
    bend(workflow)
    return workflow


def refused(bend):
    [fault] = parse.faults_of(bent(bend))
    return fault


def found(bend, **workflows):
    [fault] = lint(bent(bend), around(**workflows))
    return fault


def test_a_definition_has_the_bodies_of_its_blocks_as_scopes():
    definition = parse.load(bent(lambda workflow: None))

    checks, each, sub = definition.step("checks"), definition.step("each"), definition.step("sub")
    assert isinstance(checks, ParallelStep)
    assert (list(checks.branches), checks.at_least) == (["style", "facts"], 1)
    assert isinstance(each, MapStep)
    assert (each.items, each.at_once, each.max_items, each.collects) == ("steps.plan.output.lines", 2, 100, True)
    assert isinstance(sub, RunStep)
    assert sub.workflow == "helper"
    assert [(scope.path, scope.where) for scope in definition.scopes()] == [
        ("", "/spec"),
        ("checks/style", "/spec/steps/1/parallel/style"),
        ("checks/facts", "/spec/steps/1/parallel/facts"),
        ("each", "/spec/steps/2"),
    ]
    body = definition.body("each")
    assert list(body.variables) == ["input", "steps", "item", "index"]
    assert list(definition.variables) == ["input", "steps"]
    assert body.step("plan") is definition.step("plan"), "a body reads what came before it"
    assert body.output == "steps.look.output"


def test_a_sound_workflow_with_blocks_has_no_finding():
    assert [str(fault) for fault in lint(bent(lambda workflow: None), around())] == []


def test_all_branches_must_be_well_unless_something_else_is_said():
    definition = parse.load(bent(lambda workflow: step(workflow, "checks").pop("join")))

    assert definition.step("checks").at_least == 2


# --- refused when read ---


def deep(levels):
    inner = {"id": "deepest", "set": {"x": "1"}}
    for level in range(levels):
        inner = {"id": f"level{level}", "parallel": {"a": {"steps": [inner]}}}
    return lambda workflow: workflow["spec"]["steps"].insert(0, inner)


def test_blocks_stand_in_blocks_three_deep_and_no_deeper():
    parse.load(bent(deep(3)))

    faults = parse.faults_of(bent(deep(4)))
    assert "that is as deep as they go" in faults[0].what
    assert faults[0].where == "/spec/steps/0" + "/parallel/a/steps/0" * 3


@pytest.mark.parametrize(
    ("place", "says", "remedy", "bend"),
    [
        (
            "/spec/steps/1/parallel/style/steps/0/id", "'plan' is already the id of step 1", "inside branches too",
            lambda w: step(w, "checks")["parallel"]["style"]["steps"][0].update(id="plan"),
        ),
        (
            "/spec/steps/1/join/at_least", "3 branches must be well, and there are 2", "at most 2",
            lambda w: step(w, "checks").update(join={"at_least": 3}),
        ),
        (
            "/spec/steps/1/join", "", "write all, any, or {at_least: 2}",
            lambda w: step(w, "checks").update(join="most"),
        ),
        (
            "/spec/steps/2/steps/0/next", "'report' is outside this block, and cannot be reached", "steps are look",
            lambda w: step(w, "each")["steps"][0].update(next="report"),
        ),
        (
            "/spec/steps/0/next", "'look' is inside a block, and cannot be reached", "steps are plan, checks",
            lambda w: step(w, "plan").update(next="look"),
        ),
        (
            "/spec/steps/2/steps/0/sett", "is not known in a set step", "it may have",
            lambda w: step(w, "each")["steps"][0].update(sett=1),
        ),
        (
            "/spec/steps/1/parallel/style/steps/0", "does not say what the step does", "give it one of",
            lambda w: step(w, "checks")["parallel"]["style"]["steps"][0].pop("agent"),
        ),
        (
            "/spec/steps/1/parallel/style/steps", "is missing", "",
            lambda w: step(w, "checks")["parallel"]["style"].pop("steps"),
        ),
        (
            "/spec/steps/2/steps/0/act", "is an item of a list that is no place in the output of an agent step",
            "let map name such a place",
            lambda w: (step(w, "each")["steps"][0].pop("set"), step(w, "each")["steps"][0].update(act="item"),
                       step(w, "each").update(map="[1, 2]")),
        ),
        (
            "/spec/output/contract", "names no contract version", "request@1",
            lambda w: w["spec"]["output"].update(contract="report"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_at_its_place_inside_bodies_too(place, says, remedy, bend):
    fault = refused(bend)

    assert fault.where == place
    assert says in fault.what
    assert remedy in fault.remedy


# --- lint ---


@pytest.mark.parametrize(
    ("place", "says", "remedy", "bend"),
    [
        (
            "/spec/steps/2/steps/0/set/sku 1:1", "an item of the list has no item.skuu", "fields there are sku",
            lambda w: step(w, "each")["steps"][0]["set"].update(sku="item.skuu"),
        ),
        (
            "/spec/steps/4/set/kind 1:1", "step 'lint' belongs to branch 'style' of 'checks'", "read steps.checks.output.style",
            lambda w: step(w, "report")["set"].update(kind="steps.lint.output.kind"),
        ),
        (
            "/spec/steps/4/set/kind 1:1", "the output of 'checks' has no steps.checks.output.stile", "facts, style",
            lambda w: step(w, "report")["set"].update(kind="steps.checks.output.stile"),
        ),
        (
            "/spec/steps/4/set/kind 1:1", "the output of 'each' has no", "place, sku",
            lambda w: step(w, "report")["set"].update(kind="steps.each.output.items[0].name"),
        ),
        (
            "/spec/steps/4/set/said 1:1", "the output of 'sub' has no steps.sub.output.sad", "fields there are said",
            lambda w: step(w, "report")["set"].update(said="steps.sub.output.sad"),
        ),
        (
            "/spec/steps/4/set/kind 1:5", "undeclared reference to 'item.sku'", "expressions see input, steps",
            lambda w: step(w, "report")["set"].update(kind="item.sku"),
        ),
        (
            "/spec/steps/1/parallel/facts/steps/0/set/n 1:1", "'report' never comes before this step", "leads to 'count'",
            lambda w: step(w, "checks")["parallel"]["facts"]["steps"][0]["set"].update(n="steps.report.output.said"),
        ),
        (
            "/spec/steps/1/parallel/facts/steps/0/set/n 1:1", "step 'lint' belongs to branch 'style'", "",
            lambda w: step(w, "checks")["parallel"]["facts"]["steps"][0]["set"].update(n="steps.lint.output"),
        ),
        (
            "/spec/steps/2/map 1:1", "map walks a list, and the contract says object", "",
            lambda w: step(w, "each").update(map="steps.plan.output"),
        ),
        (
            "/spec/steps/1/parallel/facts/steps/1", "step 'never' can never be reached", "remove it",
            lambda w: step(w, "checks")["parallel"]["facts"]["steps"].__setitem__(
                slice(0, 1),
                [{"id": "count", "set": {"n": "1"}, "next": "last"}, {"id": "never", "set": {"x": "1"}},
                 {"id": "last", "set": {"x": "1"}}],
            ),
        ),
        (
            "/spec/steps/2/steps/0/on_failure/denied", "this step never ends with 'denied'", "it can end with",
            lambda w: step(w, "each")["steps"][0].update(on_failure={"denied": "fail"}),
        ),
        (
            "/spec/steps/1/on_failure/branch_failed", "there is nothing to undo", "compensate: true",
            lambda w: step(w, "checks").update(on_failure={"branch_failed": "compensate"}),
        ),
        (
            "/spec/steps/3/input/totl", "invoice@1, the input of helper, has no 'totl'", "it has amount, id, text",
            lambda w: step(w, "sub")["input"].update(totl="1"),
        ),
        (
            "/spec/steps/3/input", "helper needs 'amount' (invoice@1), and does not get it", "add amount",
            lambda w: step(w, "sub")["input"].pop("amount"),
        ),
        (
            "/spec/steps/3/input/amount 1:1", "invoice@1 wants integer here, this is string", "",
            lambda w: step(w, "sub")["input"].update(amount="input.text"),
        ),
        (
            "/spec/steps/3/run", "a workflow cannot run itself", "go back with a route",
            lambda w: (step(w, "sub").update(run="blocks"), step(w, "report")["set"].update(said="'x'")),
        ),
        (
            "/spec/steps/1/parallel/style/steps/0/agent", "there is no agent 'redaer'", "did you mean reader?",
            lambda w: step(w, "checks")["parallel"]["style"]["steps"][0].update(agent="redaer"),
        ),
    ],
)  # fmt: skip
def test_every_finding_is_made_inside_bodies_too(place, says, remedy, bend):
    workflow = bent(bend)
    faults = lint(workflow, around(helper=helper(), blocks=workflow))

    assert [fault.where for fault in faults] == [place], [str(fault) for fault in faults]
    assert says in faults[0].what
    assert remedy in faults[0].remedy


def test_workflows_that_run_each_other_in_a_circle_are_refused():
    middle = document("Workflow", "middle", {**helper()["spec"], "steps": [{"id": "m", "run": "blocks"}]}, owner="Finance")
    first = helper(steps=[{"id": "say", "run": "middle"}])

    faults = lint(bent(lambda workflow: None), around(helper=first, middle=middle))

    assert ("/spec/steps/3/run", "runs in a circle: blocks runs helper runs middle runs blocks") in [
        (fault.where, fault.what) for fault in faults
    ]


def test_a_whole_input_must_be_what_the_other_workflow_takes():
    other = helper(input="report@1", business_key="input.said")

    fault = found(lambda w: step(w, "sub").pop("input"), helper=other)

    assert fault.what == "helper takes report@1, and gets the whole input, which is invoice@1"


def test_an_item_that_an_agent_proposed_can_be_carried_out_and_is_judged_by_the_matrix():
    def acts(workflow):
        step(workflow, "each").update(map="steps.plan.output.changes", steps=[{"id": "do", "act": "item"}])
        step(workflow, "each").pop("output")

    workflow = bent(acts)
    assert parse.load(workflow).body("each").step("do").source == "plan"
    assert lint(workflow, around()) == []

    documents = around()
    documents.changes[Key("Role", "clerk")]["spec"]["grants"] = [{"capability": "invoice.update", "effect": "deny"}]
    assert [fault.where for fault in lint(workflow, documents)] == ["/spec/steps/2/steps/0/act"]


def test_a_macro_may_call_its_variable_item():
    assert lint(bent(lambda w: step(w, "each")["steps"][0]["set"].update(ok="[1].all(item, item > 0)")), around()) == []


# --- what they name, and how they are told ---


def test_documents_named_inside_bodies_and_workflows_run_are_references():
    references = references_of(parse.load(bent(lambda workflow: None)))

    assert Reference("Agent", "reader", "/spec/steps/1/parallel/style/steps/0/agent") in references
    assert Reference("Workflow", "helper", "/spec/steps/3/run") in references
    assert Reference("Contract", "report@1", "/spec/output/contract") in references


def told(bend):
    old = bent(lambda workflow: None)
    new = copy.deepcopy(old)
    bend(new)
    return sentences(old, new, "blocks")


def test_a_change_inside_a_branch_is_told_in_words():
    def bend(workflow):
        branches = step(workflow, "checks")["parallel"]
        branches["style"]["steps"][0]["agent"] = "writer"
        branches["facts"]["steps"].append({"id": "ask", "review": "desk", "output": "change@1"})
        branches["third"] = {"steps": [{"id": "more", "set": {"x": "1"}}]}
        step(workflow, "each").update(at_once=9)

    assert told(bend) == [
        "Step “lint”: agent was reader, now writer.",
        "Adds step “ask” after “count”; it waits for a person of the queue desk.",
        "Step “checks”: adds the branch “third” with 1 step.",
        "Step “more” of branch “third” of “checks” computes x.",
        "Step “each”: items at a time was 2, now 9.",
    ]


def test_a_new_workflow_tells_the_steps_inside_its_blocks():
    lines = sentences(None, bent(lambda workflow: None), "blocks")

    assert "Step “checks” walks side by side style, facts." in lines
    assert "Step “lint” of branch “style” of “checks” asks the agent reader." in lines
    assert "Step “look” of “each” computes sku, place." in lines
    assert "Step “sub” runs the workflow helper." in lines
