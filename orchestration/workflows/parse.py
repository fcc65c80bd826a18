"""From a Workflow document to a `Definition`: strict, and closed (every step it names is a step it has). Pure.

What needs other documents (contracts, tables, agents ...) is `lint`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from orchestration.contracts.checker import compile_schema
from orchestration.workflows.definition import (
    FAILURE_CODES,
    ActStep,
    AgentStep,
    Common,
    Definition,
    FinishStep,
    GateStep,
    OnFailure,
    Retry,
    ReviewStep,
    RouteStep,
    SetStep,
    Step,
)
from orchestration.workflows.paths import output_path, paths_of
from orchestration.workflows.schema import SCHEMA, STEP_KINDS

__all__ = ["SCHEMA", "WorkflowInvalid", "faults_of", "load"]

_DEFAULT_RETRY: Final = Retry()


class WorkflowInvalid(Invalid):
    """Refused at save; each fault points into the document."""

    code, title = "workflow_invalid", "The workflow cannot be used"


def load(document: Json) -> Definition:
    """Read a Workflow document.

    Raises:
        WorkflowInvalid: it breaks the schema, repeats a step id, or names a step it does not have.
    """
    if faults := faults_of(document):
        raise WorkflowInvalid(f"The workflow cannot be used: {faults[0]}", faults=faults)
    metadata, spec = document["metadata"], document["spec"]
    return Definition(
        name=metadata["name"],
        title=metadata.get("title", "") or metadata["name"],
        owner=metadata["owner"],
        input=spec["input"],
        business_key=spec["business_key"],
        fallback_queue=spec["fallback"]["queue"],
        steps=_with_gate_sources(tuple(_BUILDERS[kind_of(step)](step) for step in spec["steps"])),
        priority=str(spec.get("priority", 3)),
        success=spec.get("success", ""),
    )


def faults_of(document: Json) -> list[Fault]:
    """Everything `load` refuses a document for, one fault per place; empty if it can be read."""
    faults = list(_kind_faults(document))
    for fault in compile_schema(SCHEMA).faults(document):
        # The schema's own view of a place already faulted (a step of no kind, a target of no type) would only confuse.
        if not any(fault.where == said.where or fault.where.startswith(f"{said.where}/") for said in faults):
            faults.append(_explained(fault, document))
    return faults or list(_reference_faults(document["spec"]["steps"]))


def kind_of(step: Mapping[str, Json]) -> str:
    """The kind of a step that keeps the schema: the one kind word among its keys."""
    return next(kind for kind in STEP_KINDS if kind in step)


# --- faults -----------------------------------------------------------------------------------------------------------


def _kind_faults(document: Json) -> Iterator[Fault]:
    """A step is exactly one kind: said here, because a schema could only say that it fits none of the forms."""
    spec = document.get("spec") if isinstance(document, Mapping) else None
    steps = spec.get("steps") if isinstance(spec, Mapping) else None
    for index, step in enumerate(steps if isinstance(steps, list) else []):
        if not isinstance(step, Mapping):
            continue
        kinds = [kind for kind in STEP_KINDS if kind in step]
        if not kinds:
            remedy = f"give it one of {', '.join(STEP_KINDS)}"
            yield Fault(f"/spec/steps/{index}", "does not say what the step does", remedy)
        elif len(kinds) > 1:
            remedy = "make two steps of it"
            yield Fault(f"/spec/steps/{index}", f"is {' and '.join(kinds)} at once; a step does one thing", remedy)


_DURATION: Final = "write a duration such as 30s, 15m or 4h"
_CONTRACT: Final = "name a contract and its version, such as request@1"
_CODES: Final = f"error codes are {', '.join(FAILURE_CODES)}"
_UNKNOWN_FIELD: Final = "is not a field of this contract"  # contracts.wording; here it is no contract

#: Pattern of a place -> (what to say instead of the schema's words, or "" to keep them; the remedy).
_SAID: Final = tuple(
    (re.compile(pattern), what, remedy)
    for pattern, what, remedy in (
        (r"/steps/\d+/on_failure/[^/]+$", "", "each code goes to fail, compensate, queue, {queue: NAME} or {step: ID}"),
        (r"/(timeout|retry/backoff|retry/cap)$", "is no duration", _DURATION),
        (r"/steps/\d+/output$", "names no contract version", _CONTRACT),
        (r"/spec/input$", "names no contract version", _CONTRACT),
        (r"/cases/[^/]+$", "goes nowhere", "a case goes to a step id or to {queue: NAME}"),
        (r"/steps/\d+/(id|next)$", "", "small letters, digits, - and _, such as sign-off"),
        (r"/spec/fallback", "", "name the queue of last resort: fallback: {queue: NAME}"),
        (r"/spec/priority$", "", "1 (first) to 5, or an expression over input"),
        (r"/metadata/owner$", "", "name the group that owns the workflow"),
        (r"/finish$", "", "name the outcome in small letters, such as closed"),
        (r"/apiVersion$", "", "write apiVersion: aegis/v1"),
    )
)


def _explained(fault: Fault, document: Json) -> Fault:
    if fault.what == _UNKNOWN_FIELD:
        return _unknown_field(fault, document)
    for pattern, what, remedy in _SAID:
        if pattern.search(fault.where):
            return Fault(fault.where, fault.what if fault.what == "is missing" or not what else what, remedy)
    return fault


def _unknown_field(fault: Fault, document: Json) -> Fault:
    """Say what could stand there instead."""
    found = re.match(r"/spec/steps/(\d+)/([^/]+)(/[^/]+)?$", fault.where)
    if not found:
        return Fault(fault.where, "is not known here", "see the JSON Schema of Workflow")
    step = document["spec"]["steps"][int(found[1])]
    if found[2] == "on_failure":
        return Fault(fault.where, "is no error code", _CODES)
    if found[3]:
        return Fault(fault.where, "is not known here", "see the JSON Schema of Workflow")
    kind = kind_of(step)
    known = sorted(SCHEMA["$defs"][f"{kind}_step"]["properties"])
    article = "an" if kind[0] in "aeiou" else "a"
    return Fault(fault.where, f"is not known in {article} {kind} step", f"it may have {', '.join(known)}")


def _reference_faults(steps: list[Mapping[str, Json]]) -> Iterator[Fault]:
    """Step ids are unique, and whatever names a step names one of them."""
    ids: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step["id"] in ids:
            what = f"{step['id']!r} is already the id of step {ids[step['id']] + 1}"
            yield Fault(f"/spec/steps/{index}/id", what, "give every step an id of its own")
        ids.setdefault(step["id"], index)
    known = f"steps are {', '.join(ids)}"
    for index, step in enumerate(steps):
        where = f"/spec/steps/{index}"
        for place, target in _targets(step):
            if target not in ids:
                yield Fault(f"{where}/{place}", f"there is no step {target!r}", known)
        for place in ("timeout", "retry/backoff", "retry/cap"):
            yield from _duration_faults(step, where, place)
        if "act" in step:
            yield from _act_faults(step["act"], f"{where}/act", steps)


def _targets(step: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    if "next" in step:
        yield "next", step["next"]
    for code, action in step.get("on_failure", {}).items():
        if isinstance(action, Mapping) and "step" in action:
            yield f"on_failure/{_escaped(code)}/step", action["step"]
    for case, target in step.get("cases", {}).items():
        if isinstance(target, str):
            yield f"cases/{_escaped(case)}", target
    for index, name in enumerate(step.get("requires", [])):
        yield f"requires/{index}", name


def _duration_faults(step: Mapping[str, Json], where: str, place: str) -> Iterator[Fault]:
    value: Any = step
    for part in place.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return
    try:
        durations.parse(value)
    except durations.DurationInvalid as error:
        yield Fault(f"{where}/{place}", error.detail, _DURATION)


def _act_faults(source: str, where: str, steps: list[Mapping[str, Json]]) -> Iterator[Fault]:
    """`act` names a place, no computation: so that the principal is known to be the agent whose step made it."""
    remedy = "write steps.<agent step>.output.<field>"
    found = output_path(source)
    if found is None:
        yield Fault(where, "is no place in the output of a step", remedy)
        return
    agents = [step["id"] for step in steps if "agent" in step]
    if found.step not in agents:
        what = f"{found.step!r} is no agent step; only what an agent proposed can be carried out"
        yield Fault(where, what, f"agent steps are {', '.join(agents) or 'none yet'}")


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


# --- building ---------------------------------------------------------------------------------------------------------


def _common(step: Mapping[str, Json]) -> Common:
    return Common(
        id=step["id"],
        title=step.get("title", ""),
        next=step.get("next", ""),
        on_failure={code: _on_failure(action) for code, action in step.get("on_failure", {}).items()},
        max_visits=step.get("max_visits", 1),
        requires=tuple(step.get("requires", ())),
    )


def _on_failure(action: Json) -> OnFailure:
    if isinstance(action, str):
        return OnFailure("fail" if action == "fail" else "compensate" if action == "compensate" else "queue")
    if "step" in action:
        return OnFailure("step", action["step"])
    return OnFailure("queue", action["queue"])


def _retry(step: Mapping[str, Json]) -> Retry:
    retry = step.get("retry")
    if retry is None:
        return _DEFAULT_RETRY
    return Retry(
        attempts=retry["attempts"],
        backoff=durations.parse(retry["backoff"]) if "backoff" in retry else _DEFAULT_RETRY.backoff,
        factor=float(retry.get("factor", _DEFAULT_RETRY.factor)),
        cap=durations.parse(retry["cap"]) if "cap" in retry else _DEFAULT_RETRY.cap,
        jitter=retry.get("jitter", _DEFAULT_RETRY.jitter),
    )


def _agent(step: Mapping[str, Json]) -> Step:
    unsure = step.get("confidence_below")
    return AgentStep(
        common=_common(step),
        agent=step["agent"],
        output=step["output"],
        input=dict(step.get("input", {})),
        retry=_retry(step),
        confidence_below=(float(unsure["value"]), unsure["queue"]) if unsure else None,
        abstain_queue=step.get("abstain_queue", ""),
        **_timeout(step),
    )


def _act(step: Mapping[str, Json]) -> Step:
    found = output_path(step["act"])
    assert found is not None  # _act_faults
    return ActStep(
        common=_common(step),
        act=step["act"],
        source=found.step,
        retry=_retry(step),
        compensate=step.get("compensate", False),
        **_timeout(step),
    )


def _timeout(step: Mapping[str, Json]) -> dict[str, Any]:
    return {"timeout": durations.parse(step["timeout"])} if "timeout" in step else {}


def _route(step: Mapping[str, Json]) -> Step:
    cases = {
        case: target if isinstance(target, str) else OnFailure("queue", target["queue"])
        for case, target in step["cases"].items()
    }
    return RouteStep(common=_common(step), table=step["route"], facts=dict(step["facts"]), cases=cases)


def _gate(step: Mapping[str, Json]) -> Step:
    return GateStep(
        common=_common(step), policy=step["gate"], proposal=step.get("proposal", ""), risk=step.get("risk", "medium")
    )


def _review(step: Mapping[str, Json]) -> Step:
    return ReviewStep(common=_common(step), queue=step["review"], output=step["output"])


def _set(step: Mapping[str, Json]) -> Step:
    return SetStep(common=_common(step), values=dict(step["set"]))


def _finish(step: Mapping[str, Json]) -> Step:
    return FinishStep(common=_common(step), outcome=step["finish"])


_BUILDERS: Final[Mapping[str, Callable[[Mapping[str, Json]], Step]]] = {
    "agent": _agent,
    "act": _act,
    "route": _route,
    "gate": _gate,
    "review": _review,
    "set": _set,
    "finish": _finish,
}


def _with_gate_sources(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """A gate binds the owner of the agent whose output it asks about: the first agent that its proposal names."""
    agents = {step.common.id for step in steps if isinstance(step, AgentStep)}
    return tuple(
        replace(step, source=next((path.step for path in paths_of(step.proposal) if path.step in agents), ""))
        if isinstance(step, GateStep) and step.proposal
        else step
        for step in steps
    )
