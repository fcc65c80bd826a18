"""Everything that speaks against publishing a workflow, each with its place and a remedy. Pure over an overlay's documents.

A finding here refuses the change set: what can be known to go wrong before a run is not left to the run (DESIGN section 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault, coded
from aegis.core.kinds import Overlay
from audit import catalogue
from orchestration.routing import publishing
from orchestration.routing import tables as routing
from orchestration.workflows import parse
from orchestration.workflows.definition import (
    EVENT,
    RESOURCE_CODES,
    ActStep,
    Block,
    Definition,
    OnFailure,
    RouteStep,
    RunStep,
    Step,
    WaitStep,
    failure_codes_of,
)
from orchestration.workflows.graph import after, links_of, reach_of, successors
from orchestration.workflows.lint_fit import output_faults
from orchestration.workflows.lint_marks import exposed_faults
from orchestration.workflows.lint_paths import expression_faults
from orchestration.workflows.lint_resources import resource_faults
from orchestration.workflows.lint_rights import act_faults
from orchestration.workflows.lint_runs import outputs_of_workflows, run_faults
from orchestration.workflows.lint_skills import skill_faults
from orchestration.workflows.output_schemas import Schemas, schemas_of, types_of
from orchestration.workflows.references import references_of

_KIND_WORDS: Final[Mapping[str, str]] = {
    "Contract": "contract", "RoutingTable": "routing table", "Agent": "agent", "ReviewQueue": "review queue",
    "ApprovalPolicy": "approval policy", "Workflow": "workflow",
}  # fmt: skip

#: Type of a table's input -> JSON Schema types of what may be given to it.
_FITTING: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"string"}),
    "int": frozenset({"integer"}),
    "number": frozenset({"integer", "number"}),
    "bool": frozenset({"boolean"}),
    "list": frozenset({"array"}),
    "map": frozenset({"object"}),
    "date": frozenset({"string"}),
    "datetime": frozenset({"string"}),
    "duration": frozenset({"string"}),
}


def lint(document: Json, overlay: Overlay, *, with_rights: bool = True) -> list[Fault]:
    """Findings in a Workflow document; `where` is a JSON pointer into it, followed by "line:column" inside an expression.

    A document that cannot be read has only the findings of reading it.

    Args:
        with_rights: also ask whether the agents could ever do what they propose, locks included.
    """
    if faults := parse.faults_of(document):
        return faults
    definition = parse.read(document)
    contracts = _schemas(definition, overlay)
    tables = _tables(definition, overlay)
    schemas = schemas_of(definition, contracts, tables, outputs_of_workflows(definition, overlay))
    return [
        *coded("unknown_reference", _unknown_references(definition, overlay)),
        *coded("flow", _flow_faults(definition)),
        *coded("failure_code", _unheard_codes(definition)),
        *coded("compensation", _compensation_faults(definition)),
        *coded("time", _time_faults(definition)),
        *coded("route", _route_faults(definition, tables, schemas)),
        *coded("expression", expression_faults(definition, schemas)),
        *coded("sensitive", exposed_faults(definition, contracts)),
        *coded("output", output_faults(definition, schemas, contracts)),
        *coded("run", run_faults(definition, schemas, overlay)),
        *coded("skill", skill_faults(definition, overlay)),
        *coded("resource", resource_faults(definition, overlay)),
        *coded("rights", act_faults(definition, contracts, overlay, with_rights=with_rights)),
    ]


def _schemas(definition: Definition, overlay: Overlay) -> dict[str, Json]:
    """JSON Schemas of the contracts that exist."""
    names = {one.name for one in references_of(definition) if one.kind == "Contract"}
    found = {name: overlay.get("Contract", name) for name in sorted(names)}
    return {name: document["spec"]["schema"] for name, document in found.items() if document is not None}


def _tables(definition: Definition, overlay: Overlay) -> dict[str, Json]:
    names = {one.name for one in references_of(definition) if one.kind == "RoutingTable"}
    found = {name: overlay.get("RoutingTable", name) for name in sorted(names)}
    return {name: document for name, document in found.items() if document is not None}


def _unknown_references(definition: Definition, overlay: Overlay) -> Iterator[Fault]:
    for one in references_of(definition):
        if overlay.get(one.kind, one.name) is not None:
            continue
        word = _KIND_WORDS[one.kind]
        names = overlay.names(one.kind)
        close = get_close_matches(one.name, names, n=1)
        remedy = (
            f"did you mean {close[0]}?" if close else f"known are {', '.join(names[:8])}" if names else f"add the {word} first"
        )
        yield Fault(one.where, f"there is no {word} {one.name!r}", remedy)


def _flow_faults(definition: Definition) -> Iterator[Fault]:
    """Every step can be reached, what it requires can be on record before it, and what can come back says how often."""
    reach = reach_of(definition)
    for scope in definition.scopes():
        following = successors(links_of(scope))
        first = scope.steps[0].common.id
        reached = {first} | after([first], following)
        for index, step in enumerate(scope.steps):
            name, where = step.common.id, f"{scope.where}/steps/{index}"
            if name not in reached:
                remedy = "let a case, next or on_failure lead to it, or remove it"
                yield Fault(where, f"step {name!r} can never be reached", remedy)
                continue
            if name in after([name], following) and step.common.max_visits == 1:
                what = f"step {name!r} is on a loop, but may be visited only once"
                yield Fault(f"{where}/max_visits", what, "say how often at most: max_visits: 3")
            for place, needed in enumerate(step.common.requires):
                if needed.startswith(EVENT):
                    yield from _event_faults(needed.removeprefix(EVENT), f"{where}/requires/{place}")
                elif name not in reach[needed]:
                    what = f"{needed!r} can never be on record when {name!r} begins"
                    yield Fault(f"{where}/requires/{place}", what, f"require a step that leads to {name!r}")
        yield from _circle_faults(scope)


def _circle_faults(scope: Definition) -> Iterator[Fault]:
    """Steps that were visited too often and send the run to one another, or to themselves, would do so for ever."""
    ways = {}
    for step in scope.steps:
        table = step.common.on_failure
        action = table.get("max_visits") or table.get("*")
        if action and action.action == "step":
            ways[step.common.id] = action.target
    for index, step in enumerate(scope.steps):
        name = step.common.id
        if name in after([name], {source: (target,) for source, target in ways.items()}):
            code = "max_visits" if "max_visits" in step.common.on_failure else "*"
            what = f"once {name!r} was visited too often, the run would go in a circle for ever"
            remedy = "let max_visits fail, or lead to a queue or out of the circle"
            yield Fault(f"{scope.where}/steps/{index}/on_failure/{code}", what, remedy)


def _unheard_codes(definition: Definition) -> Iterator[Fault]:
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            possible = failure_codes_of(step, claims=scope.resource is not None)
            for code in step.common.on_failure:
                if code not in possible:
                    what = f"this step never ends with {code!r}"
                    pointer = code.replace("~", "~0").replace("/", "~1")
                    where = f"{scope.where}/steps/{index}/on_failure/{pointer}"
                    yield Fault(where, what, f"it can end with {', '.join(possible)}")


def _compensation_faults(definition: Definition) -> Iterator[Fault]:
    """Giving up into compensation needs something done before that can be undone; what only a person can settle goes to one."""
    for scope in definition.scopes():
        following = successors(links_of(scope))
        undoable = [step.common.id for step in scope.steps if _is_undoable(step, scope)]
        for index, step in enumerate(scope.steps):
            for code, action in step.common.on_failure.items():
                where = f"{scope.where}/steps/{index}/on_failure/{code.replace('~', '~0').replace('/', '~1')}"
                name = step.common.id  # a block may undo what its own children did
                is_after = any(name in after([done], following) for done in undoable) or (
                    isinstance(step, Block) and name in undoable
                )
                if action.action == "compensate" and not is_after:
                    what = "there is nothing to undo: no act step before this one has compensate: true"
                    yield Fault(where, what, "set compensate: true on the act steps that shall be undone, or write fail")
                if code == "effect_diverged" and action.action != "queue":
                    yield Fault(where, "only a person can say which of the two was sent", "write queue or {queue: NAME}")


def _is_undoable(step: Step, scope: Definition) -> bool:
    """Can it leave something to undo: an effect of its own, or effects of the runs it forks?"""
    if isinstance(step, ActStep):
        return step.compensate
    inside = (inner for _, body in scope.inside(step) for inner in body.scopes())
    return isinstance(step, RunStep) or any(_is_undoable(one, inner) for inner in inside for one in inner.steps)


def _event_faults(name: str, where: str) -> Iterator[Fault]:
    """An event type that no release writes can never be on record."""
    known = [kind.name for kind in catalogue.all_types()]
    if name not in known:
        close = get_close_matches(name, known, n=1)
        yield Fault(where, f"there is no event type {name!r}", f"did you mean {close[0]}?" if close else "such as gate.settled")


def _time_faults(definition: Definition) -> Iterator[Fault]:
    """No wait is for ever, and what follows a limit leads somewhere."""
    undoable = any(_is_undoable(step, scope) for scope in definition.scopes() for step in scope.steps)
    if definition.on_deadline and definition.on_deadline.action == "compensate" and not undoable:
        what = "there is nothing to undo: no act step has compensate: true"
        yield Fault("/spec/on_deadline", what, "set compensate: true on the act steps that shall be undone, or write fail")
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            where = f"{scope.where}/steps/{index}"
            has_end = definition.deadline or step.common.deadline
            if isinstance(step, WaitStep) and step.message and not (step.within or has_end):
                yield Fault(f"{where}/wait", "could wait for ever", "say how long at most: within: 2d")
            for code in RESOURCE_CODES:
                action = step.common.on_failure.get(code)
                if isinstance(action, OnFailure) and action.action == "step":
                    what = "every other step needs the resource too"
                    yield Fault(f"{where}/on_failure/{code}", what, "write fail, compensate, queue or {queue: NAME}")


def _route_faults(definition: Definition, tables: Mapping[str, Json], schemas: Schemas) -> Iterator[Fault]:
    for scope in definition.scopes():
        for index, step in enumerate(scope.steps):
            if isinstance(step, RouteStep) and step.table in tables:
                where = f"{scope.where}/steps/{index}"
                yield from _faults_of_route(step, where, tables[step.table], schemas.within(scope))


def _faults_of_route(step: RouteStep, where: str, document: Json, schemas: Schemas) -> Iterator[Fault]:
    if broken := publishing.faults_of(document):
        yield Fault(f"{where}/route", f"routing table {step.table} cannot be published: {broken[0]}", "mend the table first")
        return
    table = routing.load(document)
    for case in sorted(table.cases - step.cases.keys()):
        remedy = "name a step or {queue: NAME} for it"
        yield Fault(f"{where}/cases", f"the table can answer {case!r}, and no case takes it", remedy)
    for case in step.cases:
        if case not in table.cases:
            pointer = case.replace("~", "~0").replace("/", "~1")
            remedy = f"its cases are {', '.join(sorted(table.cases))}"
            yield Fault(f"{where}/cases/{pointer}", f"routing table {step.table} never answers {case!r}", remedy)
    if not any(isinstance(target, str) for target in step.cases.values()):
        yield Fault(
            f"{where}/cases", "every case asks a person, so the run can never go on", "let at least one case lead to a step"
        )
    for name, column in table.columns.items():
        if name not in step.facts and not column.is_optional:
            yield Fault(f"{where}/facts", f"the table's input {name!r} gets no fact", f"map an expression to {name}")
    for name, source in step.facts.items():
        kind = table.inputs.get(name)
        if kind is None:
            remedy = f"its inputs are {', '.join(table.inputs) or 'none'}"
            yield Fault(f"{where}/facts/{name}", f"routing table {step.table} has no input {name!r}", remedy)
        elif (types := types_of(source, schemas)) and kind in _FITTING and not types & _FITTING[kind]:
            what = f"the table's input {name!r} is of type {kind}, this is {' or '.join(sorted(types))}"
            yield Fault(f"{where}/facts/{name} 1:1", what)
