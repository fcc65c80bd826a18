"""The one door to an effect: of an `act` step, and of what undoes one (DESIGN promises 1, 3, 7). Pure.

Whoever wants an effect comes with the live verdict. What may happen then: nothing (deny), a question (gate), a change of a
record in this very commit (local), or an intent that is committed before anything is sent (remote). The key is the same for
every attempt and for a re-drive, so the door also remembers what became of it: an effect that may have happened is sent again
only if both the
class it was intended under and the live one allow that, and never with another content under the same key (docs/adr/0016).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from aegis.core import canonical
from aegis.core.actors import agent_actor
from aegis.core.canonical import Json
from aegis.core.errors import Invalid
from orchestration.authority.verdicts import Matrix
from orchestration.engine.intended import EffectCall, Patch
from orchestration.engine.moves import EffectAnswered
from orchestration.engine.planner import MAX_LOSSES
from orchestration.engine.scene import Scene
from orchestration.engine.state import Intent
from orchestration.engine.steps import counted, gating, guarded
from orchestration.engine.steps.agent import next_attempt_at
from orchestration.engine.steps.wanted import Wanted, effect_key, marks
from orchestration.workflows.definition import ActStep, AgentVersion

MAX_RACES = 3  # commits that may lose to another writer of the same record before a person has to look
REPEATABLE = ("idempotent", "keyed")  # safety classes whose effect may be sent again while nobody knows whether it happened


def may_repeat(scene: Scene) -> bool:
    """May the effect at the cursor be sent again while nobody knows whether it happened?

    The stricter of two classes counts: a capability declared safer after the intent does not make the intent safer, and one
    declared less safe, or gone, has its reason.
    """
    return is_repeatable(scene.state.intent, scene.world.matrix())


def is_repeatable(intent: Intent | None, matrix: Matrix) -> bool:
    """See `may_repeat`."""
    if intent is None or intent.safety not in REPEATABLE:
        return False
    capability = matrix.capabilities.get(intent.capability)
    return capability is not None and capability.safety in REPEATABLE


def needs_a_statement(scene: Scene) -> bool:
    """Has the effect at the cursor perhaps happened, so that only a person who looks outside can say how to go on?"""
    return may_have_happened(scene) and not may_repeat(scene)


def may_have_happened(scene: Scene) -> bool:
    """It was intended, and nothing says that nothing came of it. Also where nothing was heard at all: a worker that dies
    again and again before it records the loss leaves the intent as it was."""
    return scene.state.intent is not None and scene.state.intent.heard != "nothing"


def pass_through(scene: Scene, wanted: Wanted) -> None:
    """Go as far as the verdict allows."""
    if needs_a_statement(scene):  # whoever sent it here (a retry, a re-drive): it is not sent blindly
        scene.hand_over("effect_unknown")
        return
    gating.record_verdict(scene, wanted)
    verdict, intent = wanted.verdict, scene.state.intent
    if verdict.answer == "deny":
        if may_have_happened(scene):
            unknown(scene, f"It was sent, what became of it is not known, and it may not be sent again: {verdict.reason}")
        else:
            scene.give_up("contract" if verdict.code == "parameters" else "denied")
        return
    if intent and intent.digest != wanted.digest:
        _diverged(scene, wanted, intent.digest)
        return
    if verdict.answer == "allow":
        carry_out(scene, wanted, approval="")
    elif (approval := gating.approval_for(scene, wanted)) is not None:
        carry_out(scene, wanted, approval=approval)
    elif gating.opens(scene, wanted):
        carry_out(scene, wanted, approval="")


def carry_out(scene: Scene, wanted: Wanted, *, approval: str) -> None:
    """Do it (a local effect, in this very commit) or record the intent to (a remote one)."""
    where = {"step": wanted.step.common.id, "visit": scene.state.visit, "attempt": scene.state.attempt + 1,
             "key": effect_key(scene), "digest": wanted.digest, "approval": approval, "handler": wanted.verdict.handler,
             **marks(scene)}  # fmt: skip
    cause = f"request:{approval}" if approval else ""
    match scene.world.effect_handler(wanted.verdict.handler):
        case "local":
            _apply(scene, wanted, where, cause)
        case "remote":
            _send(scene, wanted, where, cause)
        case _:
            _refused(scene, wanted, where, "no_handler", f"No handler is named {wanted.verdict.handler!r}", cause)


def absorb(scene: Scene, step: ActStep, answer: EffectAnswered) -> None:
    """Record how a remote effect turned out."""
    intent, agent = scene.state.intent, scene.agent_of(step.source)
    capability = intent.capability if intent else ""
    where = {"step": step.common.id, "visit": scene.state.visit, "attempt": answer.attempt, "key": answer.key,
             **marks(scene)}  # fmt: skip
    if not answer.error:
        output = {"result": answer.result}
        scene.emit(
            "effect.done",
            {**where, "digest": scene.state.digest, "approval": "", "handler": "", "next": _next(scene, step),
             "before_version": 0, "after_version": 0, **compensation(scene, step, capability)},
            payloads={"output": output},
            agent=agent,
            capability=capability,
            outcome="done",
            duration_ms=answer.duration_ms,
        )  # fmt: skip
        _leave_output(scene, step, output)
        return
    if answer.error == "unknown" and (scene.state.stopped_by or not may_repeat(scene)):
        unknown(scene, answer.detail, duration_ms=answer.duration_ms)
        return
    retry_at = ""
    if not scene.state.stopped_by:
        retry_at = next_attempt_at(scene, step.retry, answer.attempt, at_least=answer.retry_after)
    scene.emit(
        "effect.failed",
        {**where, "code": answer.error, "retry_at": retry_at},
        payloads={"detail": {"detail": answer.detail}},
        agent=agent,
        capability=capability,
        outcome="retrying" if retry_at else "failed",
        duration_ms=answer.duration_ms,
    )
    if not retry_at and answer.error != "unknown":
        counted.unspent(scene, answer.key)
    if retry_at or scene.state.stopped_by:
        return
    if answer.error == "unknown":
        _give_up_not_knowing(scene)
    else:
        scene.give_up("effect_failed")


def lose(scene: Scene) -> None:
    """The worker died between intent and answer: repeat under the same key, or ask a person when repeating may do harm."""
    if scene.state.stopped_by or not may_repeat(scene):
        unknown(scene, "The worker died after the effect was intended and before its answer was recorded")
        return
    state = scene.state
    scene.emit(
        "effect.lost",
        {"step": state.step, "visit": state.visit, "attempt": state.attempt, "losses": state.losses + 1, **marks(scene)},
        agent=_agent(scene),
        capability=state.intent.capability if state.intent else "",
        outcome="lost",
    )


def unknown(scene: Scene, detail: str, *, duration_ms: int | None = None) -> None:
    """Nobody knows whether the effect at the cursor happened, and it is not sent again: on record, and before a person."""
    state = scene.state
    scene.emit(
        "effect.unknown",
        {"step": state.step, "visit": state.visit, "attempt": state.attempt, "key": effect_key(scene), **marks(scene)},
        payloads={"detail": {"detail": detail}},
        agent=_agent(scene),
        capability=state.intent.capability if state.intent else "",
        outcome="unknown",
        duration_ms=duration_ms,
    )
    if not scene.state.stopped_by:  # a run that is being cancelled asks in `undo.stop`
        scene.hand_over("effect_unknown")


def _apply(scene: Scene, wanted: Wanted, where: Mapping[str, Json], cause: str) -> None:
    """A local effect: a pure patch of the record, written by the commit as a compare-and-set."""
    if scene.lost_races:
        _conflicted(scene)
        return
    record, verdict = wanted.record, wanted.verdict
    try:
        body = scene.world.patch(verdict.handler, record.body, wanted.proposal["parameters"])
    except Invalid as error:
        _refused(scene, wanted, where, "refused", error.detail, cause)
        return
    if guarded.is_held(scene, wanted.agent, capability=verdict.capability, is_local=True, seconds=0):
        return
    counted.spent(scene, verdict, str(where["key"]))
    scene.patches.append(Patch(record=record, body=canonical.dump(dict(body)), effect_key=str(where["key"])))
    output = {"resource": dict(wanted.proposal["resource"]), "version": record.version + 1}
    scene.emit(
        "effect.done",
        {**where, "next": _next(scene, wanted.step), "before_version": record.version, "after_version": record.version + 1,
         **compensation(scene, wanted.step, verdict.capability)},
        actor=agent_actor(wanted.agent.id),
        payloads={"output": output, "before": dict(record.body) if record.body is not None else None, "after": dict(body)},
        cause=cause,
        agent=wanted.agent,
        verdict=verdict,
        capability=verdict.capability,
        outcome="done",
    )  # fmt: skip
    _leave_output(scene, wanted.step, output)


def _send(scene: Scene, wanted: Wanted, where: Mapping[str, Json], cause: str) -> None:
    """A remote effect: its intent now, the call after the commit."""
    state, step, verdict = scene.state, wanted.step, wanted.verdict
    if state.losses >= MAX_LOSSES:
        scene.emit("run.quarantined", {"step": state.step, "visit": state.visit, "losses": state.losses})
        _give_up_not_knowing(scene)
        return
    if guarded.is_held(scene, wanted.agent, capability=verdict.capability, seconds=step.timeout.total_seconds()):
        return
    counted.spent(scene, verdict, str(where["key"]))
    scene.emit(
        "effect.intended",
        {**where, "capability": verdict.capability, "policy": verdict.policy if where["approval"] else "",
         "safety": verdict.safety, "timeout_ms": int(step.timeout / timedelta(milliseconds=1)), "worker": scene.world.worker},
        actor=agent_actor(wanted.agent.id),
        payloads={"proposal": dict(wanted.proposal)},
        cause=cause,
        agent=wanted.agent,
        verdict=verdict,
        capability=verdict.capability,
        outcome="intended",
    )  # fmt: skip
    scene.call = EffectCall(
        step=state.step,
        visit=state.visit,
        attempt=int(where["attempt"]),
        key=str(where["key"]),
        handler=verdict.handler,
        resource=wanted.proposal["resource"],
        parameters=wanted.proposal["parameters"],
        timeout=step.timeout,
    )


def _diverged(scene: Scene, wanted: Wanted, before: str) -> None:
    """The key was used for something else: whoever got that might take this for a repetition, or that for never sent."""
    scene.emit(
        "effect.diverged",
        {"step": scene.state.step, "visit": scene.state.visit, "attempt": scene.state.attempt, "key": effect_key(scene),
         "digest": before, "new_digest": wanted.digest, **marks(scene)},
        payloads={"proposal": dict(wanted.proposal)},
        agent=wanted.agent,
        verdict=wanted.verdict,
        capability=wanted.verdict.capability,
        outcome="unknown",
    )  # fmt: skip
    scene.hand_over("effect_diverged")


def _refused(scene: Scene, wanted: Wanted, where: Mapping[str, Json], code: str, detail: str, cause: str) -> None:
    """Nothing happened and nothing will: the record, or a handler that is gone, does not change by waiting."""
    scene.emit(
        "effect.failed",
        {**{name: where[name] for name in ("step", "visit", "attempt", "key")}, "code": code, "retry_at": "", **marks(scene)},
        payloads={"detail": {"detail": detail}},
        cause=cause,
        agent=wanted.agent,
        capability=wanted.verdict.capability,
        outcome="failed",
    )
    scene.give_up("effect_failed")


def _conflicted(scene: Scene) -> None:
    """The record moved between reading and committing: on record, then looked at again, a bounded number of times."""
    races, scene.lost_races = scene.lost_races, 0
    scene.emit(
        "effect.conflicted",
        {"step": scene.state.step, "visit": scene.state.visit, "attempt": scene.state.attempt + 1, **marks(scene)},
        outcome="conflict",
    )
    if races >= MAX_RACES:
        scene.give_up("conflict")


def _give_up_not_knowing(scene: Scene) -> None:
    """No attempt is left and the outcome is open. To undo what was done, a person must say first whether this was."""
    action = scene.step.common.given_up("effect_unknown")
    undoes = action is not None and action.action == "compensate"
    if undoes and isinstance(scene.step, ActStep) and scene.step.compensate:
        scene.hand_over("effect_unknown")
    else:
        scene.give_up("effect_unknown")


def compensation(scene: Scene, step: ActStep, capability: str) -> dict[str, Json]:
    """Which capability would undo it, as that stands now. The field alone says that the effect is kept to be undone: because
    the step asked for compensation, or on demand, because the workflow may be rolled back."""
    on_demand = not step.compensate and bool(scene.run.release.definition.rollback)
    if scene.state.ending or not (step.compensate or on_demand):
        return {}
    known = scene.world.matrix().capabilities.get(capability)
    return {"compensation": known.compensation if known else "", **({"on_demand": True} if on_demand else {})}


def _agent(scene: Scene) -> AgentVersion | None:
    step = scene.step
    return scene.agent_of(step.source) if isinstance(step, ActStep) else None


def _next(scene: Scene, step: ActStep) -> str:
    return "" if scene.state.ending else scene.next_of(step)


def _leave_output(scene: Scene, step: ActStep, output: Json) -> None:
    if not scene.state.ending:  # an undo leaves nothing behind that a step could read
        scene.values[step.common.id] = output
