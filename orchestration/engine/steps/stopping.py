"""Child runs that are told to end. Pure."""

from __future__ import annotations

import uuid

from aegis.core.actors import SYSTEM
from orchestration.engine.children.wants import Tell
from orchestration.engine.scene import Scene, actor_of


def has_open(scene: Scene) -> bool:
    """Are children under way?"""
    return scene.state.fork is not None and bool(scene.state.fork.open)


def stop(scene: Scene, why: str = "") -> None:
    """Tell the children that are under way to end: the block is decided, its time is up, or the run is cancelled.

    Args:
        why: the code of a deadline.
    """
    state, fork = scene.state, scene.state.fork
    assert fork is not None
    why = why or ("cancelled" if state.stopped_by else "enough" if fork.is_enough else "lost")
    scene.emit(
        "step.stopping",
        {"step": state.step, "visit": state.visit, "why": why, "children": len(fork.open)},
        outcome="stopping",
    )
    by = actor_of(state.stopped_by) if why == "cancelled" else SYSTEM
    if not fork.stopping:
        scene.tells += [Tell(uuid.UUID(child), "cancel", by) for _, child in sorted(fork.open.items())]


def orphans(scene: Scene) -> None:
    """The run has ended, or left the block, while children were under way (it broke, or a person went on without them): they
    are told to end, and nobody waits for them."""
    before, now = scene.began.fork, scene.state.fork
    known = {**(before.open if before else {})}
    left = {ordinal: child for ordinal, child in known.items() if not _is_heard(scene, child)}
    is_left = scene.state.is_ended or now is None
    if left and is_left and before is not None and not before.stopping:
        told = {tell.run_id for tell in scene.tells}
        scene.tells += [Tell(uuid.UUID(child), "cancel") for child in left.values() if uuid.UUID(child) not in told]


def _is_heard(scene: Scene, child: str) -> bool:
    return any(draft.type == "child.ended" and draft.data["child"] == child for draft in scene.drafts)
