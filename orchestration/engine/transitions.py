"""From what one turn of a run came to, to what its commit writes. Pure."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from aegis.core.actors import SYSTEM
from audit.drafts import Context, Draft, Head
from orchestration.engine import state as states
from orchestration.engine.children import telling
from orchestration.engine.children.rows import Kin
from orchestration.engine.children.wants import Ended
from orchestration.engine.commit import Transition
from orchestration.engine.fold import fold
from orchestration.engine.hand import Held
from orchestration.engine.lease import Claimed
from orchestration.engine.moves import Message
from orchestration.engine.scene import Scene
from orchestration.engine.state import State


def of_turn(held: Held, scene: Scene, *, due_at: datetime | None, lease: timedelta) -> Transition:
    """What a turn made of a run in hand."""
    in_flight = scene.call is not None or (held.call is not None and scene.state.phase in ("calling", "acting"))
    return Transition(
        run_id=held.run.id,
        workflow_id=held.run.release.workflow_id,
        requester_id=uuid.UUID(held.run.requester) if held.run.requester else None,
        fence=held.fence,
        head=held.head,
        state=scene.state,
        drafts=scene.drafts,
        context=Context(
            stream=held.run.stream,
            scope="workflow",
            scope_id=str(held.run.release.workflow_id),
            run_id=held.run.id,
            subject=held.run.subject,
            trace=held.run.trace_id,
            definition=held.run.release.digest,
            fence=held.fence,
        ),
        seen=read_up_to(held),
        at=scene.world.now,
        due_at=due_at,
        keeps_lease=in_flight,
        has_read=bool(scene.consumed),
        lease=lease,
        epoch=scene.world.epoch if scene.asked_authority else None,
        openings=scene.openings,
        items=scene.items,
        patches=scene.patches,
        closes_waits=scene.closes_waits,
        takes=scene.takes,
        marks=scene.marks,
        is_by_time=scene.is_by_time,
        listening=scene.listening if scene.state.phase == "listening" else None,
        stops_listening=scene.began.phase == "listening" and scene.state.phase != "listening",
        claims=scene.claims,
        kin=Kin(
            run_id=held.run.id,
            subject=held.run.subject,
            at=scene.world.now,
            children=scene.children,
            tells=scene.tells,
            ended=telling.ended(scene, held.parent),
        ),
        queueing=scene.queueing if scene.state.phase == "queueing" else None,
        lets_go=(bool(scene.claims) or _has_place(scene.began)) and not _has_place(scene.state),
    )


def _has_place(state: State) -> bool:
    """At the resource of its workflow: it holds it, or waits for it."""
    return state.holds or state.phase == "queueing"


def of_unreadable(run: Claimed, *, at: datetime, lease: timedelta) -> Transition:
    """The end of a run whose release or state cannot be read: quarantined and failed, as far as its state is still known."""
    stream = f"run:{run.id}"
    try:
        state = states.load(run.state)
    except Exception:
        state = State()  # `journal verify` tells the rest
    drafts = [
        Draft("run.quarantined", SYSTEM, data={"step": state.step, "visit": state.visit, "losses": run.claims}),
        Draft("run.failed", SYSTEM, data={"step": state.step, "code": "quarantined"}, outcome="failed"),
    ]
    for seq, draft in enumerate(drafts, run.seq + 1):
        state = fold(state, stream=stream, seq=seq, type=draft.type, data=draft.data)
    return Transition(
        run_id=run.id,
        workflow_id=run.workflow_id,
        requester_id=run.requester_id,
        fence=run.fence,
        head=Head(seq=run.seq, leaf=run.head),
        state=state,
        drafts=drafts,
        context=Context(
            stream=stream,
            scope="workflow",
            scope_id=str(run.workflow_id),
            run_id=run.id,
            subject=str(run.subject_ref),
            trace=run.trace_id,
            fence=run.fence,
        ),
        seen=run.wake,
        at=at,
        due_at=None,
        keeps_lease=False,
        has_read=False,
        lease=lease,
        closes_waits=True,
        stops_listening=True,
        lets_go=True,
        kin=Kin(
            run_id=run.id,
            subject=str(run.subject_ref),
            at=at,
            ended=Ended(run.parent_id, "failed", "quarantined", 0, len(state.undoable), 0, is_retryable=True)
            if run.parent_id
            else None,
            cancels=True,
        ),
    )


def read_up_to(held: Held) -> int:
    """The inbox ordinal up to which this turn read."""
    messages = [item.ordinal for item in held.news or () if isinstance(item, Message)]
    return max([held.seen, held.wake_at_claim, *messages])
