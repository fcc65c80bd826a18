"""What a child run tells its parent when it ends, and how the parent hears it. Pure; on the way it is one inbox row."""

from __future__ import annotations

import uuid

from aegis.core.actors import SYSTEM, Actor
from orchestration.engine.children.wants import Ended
from orchestration.engine.moves import Message
from orchestration.engine.planner import may_retry
from orchestration.engine.scene import Scene
from orchestration.engine.state import ENDINGS


def ended(scene: Scene, parent: uuid.UUID | None) -> Ended | None:
    """What the parent is told, if this turn ended the run."""
    last = next((at for at in range(len(scene.drafts) - 1, -1, -1) if scene.drafts[at].type in ENDINGS), None)
    if parent is None or last is None or not scene.state.is_ended:
        return None
    state = scene.state
    is_well = state.ended == "completed"
    has_output = is_well and "output" in scene.drafts[last].payloads
    return Ended(
        parent_id=parent,
        outcome=state.ended,
        code="" if is_well else state.outcome,
        output=scene.seq + last + 1 if has_output else 0,
        effects=len(state.undoable),
        left=state.ending.left if state.ending else 0,
        is_retryable=may_retry(state),
    )


def ref_of(told: Ended, run_id: uuid.UUID) -> str:
    """As `heard` reads it: "<child>#<seq>,<effects>,<left>,<r if it can be tried again>,<code>"."""
    again = "r" if told.is_retryable else ""
    return f"{run_id}#{told.output},{told.effects},{told.left},{again},{told.code}"


def heard(ref: str, *, ordinal: int, outcome: str, actor: Actor = SYSTEM) -> Message:
    """The message of a parent. The child's output is loaded with the payloads that the parent needs."""
    child, _, rest = ref.partition("#")
    seq, effects, left, again, code = rest.split(",", 4)
    return Message(
        ordinal=ordinal,
        kind="child_ended",
        ref=child,
        outcome=outcome,
        actor=actor,
        reason="",
        output=f"run:{child}/{seq}" if seq != "0" else "",
        case=code,
        digest="retryable" if again else "",
        effects=int(effects),
        left=int(left),
    )
