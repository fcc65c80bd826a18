"""fold(state, event) -> state: what each event of a run's stream means for its control state. Pure.

Only `type`, `data` and `seq` of a line are read, never a payload. A release never changes the meaning of a type (DESIGN
section 5); a new meaning is a new type, and the old branch stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aegis.core.canonical import Json
from aegis.core.errors import IntegrityBroken
from orchestration.engine.state import Approval, Clock, Ending, Fork, Heard, Intent, State, Undoable

Data = Mapping[str, Json]


def fold(state: State, *, stream: str, seq: int, type: str, data: Data) -> State:
    """Apply one event.

    Raises:
        IntegrityBroken: an event type no release ever wrote to a run.
    """
    match type:
        case "run.submitted":
            return _enter(state, data["next"], run_deadline=_clock(data, "deadline", "at"))
        case "run.forked":
            names = ("path", "input", "items", "index", "outputs", "cases")
            run_deadline = _clock(data, "deadline", "at")
            return _enter(state, data["next"], run_deadline=run_deadline, **{name: data[name] for name in names})
        case "step.forked":
            return _fork(state, data, f"{stream}/{seq}")
        case "step.stopping":
            assert state.fork is not None
            fork = replace(state.fork, stopping=data["why"])
            if state.phase == "reviewing" and data["why"] != "cancelled":
                # Out of time while it is before people: no person is waited for any more, only the children.
                return replace(state, fork=fork, phase="joining", item="")
            return replace(state, fork=fork)
        case "step.joined":
            return _enter(state, data["next"], outputs=_outputs(state, data["step"], data["output"] or f"{stream}/{seq}"))
        case "child.ended":
            return _child_ended(state, data)
        case "child.recalled":
            return replace(state, phase="recalling")
        case "child.undone":
            return _undone(state, data["child"], is_left=bool(data["left"]))
        case "step.held":
            return replace(state, phase="held", until=data["until"], hold=data["code"], held_by=data["by"])
        case "step.resumed":
            return replace(state, phase="ready", until="", hold="", held_by="")
        case "step.started":
            return replace(state, phase="calling", attempt=data["attempt"], until="")
        case "step.completed" | "value.set":
            return _enter(state, data["next"], outputs=_outputs(state, data["step"], f"{stream}/{seq}"))
        case "route.chosen":
            cases = {**state.cases, data["step"]: data["case"]}
            outputs = _outputs(state, data["step"], f"{stream}/{seq}")
            if data["next"]:
                return _enter(state, data["next"], cases=cases, outputs=outputs)
            return replace(state, cases=cases, outputs=outputs)
        case "step.failed":
            if data["retry_at"]:
                return replace(state, phase="retrying", until=data["retry_at"])
            return replace(state, phase="ready")
        case "step.lost":
            return replace(state, phase="ready", losses=data["losses"])
        case "effect.lost":
            return replace(_heard(state, "unknown"), phase="ready", losses=data["losses"])
        case "step.sent_back":  # to the agent whose work was judged, with what people want otherwise
            return _enter(state, data["next"], outputs=_outputs(state, data["step"], f"{stream}/{seq}"))
        case "step.edited":  # the gate that asked about it is settled by the next event
            return replace(state, outputs=_outputs(state, data["source"], data["output"]))
        case "step.gave_up":
            return _enter(state, data["next"])
        case "effect.conflicted":
            return replace(state, phase="ready", attempt=data["attempt"], digest="", approval=None)
        case "effect.intended":
            intended = replace(state, phase="acting", attempt=data["attempt"], digest=data["digest"], approval=None)
            return replace(intended, intent=_intent(data))
        case "effect.done" | "effect.stated":  # as AEGIS heard it, or as a person who looked says
            if data.get("undoes"):
                return _undone(state, data["undoes"])
            place = data["output"] if type == "effect.stated" else f"{stream}/{seq}"
            outputs = _outputs(state, data["step"], place)
            return _enter(state, data["next"], outputs=outputs, effects=_effects(state, data))
        case "effect.left":
            return _undone(state, data["key"], is_left=True)
        case "effect.unknown":
            return replace(_heard(state, "unknown"), phase="ready")
        case "effect.failed":
            failed = _heard(state, "unknown" if data["code"] == "unknown" else "nothing")
            if data["retry_at"]:
                return replace(failed, phase="retrying", until=data["retry_at"])
            return replace(failed, phase="ready")
        case "gate.opened":
            return replace(
                state, phase="deciding", request=data["request"], digest=data["digest"], policy=data["policy"], approval=None
            )
        case "gate.settled":
            return _settle_gate(state, data)
        case "review.opened":
            # The step has given up, so its own limits no longer count; a `review` step has only begun.
            kept = state.deadline if data["code"] == "review" else None
            waits: dict[str, Any] = {
                "request": "",
                "until": "",
                "hold": "",
                "held_by": "",
                "awaits": "",
                "limit": None,
                "deadline": kept,
            }
            return replace(state, phase="reviewing", item=data["item"], **waits)
        case "review.settled":
            return _settle_review(state, data)
        case "run.retried":
            return _afresh(state, ended="", outcome="")
        case "run.stopping":
            # An effect under way is awaited, and so is the person who says what became of one; anything else is dropped.
            is_awaited = state.phase in ("acting", "reviewing", "joining")
            return replace(state, stopped_by=data["by"]) if is_awaited else _afresh(state, stopped_by=data["by"])
        case "run.compensating":
            ending = Ending(ended=data["ended"], code=data["code"], step=state.step, visit=state.visit, by=data["by"])
            effects = state.effects if data["code"] == "rollback" else state.undoable
            return _turn_back(replace(state, ending=ending, ended="", stopped_by="", rollback="", effects=effects))
        case "rollback.asked":
            gate = {"request": data["request"], "digest": data["digest"], "policy": data["policy"]}
            return replace(state, phase="deciding", ended="", rollback=data["by"], **gate)
        case "rollback.refused":
            return replace(state, phase="ended", ended="completed", rollback="", request="", digest="", policy="")
        case "wait.began" if data["message"]:
            return replace(state, phase="listening", awaits=data["wait"], limit=_clock(data))
        case "wait.began":
            return replace(state, phase="sleeping", until=data["until"])
        case "wait.ended":
            return _enter(state, data["next"])
        case "message.received":
            return _enter(state, data["next"], outputs=_outputs(state, data["step"], data["output"]))
        case "deadline.set":
            return replace(state, deadline=_clock(data))
        case "deadline.moved" | "deadline.passed":
            which = data["code"] if data["code"] in ("deadline", "run_deadline") else "limit"
            clock: dict[str, Any] = {which: _clock(data) if type == "deadline.moved" else None}
            return replace(state, **clock)
        case "resource.waited":
            return replace(state, phase="queueing", awaits=data["wait"], limit=_clock(data))
        case "resource.claimed":
            waited: dict[str, Any] = {"phase": "ready", "awaits": "", "limit": None} if state.phase == "queueing" else {}
            return replace(state, holds=True, **waited)
        case "resource.released":
            return replace(state, holds=False)
        case "run.completed":
            return _end(state, "completed", data["outcome"], keeps=bool(data.get("keeps")))
        case "run.failed":
            return _end(state, "failed", data["code"])
        case "run.cancelled":
            return _end(state, "cancelled", "cancelled")
        case "run.rolled_back":
            return _end(state, "rolled_back", "rolled_back")
        case (
            "contract.violated" | "step.unsure" | "step.abstained" | "verdict.given" | "gate.passed_fast"
            | "effect.diverged" | "expression.failed" | "inbox.ignored" | "run.quarantined" | "run.faulted" | "run.compensated"
            | "rollback.approved" | "resource.refused" | "child.refused"
        ):  # fmt: skip
            return state  # told to people; the event after it moves the run
        case _:
            raise IntegrityBroken(f"{stream}/{seq}: no release knows the event type {type!r}")


def fold_all(stream: str, lines: list[Mapping[str, Any]]) -> State:
    """The state after all lines of a stream (parsed, in order)."""
    state = State()
    for line in lines:
        state = fold(state, stream=stream, seq=line["seq"], type=line["type"], data=line["data"])
    return state


def _enter(state: State, step: str, **changes: Any) -> State:
    """Move the cursor; a step counts its visits from 1. Changes come along, because each `replace` copies the whole state."""
    visits = {**state.visits, step: state.visits.get(step, 0) + 1} if step else state.visits
    return _afresh(state, step=step, visit=visits.get(step, 0), visits=visits, intent=None, fork=None, **changes)


def _afresh(state: State, **changes: Any) -> State:
    """The same step, begun from its start."""
    fresh: dict[str, Any] = {
        "phase": "ready", "attempt": 0, "losses": 0, "request": "", "item": "", "digest": "", "policy": "", "until": "",
        "hold": "", "held_by": "", "approval": None, "awaits": "", "limit": None, "deadline": None,
    }  # fmt: skip
    return replace(state, **(fresh | changes))


def _clock(data: Data, due: str = "due", since: str = "since") -> Clock | None:
    """Lines without a limit have none of the fields, or an empty one."""
    return Clock(due=data[due], since=data[since]) if data.get(due) else None


def _fork(state: State, data: Data, place: str) -> State:
    """Children begin: the first ones, more of them, or those that were not well once again."""
    fork = state.fork or Fork(of=data["of"], need=data["need"], at_once=data["at_once"], collects=data["collects"])
    if data["has_items"]:
        fork = replace(fork, items=place)
    if data["is_afresh"]:
        fork = replace(fork, failed={}, stopping="", tries=fork.tries + 1)
    begun: Mapping[str, str] = data["begun"]
    again = {ordinal: run for ordinal, run in fork.again.items() if ordinal not in begun}
    # What a child that is tried again has done stands in its own effects once more when it ends.
    effects = tuple(effect for effect in state.effects if not (effect.is_child and effect.key in begun.values()))
    fork = replace(fork, open={**fork.open, **begun}, again=again)
    return replace(state, phase="joining", fork=fork, effects=effects)


def _child_ended(state: State, data: Data) -> State:
    fork, ordinal = state.fork, data["ordinal"]
    assert fork is not None
    left = {other: run for other, run in fork.open.items() if other != ordinal}
    if data["outcome"] == "completed":
        fork = replace(fork, open=left, done={**fork.done, ordinal: data["output"]})
    else:
        again = {**fork.again, ordinal: data["child"]} if data["is_retryable"] else fork.again
        fork = replace(fork, open=left, failed={**fork.failed, ordinal: data["code"]}, again=again)
    if not data["effects"]:
        return replace(state, fork=fork)
    done = Undoable(step=state.step, visit=state.visit, key=data["child"], is_child=True)
    return replace(state, fork=fork, effects=(*state.effects, done))


def _outputs(state: State, step: str, place: str) -> dict[str, str]:
    return {**state.outputs, step: place}


def _intent(data: Data) -> Intent | None:
    if "capability" not in data:  # lines of releases before compensation; what they left open is treated as unsafe
        return None
    names = ("key", "digest", "capability", "safety", "approval", "policy")
    return Intent(**{name: data[name] for name in names})


def _heard(state: State, heard: Heard) -> State:
    return replace(state, intent=replace(state.intent, heard=heard)) if state.intent else state


def _effects(state: State, data: Data) -> tuple[Undoable, ...]:
    """The field is there when the step asked for compensation, also if its capability names nothing that undoes it."""
    if "compensation" not in data:
        return state.effects
    done = Undoable(
        step=data["step"],
        visit=state.visit,
        key=data["key"],
        compensation=data["compensation"],
        on_demand=bool(data.get("on_demand")),
    )
    return (*state.effects, done)


def _undone(state: State, key: str, *, is_left: bool = False) -> State:
    """Take the newest effect off: the only one that may be undone now, and never twice.

    Raises:
        IntegrityBroken: the events undo another effect, one that was undone before, or undo while the run goes forward.
    """
    if state.ending is None or state.undoes != key:
        raise IntegrityBroken(f"{key} is undone out of turn")
    ending = replace(state.ending, undone=state.ending.undone + (not is_left), left=state.ending.left + is_left)
    return _turn_back(replace(state, effects=state.effects[:-1], ending=ending))


def _turn_back(state: State) -> State:
    """Move the cursor to the newest effect that still stands; when none does, back to where the run gave up."""
    place = state.effects[-1] if state.effects else state.ending
    assert place is not None
    return _afresh(state, step=place.step, visit=place.visit, intent=None)


def _settle_gate(state: State, data: Data) -> State:
    if data["outcome"] != "approved":
        return replace(state, phase="ready", request="", digest="", policy="")
    if data["about"] == "step":  # a `gate` step: the question was the step
        return _enter(state, data["next"])
    approval = Approval(request=data["request"], digest=data["digest"], policy=state.policy)
    return replace(state, phase="ready", request="", digest="", policy="", approval=approval)


def _settle_review(state: State, data: Data) -> State:
    match data["outcome"]:
        case "completed":
            outputs = _outputs(state, data["step"], data["output"]) if data["output"] else state.outputs
            cases = {**state.cases, data["step"]: data["case"]} if data["case"] else state.cases
            return _enter(state, data["next"], outputs=outputs, cases=cases)
        case "retried":
            return _afresh(state)
        case "not_happened":  # a person looked: the key is free again, whatever it stood for
            return _afresh(state, intent=None)
        case _:
            return replace(state, phase="ready", item="")  # happened, left, cancelled: the event that says so follows


def _end(state: State, ended: Any, outcome: str, *, keeps: bool = False) -> State:
    """A failed run may be tried again, so it keeps what it did, and so does one that may be rolled back."""
    kept: dict[str, Any] = {} if ended == "failed" else {"intent": None, "effects": state.effects if keeps else ()}
    over: dict[str, Any] = {"stopped_by": "", "run_deadline": None, "holds": False}
    return _afresh(state, phase="ended", ended=ended, outcome=outcome, **over, **kept)
