"""Who made what people are asked about: the agents behind a gate's proposal, or behind effects that shall be undone. Pure.

Their owners decide neither (DESIGN promise 8). What a block or a sub-workflow made is known from its runs alone, so blocks are
named here and looked up by whoever reads the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Definition,
    GateStep,
    MapStep,
    ParallelStep,
    RunStep,
    SetStep,
    Step,
)
from orchestration.workflows.paths import paths_of


@dataclass(frozen=True, slots=True)
class Makers:
    """
    Attributes:
        agents: names.
        blocks: ids of the steps whose child runs have agents of their own.
    """

    agents: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()


def of_gate(definition: Definition, gate: GateStep) -> Makers:
    """Whose outputs the proposal names: directly, through `set` steps, or as the item of a list that they made."""
    return _made(definition, _behind(definition, gate.proposal, set()))


def of_effects(definition: Definition, steps: Iterable[str]) -> Makers:
    """Whose proposals these effects were; a step that is a block stands for the effects of its child runs."""
    found = [definition.step(step) for step in dict.fromkeys(steps)]
    return _made(definition, (definition.step(step.source) if isinstance(step, ActStep) else step for step in found))


def _behind(definition: Definition, expression: str, seen: set[str]) -> Iterator[Step]:
    for path in paths_of(expression) if expression else ():
        if path.root == "item" and definition.items not in seen:
            seen.add(definition.items)
            yield from _behind(definition, definition.items, seen)
        if path.root != "steps":
            continue
        # A computed name, or `steps` as a whole, may be any of them.
        named = [path.step] if path.step else [step.common.id for step in (*definition.steps, *definition.outer)]
        for name in named:
            step = _step(definition, name)
            if step is None or name in seen:
                continue
            seen.add(name)
            if isinstance(step, SetStep):
                for value in step.values.values():
                    yield from _behind(definition, value, seen)
            yield step


def _made(definition: Definition, steps: Iterable[Step]) -> Makers:
    found = list(steps)
    agents = (step.agent for step in found if isinstance(step, AgentStep))
    blocks = (step.common.id for step in found if isinstance(step, ParallelStep | MapStep | RunStep))
    return Makers(tuple(dict.fromkeys(agents)), tuple(dict.fromkeys(blocks)))


def _step(definition: Definition, name: str) -> Step | None:
    try:
        return definition.step(name)
    except KeyError:
        return None
