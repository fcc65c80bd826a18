"""`gate` and `review` steps, and what people's messages do to a run."""

from __future__ import annotations

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.expressions import Failed
from approvals.policies import passes_fast
from orchestration.engine.intended import Opening
from orchestration.engine.moves import Message
from orchestration.engine.scene import Scene
from orchestration.engine.steps import undo
from orchestration.engine.steps.agent import expression_failed
from orchestration.engine.steps.proposals import evidence_of, request_digest
from orchestration.workflows import makers
from orchestration.workflows.definition import ActStep, GateStep, ReviewStep, RouteStep, Step


def gate(scene: Scene, step: GateStep) -> None:
    """Ask about something that is not an effect."""
    policy = scene.world.policy(step.policy)
    if policy is None or not scene.world.has_voters(step.policy):
        scene.give_up("nobody_eligible")
        return
    proposal = scene.evaluate(step.proposal) if step.proposal else None
    if isinstance(proposal, Failed):
        expression_failed(scene, proposal)
        return
    scene.asked_authority = True
    digest = canonical.digest_of({"step": step.common.id, "proposal": proposal})
    facts = {
        "capability": "",
        "parameters": proposal if isinstance(proposal, dict) else {},
        "record": {},
        "requester": dict(scene.world.requester(scene.run.requester)),
        "risk": step.risk,
    }
    place = {"step": step.common.id, "visit": scene.state.visit, "policy": policy.name, "policy_digest": policy.digest,
             "digest": digest}  # fmt: skip
    if passes_fast(policy, facts) is True:
        scene.emit("gate.passed_fast", place, outcome="fast_path")
        scene.emit(
            "gate.settled",
            {
                "step": step.common.id,
                "request": "",
                "about": "step",
                "outcome": "approved",
                "digest": digest,
                "next": scene.next_of(step),
            },
            outcome="approved",
        )
        return
    request = scene.derived_id("gate", scene.seq + len(scene.drafts))
    shown = evidence_of(scene)
    evidence: dict[str, Json] = {"proposal": proposal, "record": None, "evidence": shown}
    scene.emit("gate.opened", {**place, "request": str(request)}, outcome="gate_opened")
    agent = scene.agent_of(step.source) if step.source else None
    scene.openings.append(
        Opening(
            id=request,
            question="step",
            subject=f"{scene.run.id}/{step.common.id}/{scene.state.visit}/{request}",
            policy=policy.name,
            digest=request_digest(digest, policy.digest, shown),
            risk=step.risk,
            capability="",
            agent=agent.name if agent else "",
            makers=makers.of_gate(scene.run.release.definition, step),
            evidence={name: canonical.dump(value) for name, value in evidence.items()},
            places=tuple(item["place"] for item in shown),
        )
    )


def review(scene: Scene, step: ReviewStep) -> None:
    scene.review("review", step.queue, step.output)


def settle_gate(scene: Scene, message: Message) -> None:
    """The request was settled: go on, or give up with the outcome as the code."""
    step = scene.step
    cause = f"inbox:{message.ordinal}"
    about = "step" if isinstance(step, GateStep) else "effect"
    scene.consumed.append(message.ordinal)
    if message.output and message.outcome == "approved":
        _take_edit(scene, step, message)
    scene.emit(
        "gate.settled",
        {
            "step": step.common.id,
            "request": message.ref,
            "about": about,
            "outcome": message.outcome,
            "digest": message.digest,
            "next": scene.next_of(step) if about == "step" and message.outcome == "approved" else "",
        },
        actor=message.actor,
        cause=f"request:{message.ref}",
        outcome=message.outcome,
    )
    match message.outcome:
        case "approved":
            pass
        case "changes_requested" if source := _source_of(scene, step):
            _send_back(scene, source, message)
        case "expired":
            scene.give_up("expired", queue=message.case, cause=cause)
        case _:
            scene.give_up("rejected", cause=cause)


def _take_edit(scene: Scene, step: Step, message: Message) -> None:
    """What a person wrote in the agent's place, and others approved, is what stands from now on."""
    source = _source_of(scene, step)
    scene.values[source] = message.value
    scene.is_erased = scene.is_erased or message.value is None
    scene.emit(
        "step.edited",
        {"step": step.common.id, "visit": scene.state.visit, "source": source, "output": message.output,
         "request": message.ref},
        cause=f"request:{message.ref}",
        outcome="edited",
    )  # fmt: skip


def _source_of(scene: Scene, step: Step) -> str:
    """The agent step whose work was judged; "" if no agent made it."""
    source = step.source if isinstance(step, GateStep | ActStep) else ""
    return source if source and scene.agent_of(source) else ""


def _send_back(scene: Scene, source: str, message: Message) -> None:
    """The agent does it again, and is told what people want otherwise; `max_visits` bounds how often."""
    step, visit = scene.state.step, scene.state.visits.get(source, 0) + 1
    asked: dict[str, Json] = {"changes_requested": message.reason, "visit": visit}
    scene.emit(
        "step.sent_back",
        {"step": step, "visit": scene.state.visit, "next": source, "request": message.ref},
        actor=message.actor,
        payloads={"output": asked},
        cause=f"request:{message.ref}",
        outcome="changes_requested",
    )
    scene.values[step] = asked


def settle_review(scene: Scene, message: Message) -> None:
    """A person completed the item, sent it back for a retry, said what became of an effect, or cancelled the run."""
    step = scene.step
    scene.consumed.append(message.ordinal)
    next_step = ""
    if message.outcome == "completed":
        next_step = scene.next_of(step)
        if isinstance(step, RouteStep) and message.case:
            target = step.cases.get(message.case)
            next_step = target if isinstance(target, str) else next_step
        if message.output:
            scene.values[step.common.id] = message.value
    scene.emit(
        "review.settled",
        {
            "step": step.common.id,
            "item": message.ref,
            "outcome": message.outcome,
            "output": message.output,
            "case": message.case,
            "next": next_step,
        },
        actor=message.actor,
        cause=f"review:{message.ref}",
        outcome=message.outcome,
    )
    match message.outcome:
        case "happened":
            undo.state_it(scene, message)
        case "left" | "cancelled" if scene.state.ending:  # it is ending already: the effect stands, the others are undone
            undo.leave_it(scene, message)
        case "cancelled":
            undo.cancel(scene, message, is_known=True)


def cancel(scene: Scene, message: Message) -> None:
    scene.consumed.append(message.ordinal)
    undo.cancel(scene, message)


def retry(scene: Scene, message: Message) -> None:
    """Begin the step again: now instead of later, out of a review queue, or after the run had failed."""
    scene.consumed.append(message.ordinal)
    scene.closes_waits = scene.closes_waits or scene.state.phase == "reviewing"
    scene.emit(
        "run.retried",
        {"step": scene.state.step},
        actor=message.actor,
        payloads={"reason": {"reason": message.reason}},
        cause=f"inbox:{message.ordinal}",
        outcome="retried",
    )


def ignore(scene: Scene, message: Message) -> None:
    scene.consumed.append(message.ordinal)
    scene.emit(
        "inbox.ignored",
        {"kind": message.kind, "ref": message.ref},
        actor=message.actor,
        payloads={"reason": {"reason": message.reason}} if message.reason else {},
        cause=f"inbox:{message.ordinal}",
        outcome="ignored",
    )
