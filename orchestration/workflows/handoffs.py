"""Who makes each message of a workflow and who reads it: the handoffs, by contract. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Definition,
    GateStep,
    ReviewStep,
    RouteStep,
    RunStep,
    Step,
    WaitStep,
)
from orchestration.workflows.lint_paths import mentions_of
from orchestration.workflows.paths import paths_of


@dataclass(frozen=True, slots=True)
class Handoff:
    """One message of a workflow.

    Attributes:
        contract: "name@version" that it keeps.
        place: "input", "output" (what a run leaves to its parent), or the step that makes it.
        producer: in words ("agent clerk").
        consumers: steps that read it, in words ("agent fixer in mend").
    """

    contract: str
    place: str
    producer: str
    consumers: tuple[str, ...]


def handoffs_of(definition: Definition) -> tuple[Handoff, ...]:
    """Every message that stands under a contract, in document order."""
    return tuple(_handoffs(definition))


def _handoffs(definition: Definition) -> Iterator[Handoff]:
    readers = _readers(definition)

    def handoff(contract: str, place: str, producer: str) -> Handoff:
        return Handoff(contract, place, producer, tuple(dict.fromkeys(readers.get(place, ()))))

    yield handoff(definition.input, "input", "whoever submits")
    for scope in definition.scopes():
        for step in scope.steps:
            match step:
                case AgentStep():
                    yield handoff(step.output, step.common.id, f"agent {step.agent}")
                case ReviewStep():
                    yield handoff(step.output, step.common.id, f"people of the queue {step.queue}")
                case WaitStep() if step.output:
                    yield handoff(step.output, step.common.id, f"whoever sends {step.message}")
                case _:
                    continue
    if definition.output_contract:
        yield Handoff(definition.output_contract, "output", "the run as a whole", ("the workflow that runs it",))


def _readers(definition: Definition) -> dict[str, list[str]]:
    """Place -> who reads it, in document order."""
    found: dict[str, list[str]] = {}
    for mention in mentions_of(definition):
        who = _named(mention.step) if mention.step else {"/spec/success": "the success criterion"}.get(mention.where, "")
        for path in paths_of(mention.source) if who else ():
            place = path.step if path.root == "steps" else path.root
            found.setdefault(place, []).append(who)
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            if not isinstance(step, AgentStep | RunStep) or step.input:
                continue
            found.setdefault("input", []).append(_named(step))  # without a mapping: the input, and an agent every output so far
            earlier = (*scope.outer, *scope.steps[:index]) if isinstance(step, AgentStep) else ()
            for other in earlier:
                found.setdefault(other.common.id, []).append(_named(step))
    return found


def _named(step: Step) -> str:
    where = f"in {step.common.id}"
    match step:
        case AgentStep():
            return f"agent {step.agent} {where}"
        case RouteStep():
            return f"routing table {step.table} {where}"
        case GateStep():
            return f"the people of {step.policy} {where}"
        case ActStep():
            return f"the effect {where}"
        case RunStep():
            return f"workflow {step.workflow} {where}"
        case _:
            return f"step {step.common.id}"
