"""Which other documents a workflow names, and where. Pure. Releases pin some of them; lint looks all of them up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Definition,
    FinishStep,
    GateStep,
    MapStep,
    OnFailure,
    ParallelStep,
    ReviewStep,
    RouteStep,
    RunStep,
    SetStep,
    Step,
    WaitStep,
)

#: Kinds pinned at submission by digest (DESIGN promise 10). The others are live: policies, queues.
PINNED: Final = ("Contract", "RoutingTable", "Agent", "Workflow")


@dataclass(frozen=True, slots=True)
class Reference:
    """One mention: the kind and name of a document, and the JSON pointer of the mention."""

    kind: str
    name: str
    where: str


def references_of(definition: Definition) -> tuple[Reference, ...]:
    """Every mention, in document order."""
    return tuple(_references(definition))


def pinned(definition: Definition) -> tuple[tuple[str, str], ...]:
    """(kind, name) of what a release pins, each once, sorted."""
    return tuple(sorted({(one.kind, one.name) for one in references_of(definition) if one.kind in PINNED}))


def _references(definition: Definition) -> Iterator[Reference]:
    yield Reference("Contract", definition.input, "/spec/input")
    yield Reference("ReviewQueue", definition.fallback_queue, "/spec/fallback/queue")
    if definition.on_deadline and definition.on_deadline.target:
        yield Reference("ReviewQueue", definition.on_deadline.target, "/spec/on_deadline/queue")
    if definition.rollback:
        yield Reference("ApprovalPolicy", definition.rollback, "/spec/rollback/gate")
    if definition.output_contract:
        yield Reference("Contract", definition.output_contract, "/spec/output/contract")
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            where = f"{scope.where}/steps/{index}"
            yield from _of_step(step, where)
            for code, action in step.common.on_failure.items():
                if action.action == "queue" and action.target:
                    yield Reference("ReviewQueue", action.target, f"{where}/on_failure/{_escaped(code)}/queue")


def _of_step(step: Step, where: str) -> Iterator[Reference]:
    match step:
        case AgentStep():
            yield Reference("Agent", step.agent, f"{where}/agent")
            yield Reference("Contract", step.output, f"{where}/output")
            if step.confidence_below:
                yield Reference("ReviewQueue", step.confidence_below[1], f"{where}/confidence_below/queue")
            if step.abstain_queue:
                yield Reference("ReviewQueue", step.abstain_queue, f"{where}/abstain_queue")
        case RouteStep():
            yield Reference("RoutingTable", step.table, f"{where}/route")
            for case, target in step.cases.items():
                if isinstance(target, OnFailure):
                    yield Reference("ReviewQueue", target.target, f"{where}/cases/{_escaped(case)}/queue")
        case GateStep():
            yield Reference("ApprovalPolicy", step.policy, f"{where}/gate")
        case ReviewStep():
            yield Reference("ReviewQueue", step.queue, f"{where}/review")
            yield Reference("Contract", step.output, f"{where}/output")
        case WaitStep():
            if step.output:
                yield Reference("Contract", step.output, f"{where}/wait/output")
        case RunStep():
            yield Reference("Workflow", step.workflow, f"{where}/run")
        case ActStep() | SetStep() | FinishStep() | ParallelStep() | MapStep():
            return
        case _:
            assert_never(step)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
