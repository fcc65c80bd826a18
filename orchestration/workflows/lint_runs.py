"""Lint of `run` steps: the workflow they run takes what it is given, and comes to an end. Pure over an overlay's documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from orchestration.workflows import parse
from orchestration.workflows.definition import Definition, RunStep
from orchestration.workflows.lint_fit import Given, Taker, map_faults
from orchestration.workflows.output_schemas import Schemas
from orchestration.workflows.places import levels

#: Output of a run whose workflow declares none.
_NOTHING: Final[Json] = {"type": "object", "additionalProperties": False, "properties": {}}


def outputs_of_workflows(definition: Definition, overlay: Overlay) -> dict[str, Json | None]:
    """Workflow that is run -> JSON Schema of what it leaves behind; None where that cannot be known."""
    return {step.workflow: _output_of(step.workflow, overlay) for _, step, _ in _runs(definition)}


def run_faults(definition: Definition, schemas: Schemas, overlay: Overlay) -> Iterator[Fault]:
    """What speaks against the `run` steps: what they run leads back to this workflow, or cannot take its input."""
    for where, step, scope in _runs(definition):
        document = overlay.get("Workflow", step.workflow)
        if step.workflow == definition.name:
            yield Fault(
                f"{where}/run", "a workflow cannot run itself", "run another one, or go back with a route and max_visits"
            )
        elif path := _way_back(step.workflow, definition.name, overlay, (step.workflow,)):
            way = " runs ".join((definition.name, *path, definition.name))
            yield Fault(f"{where}/run", f"runs in a circle: {way}", "let one of them do without the other")
        elif document is not None:
            yield from _input_faults(step, where, scope, schemas.within(scope), document, overlay)


def _runs(definition: Definition) -> Iterator[tuple[str, RunStep, Definition]]:
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            if isinstance(step, RunStep):
                yield f"{scope.where}/steps/{index}", step, scope


def _output_of(name: str, overlay: Overlay) -> Json | None:
    document = overlay.get("Workflow", name)
    if document is None or parse.faults_of(document):
        return None
    output = document["spec"].get("output")
    return _schema(output["contract"], overlay) if output else _NOTHING


def _schema(contract: str, overlay: Overlay) -> Json | None:
    document = overlay.get("Contract", contract)
    return document["spec"]["schema"] if document is not None else None


def _way_back(name: str, goal: str, overlay: Overlay, path: tuple[str, ...]) -> tuple[str, ...]:
    """The workflows through which `name` comes to run `goal`; () if it never does. A circle that leaves out `goal` is the
    fault of those in it."""
    for other in _run_by(overlay.get("Workflow", name)):
        if other == goal:
            return path
        if other not in path and (found := _way_back(other, goal, overlay, (*path, other))):
            return found
    return ()


def _run_by(document: Json | None) -> list[str]:
    found = (step["run"] for level in levels(document) for step in level.steps if isinstance(step.get("run"), str))
    return list(dict.fromkeys(found))


def _input_faults(
    step: RunStep, where: str, scope: Definition, schemas: Schemas, document: Json, overlay: Overlay
) -> Iterator[Fault]:
    """The input of the workflow that is run, against the contract it takes."""
    spec = document.get("spec")
    contract = spec.get("input") if isinstance(spec, Mapping) else None
    if not isinstance(contract, str) or (schema := _schema(contract, overlay)) is None:
        return
    if not step.input:
        if contract != scope.input:
            what = f"{step.workflow} takes {contract}, and gets the whole input, which is {scope.input}"
            yield Fault(where, what, "give it an input: name -> expression")
        return
    given = {name: Given(source, f"{where}/input/{name}") for name, source in step.input.items()}
    taker = Taker(contract, schema, step.workflow, f"{contract}, the input of {step.workflow},")
    yield from map_faults(given, taker, f"{where}/input", schemas)
