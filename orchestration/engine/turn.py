"""One turn of one run: plan, enact, fold, until it rests or a call must wait for its commit. Pure over a `World`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from orchestration.engine import moves
from orchestration.engine.moves import News
from orchestration.engine.planner import next_move
from orchestration.engine.scene import REFUSALS, Scene
from orchestration.engine.steps import (
    act,
    agent,
    blocks,
    clocks,
    effect,
    guarded,
    people,
    plain,
    resources,
    rollback,
    stopping,
    undo,
    waiting,
)
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    FinishStep,
    GateStep,
    MapStep,
    ParallelStep,
    ReviewStep,
    RouteStep,
    RunStep,
    SetStep,
    Step,
    WaitStep,
)

MAX_MOVES = 200  # in one turn; more is a loop that should have been linted away


class Runaway(Exception):
    """A definition that never rests."""


def take(scene: Scene, news: Sequence[News]) -> datetime | None:
    """Advance the scene as far as it goes.

    Returns:
        When the run is due by itself (a retry; at once, where what it does next rests on what this turn commits), or None.

    Raises:
        Runaway: more than `MAX_MOVES` moves without rest.
    """
    for _ in range(MAX_MOVES):
        if scene.call is not None and not news:
            stopping.orphans(scene)
            return None  # the intent must be committed before the call; nothing may be planned past it
        move, news = next_move(scene.state, news, scene.world.now)
        is_halted = isinstance(move, moves.Expire) and clocks.stands(scene)
        if is_halted or isinstance(move, moves.Rest):
            resources.let_go(scene)
            stopping.orphans(scene)
            return move.until if isinstance(move, moves.Rest) else scene.world.now + clocks.HALTED_LOOK
        if isinstance(move, moves.Undo) and undo.must_be_committed(scene):
            stopping.orphans(scene)
            return scene.world.now
        _enact(scene, move)
    raise Runaway(f"more than {MAX_MOVES} moves in one turn at step {scene.state.step!r}")


def _enact(scene: Scene, move: moves.Move) -> None:
    match move:
        case moves.Begin():
            _begin(scene)
        case moves.Absorb(answer=answer):
            _absorb(scene, answer)
        case moves.Lose():
            _lose(scene)
        case moves.SettleGate(message=message):
            (rollback if scene.state.rollback else people).settle_gate(scene, message)
        case moves.SettleReview(message=message):
            people.settle_review(scene, message)
        case moves.Cancel(message=message):
            scene.call = None
            people.cancel(scene, message)
        case moves.Retry(message=message):
            people.retry(scene, message)
        case moves.Resume(message=message):
            guarded.resume(scene, message)
        case moves.Wake():
            waiting.wake(scene)
        case moves.Receive(message=message):
            waiting.receive(scene, message)
        case moves.Grant(message=message):
            resources.grant(scene, message)
        case moves.Expire(clock=clock):
            clocks.expire(scene, clock)
        case moves.Rollback(message=message):
            rollback.ask(scene, message)
        case moves.ForkMore():
            blocks.fork_more(scene)
        case moves.Join(message=message):
            blocks.join(scene, message)
        case moves.StopChildren():
            stopping.stop(scene)
        case moves.Gather():
            blocks.gather(scene)
        case moves.Recall(message=message):
            blocks.recalled(scene, message)
        case moves.Ignore(message=message):
            people.ignore(scene, message)
        case moves.Complete():
            if not _lacks_payload(scene):
                plain.finish(scene, None)
        case moves.Stop():
            undo.stop(scene)
        case moves.Undo():
            if scene.state.effects[-1].is_child:
                blocks.recall(scene)
            elif resources.is_mine(scene):
                undo.begin(scene)
        case moves.Conclude():
            undo.conclude(scene)
        case moves.Rest():
            raise AssertionError("rest is not enacted")
        case _:
            assert_never(move)


def _absorb(scene: Scene, answer: moves.Replied | moves.EffectAnswered) -> None:
    before = len(scene.drafts)
    match (scene.step, answer):
        case (AgentStep() as step, moves.Replied() as replied):
            agent.absorb(scene, step, replied)
        case (ActStep() as step, moves.EffectAnswered() as answered):
            effect.absorb(scene, step, answered)
        case _:
            raise AssertionError("the planner matches answers with the phase of the step")
    guarded.answered(scene, answer, told_at=before)


def _lacks_payload(scene: Scene) -> bool:
    """Is a payload gone that the step may read? Then a person learns of it: an expression would see nothing there.

    A run that is ending begins no step: what it undoes it looks up by itself, and asks a person if that is gone.
    """
    if scene.is_erased:
        scene.review("payload_erased", scene.run.release.definition.fallback_queue)
    return scene.is_erased


def _begin(scene: Scene) -> None:
    step = scene.step
    if _lacks_payload(scene):
        return
    if scene.state.visit > step.common.max_visits:
        scene.give_up("max_visits")
        return
    if not resources.is_mine(scene):
        return
    clocks.start(scene, step)
    if not _is_on_record(scene, step):
        scene.give_up("requires")
        return
    match step:
        case AgentStep():
            agent.begin(scene, step)
        case ActStep():
            act.begin(scene, step)
        case RouteStep():
            plain.route(scene, step)
        case GateStep():
            people.gate(scene, step)
        case ReviewStep():
            people.review(scene, step)
        case SetStep():
            plain.set_values(scene, step)
        case WaitStep():
            waiting.begin(scene, step)
        case FinishStep():
            plain.finish(scene, step)
        case ParallelStep() | MapStep() | RunStep():
            blocks.begin(scene, step)
        case _:
            assert_never(step)


def _is_on_record(scene: Scene, step: Step) -> bool:
    """Is everything on record that the step requires? The stream has one writer, this one, so what is read stays true until
    the commit; what this turn has added counts with it."""
    if any(needed not in scene.state.outputs for needed in step.common.required_steps):
        return False
    types = step.common.required_events
    missing = set(types) - {draft.type for draft in scene.drafts if draft.outcome not in REFUSALS}
    return not missing or missing <= scene.world.recorded(scene.run.stream, missing)


def _lose(scene: Scene) -> None:
    """A worker died with a call in flight; the claim that found it decides what may be repeated."""
    step = scene.step
    state = scene.state
    if isinstance(step, ActStep):
        effect.lose(scene)
        return
    scene.emit(
        "step.lost",
        {"step": state.step, "visit": state.visit, "attempt": state.attempt, "losses": state.losses + 1},
        outcome="lost",
    )
