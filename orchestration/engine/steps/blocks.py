"""Blocks: `parallel`, `map` and `run` fork child runs, wait for all of them, and make one output of theirs. Pure.

A block is left only when its last child has ended, whatever became of it: a run never ends before its children, so what they
did is known when it goes on, is cancelled or gives up. Ids of children follow from the run, the step, the visit, the ordinal
and the try: forking twice is forking once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final, assert_never

from aegis.core import canonical, clock_text
from aegis.core.actors import SYSTEM
from aegis.core.canonical import Json
from aegis.core.expressions import Failed, compile_value
from audit.drafts import Draft
from orchestration.engine.children.wants import Child, Tell
from orchestration.engine.moves import Message
from orchestration.engine.scene import NAMESPACE, Scene, recordable
from orchestration.engine.state import Fork
from orchestration.engine.steps import clocks
from orchestration.engine.steps.agent import expression_failed
from orchestration.workflows import parts
from orchestration.workflows.definition import Block, MapStep, ParallelStep, RunStep
from orchestration.workflows.release import Release

#: Why children were told to end, where that is not what the block gives up with.
_DECIDED: Final = ("", "enough", "lost", "cancelled")
MAX_BUSINESS_KEY_CHARS: Final = 200


def begin(scene: Scene, step: Block) -> None:
    """Fork the first children; or, where the block gave up and somebody tries it again, those that were not well."""
    if scene.state.fork is not None:
        _fork(scene, step, scene.state.fork, is_afresh=True)
        return
    match step:
        case ParallelStep(branches=branches, at_least=need):
            _fork(scene, step, Fork(of=len(branches), need=need, at_once=len(branches)))
        case MapStep():
            items = _items(scene, step)
            if isinstance(items, Failed):
                expression_failed(scene, items)
                return
            need = 0 if step.collects else len(items)
            _fork(scene, step, Fork(len(items), need, step.at_once, collects=step.collects), items=items)
        case RunStep():
            _fork(scene, step, Fork(of=1, need=1, at_once=1))
        case _:
            assert_never(step)


def fork_more(scene: Scene) -> None:
    """A child has ended and there is room for the next."""
    fork = scene.state.fork
    assert fork is not None
    _fork(scene, _block(scene), fork)


def join(scene: Scene, message: Message) -> None:
    """Count a child that ended; or note that one has undone what it did."""
    scene.consumed.append(message.ordinal)
    state, cause = scene.state, f"inbox:{message.ordinal}"
    where = {"step": state.step, "visit": state.visit, "child": message.ref}
    if state.phase == "recalling":
        scene.emit("child.undone", {**where, "left": message.left}, cause=cause, outcome="done")
        return
    assert state.fork is not None
    ordinal = next(ordinal for ordinal, child in state.fork.open.items() if child == message.ref)
    is_well = message.outcome == "completed"
    told = {
        **where,
        "ordinal": ordinal,
        "outcome": message.outcome,
        "code": message.case,
        "output": message.output,
        "effects": message.effects,
        "is_retryable": message.digest == "retryable",
        "part": parts.name_of(_block(scene), int(ordinal)),
    }
    if message.value is not None:
        scene.parts[message.output] = message.value
    scene.emit("child.ended", told, cause=cause, outcome="done" if is_well else message.outcome)


def gather(scene: Scene) -> None:
    """The last child has ended: go on with what they made, or give up."""
    state, step, fork = scene.state, _block(scene), scene.state.fork
    assert fork is not None
    if fork.stopping not in _DECIDED:
        clocks.give_up(scene, fork.stopping)
        return
    if not fork.is_enough:
        scene.give_up("branch_failed")
        return
    if any(place and place not in scene.parts for place in fork.done.values()):
        scene.hand_over("payload_erased")
        return
    output = recordable(_output(scene, step, fork))
    if isinstance(output, Failed):
        expression_failed(scene, output)
        return
    # The output of another workflow's run stands where that run wrote it: no payload is copied.
    place = fork.done["0"] if isinstance(step, RunStep) else ""
    scene.values[step.common.id] = output
    scene.emit(
        "step.joined",
        {
            "step": state.step,
            "visit": state.visit,
            "next": scene.next_of(step),
            "well": len(fork.done),
            "failed": len(fork.failed),
            "output": place,
        },
        payloads={} if place else {"output": output},
        outcome="done",
    )


def recall(scene: Scene) -> None:
    """The newest effects that still stand are those of a child: it undoes them itself, by its own definition."""
    done = scene.state.effects[-1]
    place = {"step": scene.state.step, "visit": scene.state.visit, "child": done.key}
    scene.emit("child.recalled", place, outcome="compensating")
    scene.tells.append(Tell(uuid.UUID(done.key), "recall"))


def recalled(scene: Scene, message: Message) -> None:
    """As the child: undo what was done here, newest first, although the run had ended."""
    scene.consumed.append(message.ordinal)
    state = scene.state
    scene.emit(
        "run.compensating",
        {
            "step": state.step,
            "visit": state.visit,
            "code": state.outcome if state.ended == "failed" else "recalled",
            "ended": "failed" if state.ended == "failed" else "rolled_back",
            "effects": len(state.undoable),
            "by": "",
        },
        cause=f"inbox:{message.ordinal}",
        outcome="compensating",
    )


def _block(scene: Scene) -> Block:
    step = scene.step
    assert isinstance(step, ParallelStep | MapStep | RunStep), "only blocks fork"
    return step


def _items(scene: Scene, step: MapStep) -> list[Json] | Failed:
    items = scene.evaluate(step.items)
    if isinstance(items, Failed):
        return items
    if not isinstance(items, list):
        return Failed("map: what it walks is no list here")
    if len(items) > step.max_items:
        return Failed(f"map: {len(items)} items; at most {step.max_items}")
    return items


def _fork(scene: Scene, step: Block, fork: Fork, *, items: list[Json] | None = None, is_afresh: bool = False) -> None:
    """Begin as many children as there is room for; on record before they exist, and in one commit with them."""
    state = scene.state
    tries = fork.tries + is_afresh
    planned = _planned(fork) if is_afresh else fork
    begun: dict[str, str] = {}
    for ordinal in planned.next_ordinals():
        begun[ordinal] = fork.again.get(ordinal) or str(_child_id(scene, ordinal, tries))
    fresh = [ordinal for ordinal in begun if ordinal not in fork.again]
    made = _children(scene, step, {ordinal: begun[ordinal] for ordinal in fresh}, items)
    if made is None:
        return
    scene.emit(
        "step.forked",
        {
            "step": state.step,
            "visit": state.visit,
            "of": fork.of,
            "need": fork.need,
            "at_once": fork.at_once,
            "collects": fork.collects,
            "has_items": items is not None,
            "is_afresh": is_afresh,
            "begun": begun,
        },
        payloads={"items": items} if items is not None else {},
        outcome="started",
    )
    scene.children += made
    scene.tells += [Tell(uuid.UUID(begun[ordinal]), "retry") for ordinal in begun if ordinal in fork.again]


def _planned(fork: Fork) -> Fork:
    """The fork as a new try finds it: nothing has failed yet."""
    return Fork(fork.of, fork.need, fork.at_once, fork.collects, open=fork.open, done=fork.done)


def _child_id(scene: Scene, ordinal: str, tries: int) -> uuid.UUID:
    state = scene.state
    return uuid.uuid5(NAMESPACE, f"{scene.run.id}/{state.step}/{state.visit}/child/{ordinal}/{tries}")


def _children(scene: Scene, step: Block, begun: Mapping[str, str], items: list[Json] | None) -> list[Child] | None:
    """The runs to be forked; None if the step has given up, because what they would get cannot be."""
    state, release = scene.state, scene.run.release
    if isinstance(step, RunStep):
        if not begun:
            return []  # it is tried again where it failed
        return [child for ordinal, child_id in begun.items() if (child := _run(scene, step, ordinal, child_id))] or None
    # The event that carries the items is the one about to be emitted, or the one the fork remembers.
    own = f"{scene.run.stream}/{scene.seq + len(scene.drafts) + 1}"
    listed = own if items is not None else state.fork.items if state.fork and isinstance(step, MapStep) else state.items
    branches = list(step.branches) if isinstance(step, ParallelStep) else []
    bodies = dict(release.definition.inside(step))
    made = []
    for ordinal, child_id in begun.items():
        body = bodies[branches[int(ordinal)] if branches else ""]
        about: dict[str, Json] = {
            "path": body.path,
            "input": state.input or f"{scene.run.stream}/1",
            "items": listed,
            "index": int(ordinal) if isinstance(step, MapStep) else state.index,
            "outputs": dict(state.outputs),
            "cases": dict(state.cases),
            "next": body.steps[0].common.id,
        }
        made.append(_child(scene, release, ordinal, child_id, about))
    return made


def _run(scene: Scene, step: RunStep, ordinal: str, child_id: str) -> Child | None:
    """A run of another workflow gets an input of its own, held to that workflow's contract."""
    release = scene.run.release.workflows[step.workflow]
    definition = release.definition
    scene.asked_authority = True  # retiring a version raises the epoch, like every change of configuration
    if scene.world.is_retired(release.workflow_id, release.version):
        told = {"step": scene.state.step, "visit": scene.state.visit, "workflow": release.workflow, "version": release.version}
        scene.emit("child.refused", {**told, "code": "version_retired"}, outcome="rejected")
        scene.give_up("version_retired")
        return None
    payload = scene.evaluate_all(step.input) if step.input else scene.input
    if isinstance(payload, Failed):
        expression_failed(scene, payload)
        return None
    key = compile_value(definition.business_key, definition.variables).value({"input": payload, "steps": {}})
    if faults := release.contracts[definition.input].faults(payload):
        scene.emit(
            "contract.violated",
            {"step": scene.state.step, "visit": scene.state.visit, "attempt": scene.state.attempt,
             "contract": definition.input, "faults": len(faults)},
            payloads={"message": payload, "faults": [{"pointer": fault.where, "fault": fault.what} for fault in faults]},
            outcome="dead_letter",
        )  # fmt: skip
        scene.give_up("contract")
        return None
    if isinstance(key, Failed) or not isinstance(key, str | int) or not str(key)[:1]:
        expression_failed(scene, Failed(f"run: the business key of {step.workflow} has no value in this input"))
        return None
    about: dict[str, Json] = {
        "path": "", "input": "", "items": "", "index": 0, "outputs": {}, "cases": {}, "next": definition.steps[0].common.id,
    }  # fmt: skip
    if definition.deadline:
        now = scene.world.now
        about |= {"at": clock_text.render(now), "deadline": clock_text.render(now + definition.deadline)}
    body = canonical.dump(payload)
    made = _child(scene, release, ordinal, child_id, about, body)
    return Child(
        made.id, made.step, made.visit, made.ordinal, release, made.first,
        input_digest=canonical.digest(body), business_key=str(key)[:MAX_BUSINESS_KEY_CHARS],
    )  # fmt: skip


def _child(
    scene: Scene, release: Release, ordinal: str, child_id: str, about: Mapping[str, Json], payload: bytes | None = None
) -> Child:
    state = scene.state
    data = {
        "workflow": release.workflow,
        "version": release.version,
        "parent": str(scene.run.id),
        "parent_step": state.step,
        "parent_visit": state.visit,
        "ordinal": int(ordinal),
        "part": parts.name_of(_block(scene), int(ordinal)),
        **about,
    }
    first = Draft(
        "run.forked",
        SYSTEM,
        data=data,
        payloads={"input": payload} if payload is not None else {},
        on_behalf=scene.run.requester,
        cause=f"{scene.run.stream}/{scene.seq + len(scene.drafts) + 1}",
        outcome="accepted",
    )
    return Child(uuid.UUID(child_id), state.step, state.visit, int(ordinal), release, first)


def _output(scene: Scene, step: Block, fork: Fork) -> Json:
    def part(ordinal: str) -> Json:
        place = fork.done[ordinal]
        return scene.parts[place] if place else {}

    match step:
        case ParallelStep():
            names = list(step.branches)
            return {names[int(ordinal)]: part(ordinal) for ordinal in sorted(fork.done, key=int)}
        case MapStep():
            failures = [{"index": int(ordinal), "code": fork.failed[ordinal]} for ordinal in sorted(fork.failed, key=int)]
            every = (str(index) for index in range(fork.of))
            return {"items": [part(index) if index in fork.done else None for index in every], "failures": failures}
        case RunStep():
            return part("0")
        case _:
            assert_never(step)
