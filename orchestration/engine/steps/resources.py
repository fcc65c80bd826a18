"""The resource that a workflow claims: taken before a run acts, so that no two runs act on one at once. Pure.

Who holds it is a row with a unique key, written by the commit that says so. A run that does not get it queues, and is granted
the resource, first by tier, then by time, by whoever finds it free (`orchestration.engine.resources.rows`).
"""

from __future__ import annotations

from aegis.core.expressions import Failed
from orchestration.engine.intended import Queueing
from orchestration.engine.moves import Message
from orchestration.engine.scene import Scene
from orchestration.engine.steps import clocks
from orchestration.engine.steps.agent import expression_failed

MAX_KEY_CHARS = 200

#: Phases in which a run that holds its resource `while_running` lets go.
AT_REST = ("deciding", "reviewing", "sleeping", "listening")


def is_mine(scene: Scene) -> bool:
    """May the run act? If its workflow claims a resource and it is not the run's, the run now queues and must go no further.

    A resource that a run above holds would never be free: that one waits for this one. The step gives up at once.
    """
    claim = scene.run.release.definition.resource
    if claim is None or scene.state.holds:
        return True
    key = scene.evaluate(claim.key)
    if isinstance(key, Failed):
        expression_failed(scene, key)
        return False
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_CHARS:
        expression_failed(scene, Failed(f"resource: its key must be text of 1 to {MAX_KEY_CHARS} characters"))
        return False
    where = {"step": scene.state.step, "visit": scene.state.visit}
    holder = scene.world.holder(key, scene.run.id)
    if not holder:
        scene.emit("resource.claimed", where, payloads={"key": {"key": key}}, outcome="done")
        scene.claims = key
        return True
    if scene.run.is_child and scene.world.is_above(holder, scene.run.id):
        data = {**where, "code": "resource_circle", "holder": holder}
        scene.emit("resource.refused", data, payloads={"key": {"key": key}}, outcome="rejected")
        scene.give_up("resource_circle")
        return False
    wait = scene.derived_id("resource", scene.seq + len(scene.drafts))
    due = scene.world.now + claim.wait if claim.wait else None
    scene.emit(
        "resource.waited",
        {**where, "wait": str(wait), **clocks.written(scene, due)},
        payloads={"key": {"key": key}},
        outcome="waiting",
    )
    scene.queueing = Queueing(wait, key)
    return False


def grant(scene: Scene, message: Message) -> None:
    """It was the run's turn: the row names it already."""
    scene.consumed.append(message.ordinal)
    scene.emit(
        "resource.claimed",
        {"step": scene.state.step, "visit": scene.state.visit},
        cause=f"inbox:{message.ordinal}",
        outcome="done",
    )


def let_go(scene: Scene) -> None:
    """A run that holds its resource only while it runs lets go when it waits for people, a time or a message."""
    claim = scene.run.release.definition.resource
    if claim is None or claim.hold == "until_end" or not scene.state.holds or scene.state.phase not in AT_REST:
        return
    scene.emit("resource.released", {"step": scene.state.step, "visit": scene.state.visit}, outcome="released")
