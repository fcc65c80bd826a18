"""Lint of resources: no run may wait for what a run above it holds while that one waits for it. Pure over documents.

A workflow that claims a resource holds it while it waits for the workflows it runs. What one of these claims is followed
through the inputs of the `run` steps, back to the input of the workflow on top; where both keys come to the same expression
over it, they are the same text in every run. What cannot be followed (the output of an agent, an item of a list) is left to
the run, where the step gives up with `resource_circle`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from orchestration.workflows import parse
from orchestration.workflows.definition import Definition, RunStep
from orchestration.workflows.paths import Elements, normal

#: Field of an input -> what it is over the input of the workflow on top, None where that is not known. None: that very input.
Reading = Mapping[str, Elements | None] | None


def resource_faults(definition: Definition, overlay: Overlay) -> Iterator[Fault]:
    """A `run` step that leads to a claim of the resource that the workflow holds itself."""
    if definition.resource is None:
        return
    held = normal(definition.resource.key)
    for where, step in _runs(definition):
        for way, key in _claims(step, None, overlay, (definition.name,)):
            if key == held:
                who = " through ".join(reversed(way[1:]))
                what = (
                    f"{who} claims the resource {definition.resource.key}, which this workflow holds until that run has ended"
                )
                yield Fault(f"{where}/run", what, "claim it in one of the two only; a run would wait for it for ever")
                break


def _claims(
    step: RunStep, reading: Reading, overlay: Overlay, way: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Elements]]:
    """Keys that the workflow of a step and those below it claim, over the input on top, and the names that lead there."""
    document = overlay.get("Workflow", step.workflow)
    if document is None or step.workflow in way or parse.faults_of(document):
        return
    definition, way = parse.read(document), (*way, step.workflow)
    given = {name: _over(normal(source), reading) for name, source in step.input.items()} if step.input else reading
    if definition.resource is not None and (key := _over(normal(definition.resource.key), given)) is not None:
        yield way, key
    for _, inner in _runs(definition):
        yield from _claims(inner, given, overlay, way)


def _over(elements: Elements, reading: Reading) -> Elements | None:
    """The expression with what its input is put in place of it; None where that cannot be said."""
    found: list[str | tuple[str, tuple[str | int, ...]]] = []
    for element in elements:
        if isinstance(element, str):
            found.append(element)
            continue
        root, parts = element
        if root != "input":
            return None
        if reading is None:
            found.append(element)
            continue
        whole = reading.get(str(parts[0])) if parts else None
        if whole is None:
            return None
        if parts[1:]:
            if len(whole) != 1 or isinstance(whole[0], str):
                return None
            found.append((whole[0][0], (*whole[0][1], *parts[1:])))
        elif len(whole) == 1:
            found.append(whole[0])
        else:
            found += ["(", *whole, ")"]
    return tuple(found)


def _runs(definition: Definition) -> Iterator[tuple[str, RunStep]]:
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            if isinstance(step, RunStep):
                yield f"{scope.where}/steps/{index}", step
