"""`wait` steps: for a time, or for a message. Pure."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from aegis.core import clock_text
from aegis.core.canonical import Json
from aegis.core.expressions import Failed
from orchestration.engine.intended import Listening
from orchestration.engine.moves import Message
from orchestration.engine.scene import Scene
from orchestration.engine.steps import clocks
from orchestration.engine.steps.agent import expression_failed
from orchestration.workflows.definition import WaitStep

MAX_KEY_CHARS = 200


def begin(scene: Scene, step: WaitStep) -> None:
    """Say what is waited for; a moment that has passed ends the wait in the same turn."""
    if step.message:
        _listen(scene, step)
        return
    until = scene.world.now + step.lasting if step.lasting else _moment(scene, step)
    if isinstance(until, Failed):
        expression_failed(scene, until)
        return
    scene.emit("wait.began", _about(scene, until=clock_text.render(until)), outcome="waiting")


def wake(scene: Scene) -> None:
    """The time has come."""
    step = scene.step
    scene.emit("wait.ended", {"step": step.common.id, "visit": scene.state.visit, "next": scene.next_of(step)}, outcome="done")


def receive(scene: Scene, message: Message) -> None:
    """A message that keeps its contract ends the wait. One that does not stops here as a dead letter, and the wait goes on."""
    step = scene.step
    assert isinstance(step, WaitStep)
    scene.consumed.append(message.ordinal)
    faults = scene.run.release.contracts[step.output].faults(message.value)
    if faults:
        scene.emit(
            "contract.violated",
            {"step": step.common.id, "visit": scene.state.visit, "attempt": 0, "contract": step.output, "faults": len(faults)},
            actor=message.actor,
            payloads={
                "message": message.value,
                "faults": [{"pointer": fault.where, "fault": fault.what} for fault in faults],
            },
            cause=f"message:{message.outcome}",
            outcome="dead_letter",
        )
        key = _key(scene, step)
        assert not isinstance(key, Failed), "it had a value when the wait began, and neither input nor outputs have changed"
        scene.listening = Listening(UUID(scene.state.awaits), step.message, key)
        return
    scene.values[step.common.id] = message.value
    scene.emit(
        "message.received",
        {
            "step": step.common.id,
            "visit": scene.state.visit,
            "message": step.message,
            "output": message.output,
            "contract": step.output,
            "next": scene.next_of(step),
        },
        actor=message.actor,
        cause=f"message:{message.outcome}",
        outcome="done",
    )


def _listen(scene: Scene, step: WaitStep) -> None:
    key = _key(scene, step)
    if isinstance(key, Failed):
        expression_failed(scene, key)
        return
    wait = scene.derived_id("wait", scene.seq + len(scene.drafts))
    due = scene.world.now + step.within if step.within else None
    about = _about(scene, message=step.message, wait=str(wait)) | clocks.written(scene, due)
    scene.emit("wait.began", about, payloads={"key": {"key": key}}, outcome="waiting")
    scene.listening = Listening(wait, step.message, key)


def _about(scene: Scene, *, until: str = "", message: str = "", wait: str = "") -> dict[str, Json]:
    state = scene.state
    return {"step": state.step, "visit": state.visit, "until": until, "message": message, "wait": wait, "due": "", "since": ""}


def _moment(scene: Scene, step: WaitStep) -> datetime | Failed:
    value = scene.evaluate(step.until)
    if isinstance(value, Failed):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return Failed(f"until: {value!r} is no moment as RFC 3339 writes it, such as 2026-11-23T08:00:00Z"[:300])
    return moment


def _key(scene: Scene, step: WaitStep) -> str | Failed:
    value = scene.evaluate(step.key)
    if isinstance(value, Failed):
        return value
    if not isinstance(value, str) or not 0 < len(value) <= MAX_KEY_CHARS:
        return Failed(f"key: must be text of 1 to {MAX_KEY_CHARS} characters")
    return value
