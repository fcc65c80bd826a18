"""From a Workflow document to a `Definition`: strict, and closed (every step it names is a step it has). Pure.

What needs other documents (contracts, tables, agents ...) is `lint`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from aegis.core import durations
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid, coded
from approvals import shapes
from orchestration.contracts.checker import Checker, compile_schema
from orchestration.workflows import parse_waits, samples
from orchestration.workflows.definition import (
    EVENT,
    FAILURE_CODES,
    ActStep,
    AgentStep,
    Body,
    Common,
    Definition,
    FinishStep,
    GateStep,
    MapStep,
    OnFailure,
    ParallelStep,
    Retry,
    ReviewStep,
    RouteStep,
    RunStep,
    SetStep,
    Step,
    WaitStep,
)
from orchestration.workflows.parse_waits import DURATION_REMEDY, duration_faults
from orchestration.workflows.paths import item_path, output_path, paths_of
from orchestration.workflows.places import Level, below, levels
from orchestration.workflows.schema import BLOCK_KINDS, MAX_DEPTH, SCHEMA, STEP_KINDS

__all__ = ["SCHEMA", "WorkflowInvalid", "faults_of", "load", "read"]

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
    return read(document)


def read(document: Json) -> Definition:
    """As `load`, of a document that `faults_of` has nothing against."""
    metadata, spec = document["metadata"], document["spec"]
    return Definition(
        name=metadata["name"],
        title=metadata.get("title", "") or metadata["name"],
        owner=metadata["owner"],
        input=spec["input"],
        business_key=spec["business_key"],
        fallback_queue=spec["fallback"]["queue"],
        steps=_with_gate_sources(_steps(spec["steps"], ""), ()),
        priority=str(spec.get("priority", 3)),
        success=spec.get("success", ""),
        output=spec["output"]["value"] if "output" in spec else "",
        output_contract=spec["output"]["contract"] if "output" in spec else "",
        samples=samples.load(spec.get("samples", ())),
        **parse_waits.of_spec(spec, _on_failure),
    )


def faults_of(document: Json) -> list[Fault]:
    """Everything `load` refuses a document for, one fault per place; empty if it can be read."""
    faults = list(coded("step_kind", _kind_faults(document)))
    broken = _shape().faults(document)
    remedies = {fault.where: fault.remedy for fault in shapes.faults_of("Workflow", SCHEMA, document)} if broken else {}
    for fault in coded(shapes.CODE, broken):
        # The schema's own view of a place already faulted (a step of no kind, a target of no type) would only confuse.
        if not any(fault.where == said.where or fault.where.startswith(f"{said.where}/") for said in faults):
            said = _explained(fault, document)
            faults.append(said if said.remedy else replace(said, remedy=remedies.get(said.where, "")))
    if faults:
        return faults
    spec = document["spec"]
    stored = samples.faults_of(spec.get("samples", ()), spec["steps"])
    return [
        *coded("time", parse_waits.spec_faults(spec)),
        *coded("step_reference", _reference_faults(document)),
        *coded("sample", stored),
    ]


def kind_of(step: Mapping[str, Json]) -> str:
    """The kind of a step that keeps the schema: the one kind word among its keys."""
    return next(kind for kind in STEP_KINDS if kind in step)


@cache
def _shape() -> Checker:
    return compile_schema(SCHEMA)


# --- faults -----------------------------------------------------------------------------------------------------------


def _kind_faults(document: Json) -> Iterator[Fault]:
    """A step is exactly one kind: said here, because a schema could only say that it fits none of the forms."""
    for level in levels(document):
        for where, step in level.numbered():
            kinds = [kind for kind in STEP_KINDS if kind in step]
            if not kinds:
                yield Fault(where, "does not say what the step does", f"give it one of {', '.join(STEP_KINDS)}")
            elif len(kinds) > 1:
                yield Fault(where, f"is {' and '.join(kinds)} at once; a step does one thing", "make two steps of it")
            elif level.depth == MAX_DEPTH and kinds[0] in BLOCK_KINDS:
                remedy = "move the inner steps to a workflow of their own, and run that"
                yield Fault(where, f"is a block inside {MAX_DEPTH} others; that is as deep as they go", remedy)


_CONTRACT: Final = "name a contract and its version, such as request@1"
_CODES: Final = f"error codes are {', '.join(FAILURE_CODES)}"
_UNKNOWN_FIELD: Final = "is not a field of this contract"  # contracts.wording; here it is no contract

#: Pattern of a place -> (what to say instead of the schema's words, or "" to keep them; the remedy).
_SAID: Final = tuple(
    (re.compile(pattern), what, remedy)
    for pattern, what, remedy in (
        (r"/steps/\d+/on_failure/[^/]+$", "", "each code goes to fail, compensate, queue, {queue: NAME} or {step: ID}"),
        (r"/(timeout|retry/backoff|retry/cap|deadline|wait/for|wait/within|resource/wait)$", "is no duration", DURATION_REMEDY),
        (r"/wait/output$", "names no contract version", _CONTRACT),
        (r"/wait/message$", "is no name of a message", "small letters, digits and -, such as payment-received"),
        (r"/wait$", "", "write for: 15m, until: EXPRESSION, or message, key and output"),
        (r"/requires/\d+$", "", "name a step, or an event such as event:gate.settled"),
        (r"/spec/on_deadline$", "", "write fail, compensate, queue or {queue: NAME}"),
        (r"/spec/resource/hold$", "", "write until_end or while_running"),
        (r"/spec/rollback", "", "name the approval policy: rollback: {gate: NAME}"),
        (r"/steps/\d+/output$", "names no contract version", _CONTRACT),
        (r"/spec/output/contract$", "names no contract version", _CONTRACT),
        (r"/spec/output$", "", "write output: {contract: NAME@1, value: EXPRESSION}"),
        (r"/steps/\d+/join$", "", "write all, any, or {at_least: 2}"),
        (r"/steps/\d+/parallel/[^/]+$", "", "a branch has steps, and may have an output"),
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
            return replace(fault, what=fault.what if fault.what == "is missing" or not what else what, remedy=remedy)
    return fault


def _unknown_field(fault: Fault, document: Json) -> Fault:
    """Say what could stand there instead."""
    found = re.match(r"(.*/steps/\d+)/([^/]+)(/[^/]+)?$", fault.where)
    if not found:
        return replace(fault, what="is not known here", remedy="")
    step = below(document, found[1])
    if found[2] == "on_failure":
        return replace(fault, what="is no error code", remedy=_CODES)
    if found[3]:
        return replace(fault, what="is not known here", remedy="")
    kind = kind_of(step)
    known = sorted(SCHEMA["$defs"][f"{kind}_step"]["properties"])
    article = "an" if kind[0] in "aeiou" else "a"
    return replace(fault, what=f"is not known in {article} {kind} step", remedy=f"it may have {', '.join(known)}")


def _reference_faults(document: Json) -> Iterator[Fault]:
    """Step ids are unique over the whole document, and whatever names a step names one of its own list, or one around it."""
    places: dict[str, str] = {}
    for level in levels(document):
        for where, step in level.numbered():
            if step["id"] in places:
                remedy = "give every step an id of its own, inside branches too"
                yield Fault(f"{where}/id", f"{step['id']!r} is already the id of {_step_at(places[step['id']])}", remedy)
            places.setdefault(step["id"], where)
    for level in levels(document):
        for where, step in level.numbered():
            yield from _faults_of_step(step, where, level, places)


def _faults_of_step(step: Mapping[str, Json], where: str, level: Level, places: Mapping[str, str]) -> Iterator[Fault]:
    own = [other["id"] for other in level.steps]
    around = [other["id"] for other in level.outer]
    for place, target in _targets(step):
        known = [*own, *around] if place.startswith("requires/") else own
        if target in known:
            continue
        what = f"there is no step {target!r}"
        if target in places:
            inner = places[target].startswith(f"{level.where}/")
            what = f"step {target!r} is {'inside a block' if inner else 'outside this block'}, and cannot be reached from here"
        yield Fault(f"{where}/{place}", what, f"steps are {', '.join(known)}")
    for place in ("timeout", "retry/backoff", "retry/cap", "deadline"):
        yield from duration_faults(step, where, place)
    if "wait" in step:
        yield from parse_waits.wait_faults(step["wait"], f"{where}/wait")
    if "act" in step:
        yield from _act_faults(step["act"], f"{where}/act", level)
    if "parallel" in step and _at_least(step) > len(step["parallel"]):
        count = len(step["parallel"])
        what = f"{_at_least(step)} branches must be well, and there {'is 1' if count == 1 else f'are {count}'}"
        yield Fault(f"{where}/join/at_least", what, f"at most {count}")


def _step_at(where: str) -> str:
    """Step 3 of the list, for people; inside blocks by its place."""
    head, _, index = where.rpartition("/")
    return f"step {int(index) + 1}" if head == "/spec/steps" else f"the step at {where}"


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
        if not name.startswith(EVENT):
            yield f"requires/{index}", name


def _act_faults(source: str, where: str, level: Level) -> Iterator[Fault]:
    """`act` names a place, no computation: so that the principal is known to be the agent whose step made it."""
    agents = [step["id"] for step in (*level.steps, *level.outer) if "agent" in step]
    step = _proposing_step(source, level.items)
    if step == "":
        remedy = "write steps.<agent step>.output.<field>"
        if level.items and item_path(source):
            what = "is an item of a list that is no place in the output of an agent step"
            yield Fault(where, what, f"let map name such a place, or {remedy}")
        else:
            yield Fault(where, "is no place in the output of a step", remedy)
    elif step not in agents:
        what = f"{step!r} is no agent step; only what an agent proposed can be carried out"
        yield Fault(where, what, f"agent steps are {', '.join(agents) or 'none yet'}")


def _proposing_step(source: str, items: str) -> str:
    """The step whose output holds a proposal, also where it is an item of a list there; "" if `source` is no such place."""
    if items and item_path(source):
        source = items
    found = output_path(source)
    return found.step if found else ""


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
        deadline=durations.parse(step["deadline"]) if "deadline" in step else None,
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


def _act(step: Mapping[str, Json], items: str) -> Step:
    return ActStep(
        common=_common(step),
        act=step["act"],
        source=_proposing_step(step["act"], items),
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


def _wait(step: Mapping[str, Json]) -> Step:
    return WaitStep(common=_common(step), **parse_waits.of_wait(step["wait"]))


def _finish(step: Mapping[str, Json]) -> Step:
    return FinishStep(common=_common(step), outcome=step["finish"])


def _at_least(step: Mapping[str, Json]) -> int:
    """How many branches must be well."""
    match step.get("join", "all"):
        case "all":
            return len(step["parallel"])
        case "any":
            return 1
        case {"at_least": int(number)}:
            return number
        case other:
            raise AssertionError(f"the schema refuses join: {other!r}")


def _parallel(step: Mapping[str, Json], items: str) -> Step:
    branches = {
        name: Body(_steps(branch["steps"], items), branch.get("output", "")) for name, branch in step["parallel"].items()
    }
    return ParallelStep(common=_common(step), branches=branches, at_least=_at_least(step))


def _map(step: Mapping[str, Json], _items: str) -> Step:
    return MapStep(
        common=_common(step),
        items=step["map"],
        body=Body(_steps(step["steps"], step["map"]), step.get("output", "")),
        at_once=step.get("at_once", 5),
        max_items=step.get("max_items", 100),
        collects=step.get("on_item_failure") == "collect",
    )


def _run(step: Mapping[str, Json]) -> Step:
    return RunStep(common=_common(step), workflow=step["run"], input=dict(step.get("input", {})))


_BUILDERS: Final[Mapping[str, Callable[[Mapping[str, Json]], Step]]] = {
    "agent": _agent,
    "route": _route,
    "gate": _gate,
    "review": _review,
    "set": _set,
    "wait": _wait,
    "run": _run,
    "finish": _finish,
}
#: Those that must know the list whose items are walked around them ("" outside of a `map`).
_SCOPED_BUILDERS: Final[Mapping[str, Callable[[Mapping[str, Json], str], Step]]] = {
    "act": _act,
    "parallel": _parallel,
    "map": _map,
}


def _steps(steps: list[Mapping[str, Json]], items: str) -> tuple[Step, ...]:
    kinds = [(kind_of(step), step) for step in steps]
    return tuple(_SCOPED_BUILDERS[k](step, items) if k in _SCOPED_BUILDERS else _BUILDERS[k](step) for k, step in kinds)


def _with_gate_sources(steps: tuple[Step, ...], outer: tuple[Step, ...]) -> tuple[Step, ...]:
    """A gate binds the owner of the agent whose output it asks about: the first agent that its proposal names."""
    agents = {step.common.id for step in (*steps, *outer) if isinstance(step, AgentStep)}

    def inside(body: Body) -> Body:
        return replace(body, steps=_with_gate_sources(body.steps, (*outer, *steps)))

    def sourced(step: Step) -> Step:
        match step:
            case GateStep() if step.proposal:
                return replace(step, source=next((path.step for path in paths_of(step.proposal) if path.step in agents), ""))
            case ParallelStep():
                return replace(step, branches={name: inside(body) for name, body in step.branches.items()})
            case MapStep():
                return replace(step, body=inside(step.body))
            case _:
                return step

    return tuple(sourced(step) for step in steps)
