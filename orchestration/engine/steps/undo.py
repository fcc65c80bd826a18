"""Compensation: undo what a run did, newest first, then end it; and what people say about effects nobody heard of. Pure.

Each undo is an effect of its own, through the one door, under the key of the effect it undoes plus "/undo". Where the run
stands is in its events alone (`State.effects` shrinks by one per undo), so a worker that dies anywhere is followed by one
that goes on there.
"""

from __future__ import annotations

from collections.abc import Mapping

from aegis.core.canonical import Json
from orchestration.engine.moves import Message
from orchestration.engine.scene import Scene, actor_of, written
from orchestration.engine.steps import act, effect, stopping
from orchestration.engine.steps.proposals import Proposal
from orchestration.engine.steps.wanted import Wanted, effect_key
from orchestration.engine.world_port import PastEffect
from orchestration.workflows.definition import ActStep

RESTORE = "record.restore"  # the local handler that puts an earlier body back


def must_be_committed(scene: Scene) -> bool:
    """Was the effect that is undone next done in this very turn? What it did is undone from the journal, so it must be
    there."""
    key = scene.state.undoes
    return any(draft.type in ("effect.done", "effect.stated") and draft.data["key"] == key for draft in scene.drafts)


def begin(scene: Scene) -> None:
    """Undo the newest effect that still stands, as far as the live matrix allows."""
    done, step = scene.state.effects[-1], scene.step
    assert isinstance(step, ActStep), "only act steps leave effects"
    agent = scene.agent_of(step.source)
    assert agent is not None, "publishing refuses an act whose source is no agent step"
    past = scene.world.past(scene.run.stream, done)
    if past is None:
        scene.hand_over("payload_erased")
        return
    resource = past.proposal["resource"]
    record = scene.record(resource["type"], resource["id"])
    if past.after is not None and record.body != past.after:
        _moved(scene)
        return
    proposal = _proposal(scene, past)
    facts, verdict = act.ask(scene, agent, proposal, record, author=None, source="")
    effect.pass_through(scene, Wanted(step, agent, proposal, record, facts, verdict))


def conclude(scene: Scene) -> None:
    """Nothing is left to undo: end the run as it was going to."""
    ending = scene.state.ending
    assert ending is not None
    told = {"step": ending.step, "code": ending.code, "undone": ending.undone, "left": ending.left}
    scene.emit("run.compensated", told, outcome="compensated")
    if ending.ended == "rolled_back":
        scene.emit("run.rolled_back", {"step": ending.step}, actor=actor_of(ending.by), outcome="rolled_back")
    elif ending.ended == "cancelled":
        scene.emit("run.cancelled", {"step": ending.step}, actor=actor_of(ending.by), outcome="cancelled")
    else:
        scene.emit("run.failed", {"step": ending.step, "code": ending.code}, outcome="failed")


def cancel(scene: Scene, message: Message, *, is_known: bool = False) -> None:
    """End the run because a person says so; what it did and can be undone is undone first.

    Args:
        is_known: the person who cancels has the effect before him whose outcome is open, and ends the run all the same.
    """
    if stopping.has_open(scene) or (not is_known and _is_open(scene)):
        is_over = scene.state.phase == "deciding" or stopping.has_open(
            scene
        )  # of a block set aside, what its people were asked
        scene.closes_waits = scene.closes_waits or is_over
        scene.emit(
            "run.stopping",
            {"step": scene.state.step, "by": written(message.actor)},
            actor=message.actor,
            payloads={"reason": {"reason": message.reason}},
            cause=f"inbox:{message.ordinal}",
            outcome="stopping",
        )
        return
    scene.closes_waits = True
    scene.compensate("cancelled", cancelled_by=message.actor, reason=message.reason, cause=f"inbox:{message.ordinal}")


def stop(scene: Scene) -> None:
    """The effect or the child runs that a cancelled run waited for are over. End it, or have a person say what became of it."""
    step = scene.state.step
    if _is_open(scene):
        scene.hand_over("effect_unknown")
        return
    scene.closes_waits = True
    by = actor_of(scene.state.stopped_by)
    if scene.state.undoable:
        scene.compensate("cancelled", cancelled_by=by)
    else:
        scene.emit("run.cancelled", {"step": step}, actor=by, outcome="cancelled")


def state_it(scene: Scene, message: Message) -> None:
    """A person looked outside and says that the effect at the cursor happened (or, of an undo, that it is undone)."""
    state, undoes, step = scene.state, scene.state.undoes, scene.step
    assert isinstance(step, ActStep)
    capability = state.intent.capability if state.intent else ""
    scene.emit(
        "effect.stated",
        {
            "step": state.step,
            "visit": state.visit,
            "key": effect_key(scene),
            "digest": state.intent.digest if state.intent else "",
            "output": message.output,
            "next": "" if state.ending else scene.next_of(step),
            **effect.compensation(scene, step, capability),
            **({"undoes": undoes} if undoes else {}),
        },
        actor=message.actor,
        cause=f"review:{message.ref}",
        agent=scene.agent_of(step.source),
        capability=capability,
        outcome="stated",
    )
    if not undoes:
        scene.values[step.common.id] = message.value


def leave_it(scene: Scene, message: Message) -> None:
    """A person lets an effect stand that could not be undone; the ones before it are undone all the same."""
    state = scene.state
    scene.emit(
        "effect.left",
        {"step": state.step, "visit": state.visit, "key": state.undoes},
        actor=message.actor,
        cause=f"review:{message.ref}",
        outcome="left",
    )


def _is_open(scene: Scene) -> bool:
    """Must the outcome of the effect at the cursor be known before the run may end? While it is under way; and afterwards if it
    could have happened and would have to be undone, or is of a kind that a person must answer for."""
    if scene.state.phase == "acting":
        return True
    step = scene.step if scene.state.step else None
    if not isinstance(step, ActStep) or not effect.may_have_happened(scene):
        return False
    return step.compensate or not effect.may_repeat(scene)


def _moved(scene: Scene) -> None:
    """Somebody changed the record since: putting the earlier body back would silently undo that as well."""
    scene.emit(
        "effect.failed",
        {"step": scene.state.step, "visit": scene.state.visit, "attempt": scene.state.attempt, "key": effect_key(scene),
         "code": "moved", "retry_at": "", "undoes": scene.state.undoes},
        payloads={"detail": {"detail": "The record was changed after this effect; undoing it would undo that change as well"}},
        capability=scene.state.effects[-1].compensation,
        outcome="failed",
    )  # fmt: skip
    scene.hand_over("conflict")


def _proposal(scene: Scene, past: PastEffect) -> Proposal:
    """What undoing is asked with. A record gets its earlier body back; anybody else is told what was done, and what came of
    it."""
    done = scene.state.effects[-1]
    capability = scene.world.matrix().capabilities.get(done.compensation)
    if capability is not None and capability.handler == RESTORE:
        parameters: dict[str, Json] = {"body": dict(past.before) if past.before is not None else None}
    else:
        result = past.output.get("result") if isinstance(past.output, Mapping) else None
        parameters = {"effect": done.key, "parameters": dict(past.proposal["parameters"]), "result": result}
    return {"capability": done.compensation, "resource": dict(past.proposal["resource"]), "parameters": parameters}
