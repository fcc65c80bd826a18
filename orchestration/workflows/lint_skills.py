"""Lint of skills: a step that asks for one asks queues that know it. Pure over documents."""

from __future__ import annotations

from collections.abc import Iterator

from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from orchestration.workflows.definition import Definition, Step
from orchestration.workflows.graph import links_of


def skill_faults(definition: Definition, overlay: Overlay) -> Iterator[Fault]:
    """A step asks for a skill that a queue it may lead to does not know: nobody could work on its items there."""
    for where, queue, skill in skills_asked(definition):
        document = overlay.get("ReviewQueue", queue)
        if document is None or skill in document["spec"].get("skills", {}):
            continue
        known = ", ".join(sorted(document["spec"].get("skills", {}))) or "none"
        what = f"nobody in {queue!r} is known to have the skill {skill!r}"
        yield Fault(where, what, f"say in the queue who has it; it knows {known}")


def skills_asked(definition: Definition) -> Iterator[tuple[str, str, str]]:
    """(pointer, queue, skill) of what steps ask of each queue they may lead to: those they name, the fallback that takes
    whatever nobody named, and the queue of the run's deadline."""
    always = {definition.fallback_queue}
    if definition.on_deadline and definition.on_deadline.action == "queue":
        always.add(definition.on_deadline.target)
    for scope in definition.scopes():
        links = [link for link in links_of(scope) if link.kind == "queue"]
        for index, step in enumerate(scope.steps):
            if step.common.skill:
                named = {link.target for link in links if link.source == step.common.id}
                for queue in sorted(named | queues_of(step) | always):
                    yield f"{scope.where}/steps/{index}/skill", queue, step.common.skill


def queues_of(step: Step) -> set[str]:
    """Queues that a step sends its items to by itself."""
    queue = getattr(step, "queue", "")
    return {queue} if queue else set()
