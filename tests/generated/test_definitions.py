"""Generated definitions are workflows of the whole language: read by the parser, passed by the lint, of every construct."""

from __future__ import annotations

from collections import Counter

from orchestration.workflows import parse
from orchestration.workflows.definition import ActStep, MapStep, ParallelStep, WaitStep
from orchestration.workflows.lint import lint
from orchestration.workflows.schema import STEP_KINDS
from tests.generated import house
from tests.generated.definitions import generate
from tests.workflows.documents import Documents

MADE = [generate(seed) for seed in range(60)]
DEFINITIONS = [definition for made in MADE for definition in made.definitions()]
SCOPES = [scope for definition in DEFINITIONS for scope in definition.scopes()]
STEPS = [step for scope in SCOPES for step in scope.steps]


def test_the_parser_reads_each_and_lint_has_nothing_against_it():
    for made in MADE:
        documents = Documents({**house.surroundings(), **dict(made.documents())})
        for workflow in made.workflows:
            assert parse.faults_of(workflow) == []
            assert [str(fault) for fault in lint(workflow, documents)] == []


def test_every_construct_of_the_language_occurs():
    kinds = Counter(type(step).__name__.removesuffix("Step").lower() for step in STEPS)
    assert set(kinds) == set(STEP_KINDS)
    assert min(kinds.values()) > 8, kinds

    blocks = [step for step in STEPS if isinstance(step, ParallelStep)]
    assert {"all" if one.at_least == len(one.branches) else "any" if one.at_least == 1 else "some" for one in blocks} == {
        "all", "any", "some",
    }  # fmt: skip
    maps = [step for step in STEPS if isinstance(step, MapStep)]
    assert {one.collects for one in maps} == {True, False}
    assert {one.at_once for one in maps} == {1, 2, 3}
    waits = [step for step in STEPS if isinstance(step, WaitStep)]
    assert {"for" if one.lasting else "until" if one.until else "message" for one in waits} == {"for", "until", "message"}
    acts = [step for step in STEPS if isinstance(step, ActStep)]
    assert any(step.compensate for step in acts)
    assert any(step.act == "item" for step in acts)
    assert any(definition.resource for definition in DEFINITIONS)
    assert {one.resource.hold for one in DEFINITIONS if one.resource} == {"until_end", "while_running"}
    assert {"fail", "queue"} <= {one.on_deadline.action for one in DEFINITIONS if one.on_deadline}
    assert any(bodies_of_bodies(definition) for definition in DEFINITIONS)
    assert any(one.rollback for one in DEFINITIONS)
    assert any(one.output for one in DEFINITIONS)
    common = [step.common for step in STEPS]
    assert any(one.deadline for one in common)
    assert any(one.max_visits > 1 for one in common)
    assert any(one.required_events for one in common)
    assert any(one.required_steps for one in common)
    assert any(action.action == "compensate" for one in common for action in one.on_failure.values())


def bodies_of_bodies(definition):
    """Blocks that stand in blocks."""
    tops = [inner for step in definition.steps for _, inner in definition.inside(step)]
    return [step for inner in tops for step in inner.steps if isinstance(step, ParallelStep | MapStep)]


def test_one_seed_is_one_family():
    generate.cache_clear()

    assert [generate(seed).workflows for seed in range(10)] == [made.workflows for made in MADE[:10]]
