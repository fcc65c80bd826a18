"""Setting a run before people instead of giving it its turn: quarantine, a fault. Pure.

Its messages are read all the same. A commit raises `seen` over them, so one that is not consumed here would be lost; one that
is left unread would make the run runnable again at once, for another worker to be killed by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestration.engine.moves import Cancel, Join, Message, News, Recall
from orchestration.engine.planner import next_move
from orchestration.engine.scene import Scene
from orchestration.engine.steps import act, blocks, people, resources, stopping


def quarantine(scene: Scene, news: Sequence[News], *, claims: int) -> None:
    """It killed `claims` workers in a row before anything was committed. Of a run that has ended only the messages are read."""

    def put() -> None:
        scene.emit("run.quarantined", {"step": scene.state.step, "visit": scene.state.visit, "losses": claims})
        scene.review("quarantined", scene.run.release.definition.fallback_queue)

    _aside(scene, news, put)


def fault(scene: Scene, news: Sequence[News], detail: str) -> None:
    """Something broke that no rule foresaw.

    Args:
        detail: for people; fit to be kept (no NUL, bounded).
    """

    def put() -> None:
        scene.emit(
            "run.faulted",
            {"step": scene.state.step, "visit": scene.state.visit, "code": "fault"},
            payloads={"detail": {"detail": detail}},
            outcome="failed",
        )
        act.fault(scene)

    _aside(scene, news, put)


def _aside(scene: Scene, news: Sequence[News], put: Callable[[], None]) -> None:
    """A cancel ends the run instead, unless an effect is under way: then a person must learn of that first."""
    messages = sorted((item for item in news if isinstance(item, Message)), key=lambda message: message.ordinal)
    late = []
    for message in messages:
        move = next_move(scene.state, (message,), scene.world.now)[0]
        if isinstance(move, Join):  # a child ends once: nobody would tell again
            blocks.join(scene, message)
        elif isinstance(move, Recall):  # and its parent waits for the word that it is done
            blocks.recalled(scene, message)
        elif scene.state.phase != "acting" and isinstance(move, Cancel):
            people.cancel(scene, message)
        else:
            late.append(message)
    if not scene.state.is_ended:
        put()
    for message in late:
        people.ignore(scene, message)
    resources.let_go(scene)
    stopping.orphans(scene)
