"""Rolling back a run that had completed: asked for by a person, decided by others, then undone like any compensation. Pure.

The run is open again while people decide. If they say no it is completed as before; if they agree its effects are undone newest
first (`steps.undo`), and it ends as rolled back. It keeps its effects for that only if its workflow names who decides.
"""

from __future__ import annotations

from aegis.core import canonical
from aegis.core.canonical import Json
from orchestration.engine.intended import Opening
from orchestration.engine.moves import Message
from orchestration.engine.scene import Scene, written
from orchestration.engine.steps.proposals import evidence_of, request_digest
from orchestration.workflows import makers
from orchestration.workflows.definition import ActStep

SUBJECT = "rollback"  # where the subject of a request names the step it is about


def ask(scene: Scene, message: Message) -> None:
    """Open the gate that the workflow names. There is no fast path: nobody rolls back alone."""
    scene.consumed.append(message.ordinal)
    policy = scene.world.policy(scene.run.release.definition.rollback)
    cause = f"inbox:{message.ordinal}"
    if policy is None or not scene.world.has_voters(policy.name):
        scene.emit(
            "rollback.refused",
            {"code": "nobody_eligible", "request": ""},
            actor=message.actor,
            payloads={"reason": {"reason": message.reason}},
            cause=cause,
            outcome="rejected",
        )
        return
    scene.asked_authority = True
    request = scene.derived_id("rollback", scene.seq + len(scene.drafts))
    effects: list[Json] = [{"step": effect.step, "key": effect.key} for effect in reversed(scene.state.effects)]
    proposal: dict[str, Json] = {"rollback": str(scene.run.id), "effects": effects, "asked_by": message.actor.ref}
    digest = canonical.digest_of({"step": SUBJECT, "proposal": proposal})
    shown = evidence_of(scene)
    scene.emit(
        "rollback.asked",
        {"request": str(request), "policy": policy.name, "policy_digest": policy.digest, "digest": digest,
         "effects": len(effects), "by": written(message.actor)},
        actor=message.actor,
        payloads={"reason": {"reason": message.reason}},
        cause=cause,
        outcome="gate_opened",
    )  # fmt: skip
    agent = _proposer(scene)
    evidence: dict[str, Json] = {"proposal": proposal, "record": None, "evidence": shown}
    scene.openings.append(
        Opening(
            id=request,
            question="rollback",
            subject=f"{scene.run.id}/{SUBJECT}/0/{request}",
            policy=policy.name,
            digest=request_digest(digest, policy.digest, shown),
            risk="high",
            capability="",
            agent=agent,
            makers=makers.of_effects(scene.run.release.definition, [effect.step for effect in scene.state.effects]),
            evidence={name: canonical.dump(value) for name, value in evidence.items()},
            places=tuple(item["place"] for item in shown),
            asked_by=message.actor.ref,
        )
    )


def settle_gate(scene: Scene, message: Message) -> None:
    """People decided: undo, or leave everything as it was."""
    scene.consumed.append(message.ordinal)
    by, effects = scene.state.rollback, len(scene.state.effects)
    step, visit = scene.state.step, scene.state.visit
    if message.outcome != "approved":
        scene.emit(
            "rollback.refused",
            {"code": message.outcome, "request": message.ref},
            actor=message.actor,
            cause=f"request:{message.ref}",
            outcome=message.outcome,
        )
        return
    scene.emit(
        "rollback.approved", {"request": message.ref}, actor=message.actor, cause=f"request:{message.ref}", outcome="approved"
    )
    scene.emit(
        "run.compensating",
        {"step": step, "visit": visit, "code": "rollback", "ended": "rolled_back", "effects": effects, "by": by},
        actor=message.actor,
        cause=f"request:{message.ref}",
        outcome="compensating",
    )


def _proposer(scene: Scene) -> str:
    """The agent behind the newest effect, whom lists name."""
    step = scene.run.release.definition.step(scene.state.effects[-1].step)
    agent = scene.agent_of(step.source) if isinstance(step, ActStep) else None
    return agent.name if agent else ""
