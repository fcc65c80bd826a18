"""The lists of steps in a Workflow document, what stands around each, and what a step says of itself. Pure over documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aegis.core.canonical import Json
from orchestration.workflows.schema import STEP_KINDS


@dataclass(frozen=True, slots=True)
class Level:
    """One list of steps.

    Attributes:
        where: JSON pointer of the list.
        steps: its entries that are objects at all, with their positions in `positions`.
        outer: steps of the lists around it.
        items: the expression of the innermost `map` around it; "" outside of any.
        depth: how many blocks are around it.
    """

    where: str
    steps: tuple[Mapping[str, Json], ...]
    positions: tuple[int, ...]
    outer: tuple[Mapping[str, Json], ...] = ()
    items: str = ""
    depth: int = 0

    def numbered(self) -> Iterator[tuple[str, Mapping[str, Json]]]:
        """Each step with its JSON pointer."""
        for position, step in zip(self.positions, self.steps, strict=True):
            yield f"{self.where}/{position}", step


def levels(document: Json) -> Iterator[Level]:
    """Every list of steps, outer ones first."""
    spec = document.get("spec") if isinstance(document, Mapping) else None
    if isinstance(spec, Mapping):
        yield from _levels(spec.get("steps"), "/spec/steps", (), "", 0)


def below(document: Json, pointer: str) -> Any:
    """What a JSON pointer of this document leads to; None if nothing is there."""
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, Mapping):
            found = found.get(key)
        else:
            return None
    return found


def _levels(steps: Json, where: str, outer: tuple[Mapping[str, Json], ...], items: str, depth: int) -> Iterator[Level]:
    if not isinstance(steps, list):
        return
    found = [(position, step) for position, step in enumerate(steps) if isinstance(step, Mapping)]
    own = tuple(step for _, step in found)
    level = Level(where, own, tuple(position for position, _ in found), outer, items, depth)
    yield level
    for place, step in level.numbered():
        branches = step.get("parallel")
        for name, branch in branches.items() if isinstance(branches, Mapping) else ():
            if isinstance(branch, Mapping):
                key = str(name).replace("~", "~0").replace("/", "~1")
                yield from _levels(branch.get("steps"), f"{place}/parallel/{key}/steps", (*outer, *own), items, depth + 1)
        if "map" in step:
            source = step["map"] if isinstance(step["map"], str) else ""
            yield from _levels(step.get("steps"), f"{place}/steps", (*outer, *own), source, depth + 1)


def kind_of(step: Mapping[str, Json]) -> str:
    """The kind of a step that keeps the schema: the one kind word among its keys."""
    return next(kind for kind in STEP_KINDS if kind in step)


def at_least(step: Mapping[str, Json]) -> int:
    """How many branches must be well."""
    match step.get("join", "all"):
        case "all":
            return len(step["parallel"])
        case "any":
            return 1
        case {"at_least": int(number)}:
            return number
        case other:
            raise AssertionError(f"the schema refuses join: {other!r}")
