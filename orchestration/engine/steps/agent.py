"""`agent` steps: the intent, and every way an answer can turn out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import assert_never

from aegis.core import clock_text
from aegis.core.actors import agent_actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import Failed
from orchestration.agents.protocol import Abstain, AgentRequest, CallFailed, Done
from orchestration.engine.intended import AgentCall
from orchestration.engine.moves import Replied
from orchestration.engine.planner import MAX_LOSSES
from orchestration.engine.scene import Scene
from orchestration.engine.steps import clocks, counted, guarded
from orchestration.workflows.definition import ActStep, AgentStep, AgentVersion, GateStep, Retry


def begin(scene: Scene, step: AgentStep) -> None:
    """Record the intent of a call; the driver makes it after the commit."""
    if scene.state.losses >= MAX_LOSSES:
        scene.emit("run.quarantined", {"step": step.common.id, "visit": scene.state.visit, "losses": scene.state.losses})
        scene.give_up("agent_error", contract=step.output)
        return
    agent = scene.run.release.agents[step.agent]
    entry = scene.world.matrix().agents.get(agent.id)
    if entry is None or not entry.is_enabled:
        scene.emit(
            "step.failed",
            {"step": step.common.id, "visit": scene.state.visit, "attempt": scene.state.attempt, "code": "agent_disabled",
             "retry_at": ""},
            payloads={"detail": {"detail": f"{agent.name} is disabled"}},
            agent=agent,
            outcome="failed",
        )  # fmt: skip
        scene.give_up("agent_error", contract=step.output)
        return
    message = scene.evaluate_all(step.input) if step.input else scene.evaluate_all({"input": "input", "steps": "steps"})
    if isinstance(message, Failed):
        expression_failed(scene, message)
        return
    if changes := _changes_requested(scene):
        message = {**message, "changes_requested": changes}
    if guarded.is_held(scene, agent, seconds=step.timeout.total_seconds()):
        return
    state = scene.state
    attempt = state.attempt + 1
    timeout = clocks.timeout(scene, step.timeout)
    scene.asked_authority = True
    scene.emit(
        "step.started",
        {
            "step": step.common.id,
            "visit": state.visit,
            "attempt": attempt,
            "timeout_ms": int(timeout / timedelta(milliseconds=1)),
        },
        payloads={"request": message},
        agent=agent,
        outcome="started",
    )
    scene.call = AgentCall(
        step=step.common.id,
        visit=state.visit,
        attempt=attempt,
        agent=agent,
        request=AgentRequest(
            run_id=str(scene.run.id),
            step=step.common.id,
            visit=state.visit,
            attempt=attempt,
            idempotency_key=f"{scene.run.id}/{step.common.id}/{state.visit}",
            input=message,
            settings=agent.settings,
        ),
        timeout=timeout,
    )


def absorb(scene: Scene, step: AgentStep, answer: Replied) -> None:
    """Record the outcome of a call, and what follows from it."""
    match answer.reply:
        case Done() as done:
            _done(scene, step, answer, done)
        case Abstain(reason=reason, usage=usage, model=model):
            counted.replied(scene, _agent(scene, step), usage, attempt=answer.attempt)
            about = {"about": {"usage": dict(usage), "model": model}} if usage or model else {}
            scene.emit(
                "step.abstained",
                {**_place(answer), **counted.as_data(usage)},
                actor=agent_actor(_agent(scene, step).id),
                payloads={"reason": {"reason": reason}, **about},
                agent=_agent(scene, step),
                outcome="abstained",
                duration_ms=answer.duration_ms,
            )
            scene.give_up("abstained", queue=step.abstain_queue, contract=step.output)
        case CallFailed(code=code, detail=detail, retry_after=retry_after):
            retry_at = next_attempt_at(scene, step.retry, answer.attempt, at_least=retry_after)
            if not retry_at and clocks.is_over(scene):  # it was cut short by a deadline: that is what it gives up with
                retry_at = clock_text.render(scene.world.now)
            scene.emit(
                "step.failed",
                {**_place(answer), "code": code, "retry_at": retry_at},
                payloads={"detail": {"detail": detail}},
                agent=_agent(scene, step),
                outcome="retrying" if retry_at else "failed",
                duration_ms=answer.duration_ms,
            )
            if not retry_at:
                scene.give_up(code if code in ("timeout", "contract") else "agent_error", contract=step.output)
        case _:
            assert_never(answer.reply)


def _changes_requested(scene: Scene) -> list[Json]:
    """What people want otherwise, each with the step that asked, if that is why this visit began."""
    found: list[Json] = []
    for name in sorted(scene.state.outputs):
        value = scene.values.get(name)
        if not isinstance(value, dict) or value.keys() != {"changes_requested", "visit"}:
            continue
        if value["visit"] == scene.state.visit and _is_from(scene, name):
            found.append({"step": name, "text": value["changes_requested"]})
    return found


def _is_from(scene: Scene, name: str) -> bool:
    """Does the gate or act step of this name judge the step at the cursor? No other step's output is taken for its words."""
    steps = scene.run.release.definition.steps  # outputs may be of a run around this one, whose steps are not here
    asked_by = next((step for step in steps if step.common.id == name), None)
    return isinstance(asked_by, GateStep | ActStep) and asked_by.source == scene.state.step


def _done(scene: Scene, step: AgentStep, answer: Replied, done: Done) -> None:
    agent = _agent(scene, step)
    faults = scene.run.release.contracts[step.output].faults(done.output)
    about = {
        "rationale": done.rationale,
        "confidence": done.confidence,
        "sources": list(done.sources),
        "usage": dict(done.usage),
        "model": done.model,
    }
    counted.replied(scene, agent, done.usage, attempt=answer.attempt)
    if faults:
        dead_letter(scene, step.output, done.output, faults, answer=answer, step=step, used=counted.as_data(done.usage))
        return
    if step.confidence_below and (done.confidence is None or done.confidence < step.confidence_below[0]):
        scene.emit(
            "step.unsure",
            {**_place(answer), **counted.as_data(done.usage)},
            actor=agent_actor(agent.id),
            payloads={"output": done.output, "about": about},
            agent=agent,
            outcome="unsure",
            duration_ms=answer.duration_ms,
        )
        scene.give_up("low_confidence", queue=step.confidence_below[1], contract=step.output)
        return
    scene.emit(
        "step.completed",
        {**_place(answer), "next": scene.next_of(step), "contract": step.output, **counted.as_data(done.usage)},
        actor=agent_actor(agent.id),
        payloads={"output": done.output, "about": about},
        agent=agent,
        outcome="done",
        duration_ms=answer.duration_ms,
    )
    scene.values[step.common.id] = done.output


def dead_letter(
    scene: Scene,
    contract: str,
    message: object,
    faults: list[Fault],
    *,
    answer: Replied,
    step: AgentStep,
    used: Mapping[str, Json],
) -> None:
    """A message that breaks its contract stops here; nothing downstream sees it (DESIGN promise 11)."""
    scene.emit(
        "contract.violated",
        {**_place(answer), "contract": contract, "faults": len(faults), **used},
        actor=agent_actor(_agent(scene, step).id),
        payloads={"message": message, "faults": [{"pointer": fault.where, "fault": fault.what} for fault in faults]},
        agent=_agent(scene, step),
        outcome="dead_letter",
        duration_ms=answer.duration_ms,
    )
    scene.give_up("contract", contract=contract)


def expression_failed(scene: Scene, failure: Failed) -> None:
    """A mapping gave no value: an error never widens and never guesses."""
    scene.emit(
        "expression.failed",
        {"step": scene.state.step, "visit": scene.state.visit},
        payloads={"detail": {"detail": failure.reason}},
        outcome="failed",
    )
    scene.give_up("expression")


def next_attempt_at(scene: Scene, retry: Retry, attempt: int, *, at_least: float = 0.0) -> str:
    """When the next attempt is due, as line text; "" when there is none.

    Args:
        at_least: seconds the other side asked us to wait, never beyond the step's own cap.
    """
    if attempt - scene.state.losses >= retry.attempts:
        return ""
    seconds = min(retry.backoff.total_seconds() * retry.factor ** (attempt - 1), retry.cap.total_seconds())
    if retry.jitter:
        seconds *= scene.world.roll()
    seconds = max(seconds, min(at_least, retry.cap.total_seconds()))
    return clock_text.render(scene.world.now + timedelta(seconds=seconds))


def _place(answer: Replied) -> dict[str, object]:
    return {"step": answer.step, "visit": answer.visit, "attempt": answer.attempt}


def _agent(scene: Scene, step: AgentStep) -> AgentVersion:
    return scene.run.release.agents[step.agent]
