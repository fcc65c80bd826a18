"""Limits of time: of a visit, of the run, of a wait. They end in giving up, never in going on (DESIGN promise 6). Pure.

A clock stands while a halt stands over the run. Nothing is written when a halt is placed or lifted: when a clock has passed,
the time that halts stood since it was set is added to it, on record, and only a clock that is past even so expires.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, assert_never

from aegis.core import clock_text
from orchestration.engine.moves import CLOCKS, Expiring
from orchestration.engine.scene import Scene
from orchestration.engine.state import Clock
from orchestration.engine.steps import stopping
from orchestration.engine.world_port import Stood
from orchestration.workflows.definition import ActStep, AgentStep, Step

HALTED_LOOK: Final = timedelta(seconds=30)  # until a run whose clock has passed looks again whether the halt still stands
MIN_TIMEOUT: Final = timedelta(seconds=1)


def start(scene: Scene, step: Step) -> None:
    """The clock of a visit starts with its first begin; attempts and an approval do not start it anew."""
    if step.common.deadline is None or scene.state.deadline is not None:
        return
    due = scene.world.now + step.common.deadline
    scene.emit("deadline.set", {"step": step.common.id, "visit": scene.state.visit, "code": "deadline", **written(scene, due)})


def written(scene: Scene, due: datetime | None) -> dict[str, str]:
    """Fields of an event that sets a clock; empty ones for none."""
    if due is None:
        return {"due": "", "since": ""}
    return {"due": clock_text.render(due), "since": clock_text.render(scene.world.now)}


def stands(scene: Scene) -> bool:
    """Does a halt stop the clocks of the run now?"""
    return _stood(scene, scene.world.now).is_standing


def expire(scene: Scene, which: Expiring) -> None:
    """A clock has passed: move it by the time that halts stood, or give up."""
    clock: Clock = getattr(scene.state, which)
    state, due = scene.state, clock_text.parse(clock.due)
    code = _code(scene, which)
    stood = _stood(scene, clock_text.parse(clock.since)).seconds
    if stood and due + timedelta(seconds=stood) > scene.world.now:
        moved = {"step": state.step, "visit": state.visit, "code": code, **written(scene, due + timedelta(seconds=stood))}
        scene.emit("deadline.moved", moved)
        return
    scene.is_by_time = True
    scene.closes_waits = scene.closes_waits or state.phase in ("deciding", "reviewing")
    scene.emit(
        "deadline.passed",
        {"step": state.step, "visit": state.visit, "code": code, "due": clock.due},
        outcome="expired",
    )
    if stopping.has_open(scene):  # also of a run that is before people meanwhile
        stopping.stop(scene, code)  # children first; the block gives up when the last has ended
        return
    give_up(scene, code)


def give_up(scene: Scene, code: str) -> None:
    """Give up with the code of a clock."""
    if code == "run_deadline":
        _give_up_run(scene)
    else:
        scene.give_up(code)


def timeout(scene: Scene, most: timedelta) -> timedelta:
    """How long an agent may take: its time-out, or what is left of the clocks."""
    dues = [clock_text.parse(clock.due) for name in CLOCKS if (clock := getattr(scene.state, name)) is not None]
    if not dues or scene.state.ending:
        return most
    return min(most, max(min(dues) - scene.world.now, MIN_TIMEOUT))


def is_over(scene: Scene) -> bool:
    """Has a clock passed while the call was under way? Then that is what it gives up with."""
    now = scene.world.now
    clocks = [getattr(scene.state, name) for name in CLOCKS]
    counts = not (scene.state.ending or scene.state.stopped_by)
    return counts and any(clock is not None and clock_text.parse(clock.due) <= now for clock in clocks)


def _give_up_run(scene: Scene) -> None:
    """As the workflow says for a run that took too long; without a word the fallback queue."""
    definition = scene.run.release.definition
    action = definition.on_deadline
    match action.action if action else "queue":
        case "fail":
            scene.emit("run.failed", {"step": scene.state.step, "code": "run_deadline"}, outcome="failed")
        case "compensate":
            scene.compensate("run_deadline")
        case "queue" | "step":  # the language has no step here
            scene.review("run_deadline", action.target if action and action.target else definition.fallback_queue)
        case other:
            assert_never(other)


def _code(scene: Scene, which: Expiring) -> str:
    if which != "limit":
        return which
    return "resource_wait" if scene.state.phase == "queueing" else "no_message"


def _stood(scene: Scene, since: datetime) -> Stood:
    step = scene.step if scene.state.step else None
    agent = None
    if isinstance(step, AgentStep | ActStep):
        agent = scene.agent_of(step.common.id if isinstance(step, AgentStep) else step.source)
    return scene.world.stood(scene.run.workflows, agent.id if agent else "", since)
