"""A definition as a graph: which step can follow which, and why. Pure. Lint walks it, the flow map draws it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

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

LinkKind = Literal["next", "case", "failure", "queue", "undo"]

#: Kinds of links that leave the steps: into a review queue, or into undoing what was done.
ASIDE: tuple[LinkKind, ...] = ("queue", "undo")
#: Target of every link of kind "undo": there is one end of that sort.
EFFECTS = "effects"

#: What a failure code is called on the map.
CODE_WORDS: Mapping[str, str] = {
    "agent_error": "agent fails", "contract": "breaks contract", "effect_failed": "fails", "effect_unknown": "unknown outcome",
    "effect_diverged": "other content",
    "abstained": "abstains", "low_confidence": "unsure", "expression": "no value", "max_visits": "too many visits",
    "requires": "not on record", "payload_erased": "erased", "nobody_eligible": "nobody eligible",
    "no_message": "no message", "deadline": "too late", "resource_wait": "resource taken",
    "resource_circle": "resource held above",
    "branch_failed": "branch fails", "version_retired": "version retired", "*": "any failure",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Link:
    """One way from a step to another, or (kind "queue") into a review queue, or (kind "undo") into compensation.

    Attributes:
        labels: cases or failure codes, in document order; empty for what simply follows.
    """

    source: str
    target: str
    kind: LinkKind
    labels: tuple[str, ...] = ()


def links_of(definition: Definition) -> tuple[Link, ...]:
    """Every way between the steps of this scope, in document order; ways of one kind between the same two are one link with
    several labels."""
    merged: dict[tuple[str, str, LinkKind], list[str]] = {}
    for step in definition.steps:
        for target, kind, label in _ways(definition, step):
            labels = merged.setdefault((step.common.id, target, kind), [])
            if label and label not in labels:
                labels.append(label)
    return tuple(Link(source, target, kind, tuple(labels)) for (source, target, kind), labels in merged.items())


def successors(links: Iterable[Link]) -> dict[str, tuple[str, ...]]:
    """Step -> steps that may come right after it."""
    found: dict[str, dict[str, None]] = {}
    for link in links:
        if link.kind not in ASIDE:
            found.setdefault(link.source, {})[link.target] = None
    return {source: tuple(targets) for source, targets in found.items()}


def after(starts: Iterable[str], following: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Every step that can come after one of `starts`, by at least one link."""
    seen: set[str] = set()
    queue = deque(starts)
    while queue:
        for target in following.get(queue.popleft(), ()):
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return frozenset(seen)


def reach_of(definition: Definition) -> dict[str, frozenset[str]]:
    """Step -> every step of the whole document that can come after it: what is inside a block comes after what leads there."""
    reach: dict[str, frozenset[str]] = {}
    for scope in definition.scopes():
        following = successors(links_of(scope))
        own = frozenset(step.common.id for step in scope.steps)
        block = scope.path.partition("/")[0]
        if block:
            reach |= {step: found | own for step, found in reach.items() if block in found}
        reach |= {step: after([step], following) for step in own}
    return reach


def _ways(definition: Definition, step: Step) -> Iterator[tuple[str, LinkKind, str]]:
    match step:
        case RouteStep():
            for case, target in step.cases.items():
                if isinstance(target, OnFailure):
                    yield target.target, "queue", case
                else:
                    yield target, "case", case
        case AgentStep() | ActStep() | GateStep() | ReviewStep() | SetStep() | WaitStep():
            if following := definition.following(step):
                yield following, "next", ""
        case ParallelStep() | MapStep() | RunStep():
            if following := definition.following(step):
                yield following, "next", ""
        case FinishStep():
            pass
        case _:
            assert_never(step)
    if isinstance(step, AgentStep):
        if step.confidence_below:
            yield step.confidence_below[1], "queue", CODE_WORDS["low_confidence"]
        if step.abstain_queue:
            yield step.abstain_queue, "queue", CODE_WORDS["abstained"]
    for code, action in step.common.on_failure.items():
        word = CODE_WORDS.get(code, code)
        if action.action == "step":
            yield action.target, "failure", word
        elif action.action == "queue":
            yield action.target or definition.fallback_queue, "queue", word
        elif action.action == "compensate":
            yield EFFECTS, "undo", word
