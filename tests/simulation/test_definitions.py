"""Generated workflows are workflows: read by the parser, passed by the lint, of every shape."""

from __future__ import annotations

from collections import Counter

from orchestration.workflows import parse
from orchestration.workflows.definition import ActStep, AgentStep, RouteStep, failure_codes_of
from orchestration.workflows.graph import after, links_of, successors
from orchestration.workflows.lint import lint
from orchestration.workflows.schema import STEP_KINDS
from tests.simulation import house
from tests.simulation.definitions import generate
from tests.workflows.documents import Documents

MADE = [generate(seed) for seed in range(200)]


def test_the_parser_reads_each_and_lint_has_nothing_against_it():
    for made in MADE:
        documents = {**house.surroundings(), **dict(made.documents())}

        assert parse.faults_of(made.workflow) == []
        assert [str(fault) for fault in lint(made.workflow, Documents(documents))] == []


def test_every_kind_of_step_and_of_way_through_occurs():
    steps = [step for made in MADE for step in made.definition.steps]
    kinds = Counter(type(step).__name__.removesuffix("Step").lower() for step in steps)
    loops = [made for made in MADE if any(step.common.max_visits > 1 for step in made.definition.steps)]
    agents = [step for step in steps if isinstance(step, AgentStep)]

    elsewhere = {"parallel", "map", "run", "wait"}  # families have them: tests/generated
    assert set(kinds) == set(STEP_KINDS) - elsewhere
    assert min(kinds.values()) > 20
    assert len(loops) > 20
    assert max(len(step.cases) for step in steps if isinstance(step, RouteStep)) > 2
    assert any(step.confidence_below for step in agents)
    assert any(step.retry.attempts > 1 for step in agents)
    assert any(step.common.requires for step in steps)
    assert any(step.compensate for step in steps if isinstance(step, ActStep))
    assert any(action.action == "compensate" for step in steps for action in step.common.on_failure.values())
    assert {code for step in steps for code in step.common.on_failure} == {
        code for step in steps for code in failure_codes_of(step)
    } - {"payload_erased", "nobody_eligible"}


def test_what_can_come_back_says_how_often():
    for made in MADE:
        following = successors(links_of(made.definition))
        for step in made.definition.steps:
            assert step.common.max_visits > 1 or step.common.id not in after([step.common.id], following)


def test_effects_of_every_safety_class_are_proposed_and_carried_out():
    seen = Counter()
    for made in MADE:
        for step in made.definition.steps:
            if isinstance(step, ActStep):
                output = made.definition.step(step.source).output
                seen += Counter(name for name in house.CAPABILITIES if house.plan_of(name) == output)

    assert seen.keys() == house.CAPABILITIES.keys()
    assert {safety for _, _, safety in house.CAPABILITIES.values()} == {"idempotent", "keyed", "unsafe"}


def test_one_seed_is_one_workflow():
    generate.cache_clear()

    assert [generate(seed).workflow for seed in range(20)] == [made.workflow for made in MADE[:20]]
    assert len({made.definition.name for made in MADE}) == len(MADE)
