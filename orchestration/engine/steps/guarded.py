"""Before an intent: ask the guards; after an answer: tell them. The only place where steps meet halts, breakers and limits."""

from __future__ import annotations

from typing import assert_never

from aegis.core import clock_text
from orchestration.agents.protocol import CallFailed
from orchestration.authority.limits import DEFAULT_BREAKER, NO_LIMITS, BreakerSettings, Limits
from orchestration.engine.guards.asking import COUNTED, Answered, Asking, SlotFreed, agent_key, capability_key
from orchestration.engine.moves import EffectAnswered, Message, Replied
from orchestration.engine.scene import Scene
from orchestration.workflows.definition import AgentVersion


def is_held(scene: Scene, agent: AgentVersion, *, capability: str = "", is_local: bool = False, seconds: float) -> bool:
    """Ask whether an intent may be now. If not, the run becomes held and the step must go no further.

    Call it right before every intent: an agent call, a remote effect, a local one, what undoes one.

    Args:
        capability: of the effect; "" for a call of `agent` itself.
        seconds: how long the answer may take.
    """
    state = scene.state
    asking = Asking(
        run_id=scene.run.id,
        workflows=scene.run.workflows,
        step=state.step,
        agent=agent.name,
        agent_id=agent.id,
        capability=capability,
        is_local=is_local,
        is_retry=state.attempt > state.losses,
        waited_for=scene.waited_for,
        call_seconds=seconds,
    )
    scene.asked_authority = True  # a halt raises the epoch: neither an intent nor a hold is committed across one
    hold = scene.world.hold(asking)
    if hold is None:
        scene.takes += scene.world.takes(asking)
        return False
    scene.emit(
        "step.held",
        {
            "step": state.step,
            "visit": state.visit,
            "code": hold.code,
            "by": hold.by,
            "until": clock_text.render(hold.until) if hold.until else "",
        },
        agent=agent,
        capability=capability,
        outcome="held",
    )
    return True


def answered(scene: Scene, answer: Replied | EffectAnswered, *, told_at: int) -> None:
    """Tell the breaker how a call, or a remote effect, came back.

    A success costs nothing while the breaker is closed without failures, which is nearly always. Codes that speak against what
    was asked, not against whoever was asked (refused, rate limited), count as an answer: it is there.

    Args:
        told_at: index of the draft that records the answer.
    """
    told = scene.drafts[told_at]
    agent = scene.run.release.agents.get(told.agent)
    is_call = isinstance(answer, Replied)
    if agent is None or not (is_call or told.capability):
        return
    capability = "" if is_call else told.capability
    key = capability_key(capability) if capability else agent_key(agent.name)
    settings, limits = _declared(scene, agent, capability)
    code = _failure(answer, told.type)
    if code or scene.world.is_stirred(key):
        place = f"{scene.run.stream}/{scene.seq + told_at + 1}"
        scene.marks.append(Answered(key, "" if capability else agent.id, place, settings, code))
    if limits.concurrency:
        scene.marks.append(SlotFreed(key))


def resume(scene: Scene, message: Message | None) -> None:
    """The run looks again: woken in its turn, or because its time came."""
    state = scene.state
    data = {"step": state.step, "visit": state.visit, "code": state.hold, "by": state.held_by}
    if message is None:
        scene.emit("step.resumed", data, outcome="resumed")
        return
    scene.consumed.append(message.ordinal)
    scene.emit("step.resumed", data, actor=message.actor, cause=f"inbox:{message.ordinal}", outcome="resumed")


def _failure(answer: Replied | EffectAnswered, told: str) -> str:
    """The code of a failure that counts; "" for anything else."""
    match answer:
        case EffectAnswered(error=error):
            code = error
        case Replied(reply=CallFailed(code=failed)):
            code = failed
        case Replied():
            code = "contract" if told == "contract.violated" else ""
        case _:
            assert_never(answer)
    return code if code in COUNTED else ""


def _declared(scene: Scene, agent: AgentVersion, capability: str) -> tuple[BreakerSettings, Limits]:
    """As they are now: limits and breakers are live, whatever version of the agent the run is pinned to."""
    matrix = scene.world.matrix()
    entry = matrix.capabilities.get(capability) if capability else matrix.agents.get(agent.id)
    return (entry.breaker, entry.limits) if entry else (DEFAULT_BREAKER, NO_LIMITS)
