"""The gate before an effect: which approval it may rest on, and the question where there is none. Pure."""

from __future__ import annotations

from aegis.core import canonical
from aegis.core.actors import agent_actor
from aegis.core.canonical import Json
from approvals.policies import FACTS, passes_fast, raised_risk
from orchestration.authority.verdicts import Verdict
from orchestration.engine.intended import Opening
from orchestration.engine.scene import Scene
from orchestration.engine.steps import counted, traced
from orchestration.engine.steps.proposals import evidence_of, request_digest
from orchestration.engine.steps.wanted import Wanted, effect_key, marks
from orchestration.workflows.makers import Makers


def record_verdict(scene: Scene, wanted: Wanted) -> None:
    verdict = wanted.verdict
    payloads: dict[str, Json] = {"proposal": dict(wanted.proposal), "facts": dict(wanted.facts), "why": _why(verdict)}
    if wanted.author is not None:
        payloads["author"] = {"id": wanted.author.ref, "roles": list(wanted.author.roles)}
    scene.emit(
        "verdict.given",
        {"step": scene.state.step, "visit": scene.state.visit, **verdict.line_data(), **marks(scene)},
        actor=agent_actor(wanted.agent.id),
        payloads=payloads,
        agent=wanted.agent,
        verdict=verdict,
        capability=verdict.capability,
        outcome={"allow": "allowed", "gate": "gated", "deny": "denied"}[verdict.answer],
    )
    counted.seen(scene, verdict, effect_key(scene))


def approval_for(scene: Scene, wanted: Wanted) -> str | None:
    """The request that lets a gated effect pass: one not used yet, or the one this very key has used up already.

    An approval is consumed once, by a key; a further attempt of the key is the same effect, not another one.
    """
    unused, intent = scene.state.approval, scene.state.intent
    if unused and (unused.digest, unused.policy) == (wanted.digest, wanted.verdict.policy):
        return unused.request
    if intent and intent.approval and intent.policy == wanted.verdict.policy:
        return intent.approval  # its digest was compared before
    return None


def opens(scene: Scene, wanted: Wanted) -> bool:
    """Ask people, or pass on the policy's fast path. True if the effect may go on at once."""
    verdict, agent, proposal = wanted.verdict, wanted.agent, wanted.proposal
    policy = scene.world.policy(verdict.policy)
    if policy is None or not scene.world.has_voters(verdict.policy):
        scene.give_up("nobody_eligible")
        return False
    risk = raised_risk(policy, verdict.risk)
    conditions = {name: fact for name, fact in wanted.facts.items() if name in FACTS}
    place = {"step": scene.state.step, "visit": scene.state.visit, "policy": policy.name, "policy_digest": policy.digest,
             "digest": wanted.digest}  # fmt: skip
    is_barred = bool(verdict.locks or verdict.reached)  # beyond a limit somebody looks, whatever the policy lets through
    if passes_fast(policy, {**conditions, "risk": risk}, locked=is_barred) is True:
        scene.emit("gate.passed_fast", place, agent=agent, verdict=verdict, capability=verdict.capability, outcome="fast_path")
        return True
    request = scene.derived_id("gate", scene.seq + len(scene.drafts))
    shown = evidence_of(scene)
    record = wanted.record
    evidence: dict[str, Json] = {
        "proposal": dict(proposal),
        "record": {"type": record.type, "key": record.key, "version": record.version, "body": record.body},
        "evidence": shown,
    }
    if "provenance" in wanted.facts:
        evidence |= {"provenance": wanted.facts["provenance"], "outside": traced.outside_of(wanted.facts)}
    scene.emit(
        "gate.opened",
        {**place, "request": str(request)},
        agent=agent,
        verdict=verdict,
        capability=verdict.capability,
        outcome="gate_opened",
    )
    scene.openings.append(
        Opening(
            id=request,
            question="effect",
            subject=f"{scene.run.id}/{scene.state.step}/{scene.state.visit}/{request}",
            policy=policy.name,
            digest=request_digest(wanted.digest, policy.digest, shown),
            risk=risk,
            capability=proposal["capability"],
            agent=agent.name,
            makers=Makers((agent.name,)),
            evidence={name: canonical.dump(value) for name, value in evidence.items()},
            places=tuple(item["place"] for item in shown),
        )
    )
    return False


def _why(verdict: Verdict) -> dict[str, Json]:
    """The verdict explained; may quote facts, so it is a payload."""
    limits = [said for one in verdict.considered for said in one.limits.why]
    return {
        "why": verdict.reason,
        "errors": list(verdict.errors),
        **({"limits": limits} if limits else {}),
        "faults": [{"pointer": fault.where, "fault": fault.what} for fault in verdict.faults],
    }
