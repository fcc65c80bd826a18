"""What is wrong with a Workflow document by itself: its shape, its times, and whatever it names of its own. Pure.

What needs other documents (contracts, tables, agents ...) is `lint`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault, coded
from approvals import shapes
from orchestration.contracts.checker import Checker, compile_schema
from orchestration.workflows import parse_waits, samples
from orchestration.workflows.definition import EVENT, FAILURE_CODES
from orchestration.workflows.parse_waits import DURATION_REMEDY, duration_faults
from orchestration.workflows.paths import item_path, proposing_step
from orchestration.workflows.places import Level, at_least, below, kind_of, levels
from orchestration.workflows.schema import BLOCK_KINDS, MAX_DEPTH, SCHEMA, STEP_KINDS


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


@cache
def _shape() -> Checker:
    return compile_schema(SCHEMA)


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
    if "parallel" in step and at_least(step) > len(step["parallel"]):
        count = len(step["parallel"])
        what = f"{at_least(step)} branches must be well, and there {'is 1' if count == 1 else f'are {count}'}"
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
    step = proposing_step(source, level.items)
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


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
