"""`act` steps: from what an agent proposed to the verdict it goes through the one door with (`steps.effect`). Pure.

Asked again at every begin: after an approval, after a lost worker, after a conflict. Only the verdict of the moment counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from aegis.core.actors import agent_actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import Failed
from orchestration.authority.verdicts import Principal, Resource, Verdict, decide, stricter
from orchestration.engine.scene import Scene
from orchestration.engine.steps import counted, effect, traced
from orchestration.engine.steps.agent import expression_failed
from orchestration.engine.steps.proposals import Proposal, condition_facts, proposal_faults
from orchestration.engine.steps.wanted import Wanted, effect_key
from orchestration.engine.world_port import RecordSnapshot
from orchestration.workflows.definition import ActStep, AgentVersion


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
    record = scene.record(proposal["resource"]["type"], proposal["resource"]["id"])
    place = scene.state.outputs.get(step.source, "")
    author = scene.world.author(place) if place else None
    facts, verdict = ask(scene, agent, proposal, record, author=author, source=step.source)
    effect.pass_through(scene, Wanted(step, agent, proposal, record, facts, verdict, author=author))


def ask(
    scene: Scene, agent: AgentVersion, proposal: Proposal, record: RecordSnapshot, *, author: Principal | None, source: str
) -> tuple[Mapping[str, Json], Verdict]:
    """The facts, and the live matrix's answer for the agent that proposed; and for the person, where one wrote the proposal in
    its stead.

    The stricter answer counts: completing a review gives nobody an agent's rights, and no agent a person's.

    Args:
        author: the person, as he is now; None where an agent wrote it, or nobody (what undoes an effect).
        source: the step whose output holds the proposal; "" where none does.
    """
    scene.asked_authority = True
    matrix, resource = scene.world.matrix(), Resource(**proposal["resource"])
    principal = Principal(kind="agent", ref=agent.id)  # an agent's roles are part of the matrix
    whom = [principal, author] if author else [principal]
    facts = condition_facts(scene.world.requester(scene.run.requester), proposal, record)
    facts |= traced.facts_for(scene, proposal, record, source=source)
    facts = counted.facts_for(scene, whom, proposal, facts, effect_key(scene))
    verdict = decide(matrix, principal, proposal["capability"], resource, facts)
    if author is None:
        return facts, verdict
    return facts, stricter(matrix, verdict, decide(matrix, author, proposal["capability"], resource, facts))


def fault(scene: Scene) -> None:
    """The run broke in a way no rule foresaw. With a remote effect on its way nobody knows what became of that."""
    step = scene.step if scene.state.step else None
    if scene.state.phase == "acting" and isinstance(step, ActStep):
        effect.unknown(scene, "AEGIS broke before the answer was recorded")
        if scene.state.stopped_by:  # nothing else will wake this run
            scene.hand_over("effect_unknown")
    else:
        scene.review("fault", scene.run.release.definition.fallback_queue)


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
