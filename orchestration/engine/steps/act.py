"""`act` steps: from a proposal to an effect, through the live matrix and, where it says so, a gate (DESIGN promises 1, 3, 7).

Asked again at every begin: after an approval, after a lost worker, after a conflict. Only the verdict of the moment counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from aegis.core import canonical
from aegis.core.actors import agent_actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.expressions import Failed
from approvals.policies import passes_fast, raised_risk
from orchestration.authority.verdicts import Principal, Resource, Verdict, decide, stricter
from orchestration.engine.planner import MAX_LOSSES, EffectAnswered
from orchestration.engine.scene import EffectCall, Opening, Patch, RecordSnapshot, Scene
from orchestration.engine.steps.agent import expression_failed, next_attempt_at
from orchestration.engine.steps.proposals import (
    Proposal,
    bound_digest,
    condition_facts,
    evidence_of,
    proposal_faults,
    request_digest,
)
from orchestration.workflows.definition import ActStep, AgentVersion

MAX_RACES = 3  # commits that may lose to another writer of the same record before a person has to look


def begin(scene: Scene, step: ActStep) -> None:
    """Ask the matrix and go as far as its answer allows."""
    proposal = scene.evaluate(step.act)
    if isinstance(proposal, Failed):
        expression_failed(scene, proposal)
        return
    agent = scene.agent_of(step.source)
    assert agent is not None, "publishing refuses an act whose source is no agent step"
    if faults := proposal_faults(proposal):
        _malformed(scene, step, agent, proposal, faults)
        return
    record = scene.world.record(proposal["resource"]["type"], proposal["resource"]["id"])
    facts = condition_facts(scene.world.requester(scene.run.requester), proposal, record)
    verdict = ask(scene, step, agent, proposal, facts)
    digest = effect_digest(verdict, proposal, record)
    _record_verdict(scene, step, agent, proposal, facts, verdict)
    approval = scene.state.approval
    match verdict.answer:
        case "deny":
            scene.give_up("contract" if verdict.code == "parameters" else "denied")
        case "gate" if approval and approval.digest == digest and approval.policy == verdict.policy:
            carry_out(scene, step, agent, proposal, record, verdict, digest, approval=approval.request)
        case "gate":
            _gate(scene, step, agent, proposal, record, facts, verdict, digest)
        case _:
            carry_out(scene, step, agent, proposal, record, verdict, digest, approval="")


def ask(scene: Scene, step: ActStep, agent: AgentVersion, proposal: Proposal, facts: Mapping[str, Json]) -> Verdict:
    """The live matrix's answer for the agent that proposed; and for the person, where one wrote the proposal in its stead.

    The stricter answer counts: completing a review gives nobody an agent's rights, and no agent a person's.
    """
    scene.asked_authority = True
    matrix, resource = scene.world.matrix(), Resource(**proposal["resource"])
    principal = Principal(kind="agent", ref=agent.id)  # an agent's roles are part of the matrix
    verdict = decide(matrix, principal, proposal["capability"], resource, facts)
    author = scene.world.author(scene.state.outputs.get(step.source, ""))
    if author is None:
        return verdict
    return stricter(matrix, verdict, decide(matrix, author, proposal["capability"], resource, facts))


def carry_out(
    scene: Scene,
    step: ActStep,
    agent: AgentVersion,
    proposal: Proposal,
    record: RecordSnapshot,
    verdict: Verdict,
    digest: str,
    *,
    approval: str,
) -> None:
    """Do it (a local effect, in this very commit) or record the intent to (a remote one)."""
    key = effect_key(scene, step)
    attempt = scene.state.attempt + 1
    where = {"step": step.common.id, "visit": scene.state.visit, "attempt": attempt, "key": key, "digest": digest,
             "approval": approval, "handler": verdict.handler}  # fmt: skip
    cause = f"request:{approval}" if approval else ""
    match scene.world.effect_handler(verdict.handler):
        case "local":
            if scene.lost_races:
                _conflicted(scene, step)
                return
            try:
                body = scene.world.patch(verdict.handler, record.body, proposal["parameters"])
            except Invalid as error:
                _failed(scene, agent, where, "refused", error.detail, cause=cause)
                return
            after = canonical.dump(dict(body))
            scene.patches.append(Patch(record=record, body=after, effect_key=key))
            output = {"resource": dict(proposal["resource"]), "version": record.version + 1}
            scene.emit(
                "effect.done",
                {**where, "next": scene.next_of(step), "before_version": record.version, "after_version": record.version + 1},
                actor=agent_actor(agent.id),
                payloads={
                    "output": output,
                    "before": dict(record.body) if record.body is not None else None,
                    "after": dict(body),
                },
                cause=cause,
                agent=agent,
                verdict=verdict,
                capability=verdict.capability,
                outcome="done",
            )
            scene.values[step.common.id] = output
        case "remote":
            if scene.state.losses >= MAX_LOSSES:
                scene.emit(
                    "run.quarantined", {"step": step.common.id, "visit": scene.state.visit, "losses": scene.state.losses}
                )
                scene.give_up("effect_unknown")
                return
            scene.emit(
                "effect.intended",
                {**where, "safety": verdict.safety, "timeout_ms": int(step.timeout / timedelta(milliseconds=1))},
                actor=agent_actor(agent.id),
                payloads={"proposal": dict(proposal)},
                cause=cause,
                agent=agent,
                verdict=verdict,
                capability=verdict.capability,
                outcome="intended",
            )
            scene.call = EffectCall(
                step=step.common.id,
                visit=scene.state.visit,
                attempt=attempt,
                key=key,
                handler=verdict.handler,
                resource=proposal["resource"],
                parameters=proposal["parameters"],
                timeout=step.timeout,
            )
        case _:
            _failed(scene, agent, where, "no_handler", f"No handler is named {verdict.handler!r}", cause=cause)


def absorb(scene: Scene, step: ActStep, answer: EffectAnswered) -> None:
    """Record how a remote effect turned out."""
    agent = scene.agent_of(step.source)
    where = {"step": step.common.id, "visit": scene.state.visit, "attempt": answer.attempt, "key": answer.key}
    if not answer.error:
        output = {"result": answer.result}
        scene.emit(
            "effect.done",
            {**where, "digest": scene.state.digest, "approval": "", "handler": "", "next": scene.next_of(step),
             "before_version": 0, "after_version": 0},
            payloads={"output": output},
            agent=agent,
            outcome="done",
            duration_ms=answer.duration_ms,
        )  # fmt: skip
        scene.values[step.common.id] = output
        return
    if answer.error == "unknown" and not _may_repeat(scene, step):
        _unknown(scene, step, answer.detail)
        return
    retry_at = next_attempt_at(scene, step.retry, answer.attempt)
    scene.emit(
        "effect.failed",
        {**where, "code": answer.error, "retry_at": retry_at},
        payloads={"detail": {"detail": answer.detail}},
        agent=agent,
        outcome="retrying" if retry_at else "failed",
        duration_ms=answer.duration_ms,
    )
    if not retry_at:
        scene.give_up("effect_unknown" if answer.error == "unknown" else "effect_failed")


def lose(scene: Scene, step: ActStep) -> None:
    """The worker died between intent and answer: repeat under the same key, or ask a person when repeating may do harm."""
    if not _may_repeat(scene, step):
        _unknown(scene, step, "The worker died after the effect was intended and before its answer was recorded")
        return
    state = scene.state
    scene.emit(
        "effect.lost",
        {"step": step.common.id, "visit": state.visit, "attempt": state.attempt, "losses": state.losses + 1},
        outcome="lost",
    )


def fault(scene: Scene) -> None:
    """The run broke in a way no rule foresaw. With a remote effect on its way nobody knows what became of that."""
    step = scene.step if scene.state.step else None
    if scene.state.phase == "acting" and isinstance(step, ActStep):
        _unknown(scene, step, "AEGIS broke before the answer was recorded")
    else:
        scene.review("fault", scene.run.release.definition.fallback_queue)


def effect_key(scene: Scene, step: ActStep) -> str:
    """run / step / visit / ordinal: stable over attempts and re-drive."""
    return f"{scene.run.id}/{step.common.id}/{scene.state.visit}/0"


def effect_digest(verdict: Verdict, proposal: Proposal, record: RecordSnapshot) -> str:
    return bound_digest(verdict.capability_digest, proposal, record.version)


def _gate(
    scene: Scene,
    step: ActStep,
    agent: AgentVersion,
    proposal: Proposal,
    record: RecordSnapshot,
    facts: Mapping[str, Json],
    verdict: Verdict,
    digest: str,
) -> None:
    policy = scene.world.policy(verdict.policy)
    if policy is None or not scene.world.has_voters(verdict.policy):
        scene.give_up("nobody_eligible")
        return
    risk = raised_risk(policy, verdict.risk)
    if passes_fast(policy, {**facts, "risk": risk}, locked=bool(verdict.locks)) is True:
        scene.emit(
            "gate.passed_fast",
            {"step": step.common.id, "visit": scene.state.visit, "policy": policy.name, "policy_digest": policy.digest,
             "digest": digest},
            agent=agent,
            verdict=verdict,
            capability=verdict.capability,
            outcome="fast_path",
        )  # fmt: skip
        carry_out(scene, step, agent, proposal, record, verdict, digest, approval="")
        return
    request = scene.derived_id("gate", scene.seq + len(scene.drafts))
    shown = evidence_of(scene)
    evidence: dict[str, Json] = {
        "proposal": dict(proposal),
        "record": {"type": record.type, "key": record.key, "version": record.version, "body": record.body},
        "evidence": shown,
    }
    scene.emit(
        "gate.opened",
        {"step": step.common.id, "visit": scene.state.visit, "request": str(request), "policy": policy.name,
         "policy_digest": policy.digest, "digest": digest},
        agent=agent,
        verdict=verdict,
        capability=verdict.capability,
        outcome="gate_opened",
    )  # fmt: skip
    scene.openings.append(
        Opening(
            id=request,
            question="effect",
            subject=f"{scene.run.id}/{step.common.id}/{scene.state.visit}/{request}",
            policy=policy.name,
            digest=request_digest(digest, policy.digest, shown),
            risk=risk,
            capability=proposal["capability"],
            agent=agent.name,
            evidence={name: canonical.dump(value) for name, value in evidence.items()},
            places=tuple(item["place"] for item in shown),
        )
    )


def _record_verdict(
    scene: Scene, step: ActStep, agent: AgentVersion, proposal: Proposal, facts: Mapping[str, Json], verdict: Verdict
) -> None:
    scene.emit(
        "verdict.given",
        {
            "step": step.common.id,
            "visit": scene.state.visit,
            **verdict.line_data(),
        },
        actor=agent_actor(agent.id),
        payloads={"proposal": dict(proposal), "facts": dict(facts), "why": _why(verdict)},
        agent=agent,
        verdict=verdict,
        capability=verdict.capability,
        outcome={"allow": "allowed", "gate": "gated", "deny": "denied"}[verdict.answer],
    )


def _why(verdict: Verdict) -> dict[str, Json]:
    """The verdict explained; may quote facts, so it is a payload."""
    return {
        "why": verdict.reason,
        "errors": list(verdict.errors),
        "faults": [{"pointer": fault.where, "fault": fault.what} for fault in verdict.faults],
    }


def _malformed(scene: Scene, step: ActStep, agent: AgentVersion, proposal: Json, faults: list[Fault]) -> None:
    scene.emit(
        "contract.violated",
        {"step": step.common.id, "visit": scene.state.visit, "attempt": scene.state.attempt, "contract": "proposal",
         "faults": len(faults)},
        actor=agent_actor(agent.id),
        payloads={"message": proposal, "faults": [{"pointer": fault.where, "fault": fault.what} for fault in faults]},
        agent=agent,
        outcome="dead_letter",
    )  # fmt: skip
    scene.give_up("contract")


def _failed(scene: Scene, agent: AgentVersion, where: Mapping[str, Json], code: str, detail: str, *, cause: str) -> None:
    scene.emit(
        "effect.failed",
        {"step": where["step"], "visit": where["visit"], "attempt": where["attempt"], "key": where["key"], "code": code,
         "retry_at": ""},
        payloads={"detail": {"detail": detail}},
        cause=cause,
        agent=agent,
        outcome="failed",
    )  # fmt: skip
    scene.give_up("effect_failed")


def _conflicted(scene: Scene, step: ActStep) -> None:
    """The record moved between reading and committing: on record, then looked at again, a bounded number of times."""
    races, scene.lost_races = scene.lost_races, 0
    scene.emit(
        "effect.conflicted",
        {"step": step.common.id, "visit": scene.state.visit, "attempt": scene.state.attempt + 1},
        outcome="conflict",
    )
    if races >= MAX_RACES:
        scene.give_up("conflict")


def _may_repeat(scene: Scene, step: ActStep) -> bool:
    """Is the capability declared safe to send again under the same key?"""
    proposal = scene.evaluate(step.act)
    if isinstance(proposal, Failed) or proposal_faults(proposal):
        return False
    capability = scene.world.matrix().capabilities.get(proposal["capability"])
    return capability is not None and capability.safety in ("idempotent", "keyed")


def _unknown(scene: Scene, step: ActStep, detail: str) -> None:
    scene.emit(
        "effect.unknown",
        {"step": step.common.id, "visit": scene.state.visit, "attempt": scene.state.attempt, "key": effect_key(scene, step)},
        payloads={"detail": {"detail": detail}},
        outcome="unknown",
    )
    scene.give_up("effect_unknown")
