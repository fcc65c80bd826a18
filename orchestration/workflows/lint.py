"""Everything that speaks against publishing a workflow, each with its place and a remedy. Pure over an overlay's documents.

A finding here refuses the change set: what can be known to go wrong before a run is not left to the run (DESIGN section 7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import Overlay
from orchestration.routing import tables as routing
from orchestration.workflows import parse
from orchestration.workflows.definition import ActStep, Definition, RouteStep, failure_codes_of
from orchestration.workflows.graph import after, links_of, successors
from orchestration.workflows.lint_paths import Schemas, expression_faults, schemas_of, types_of
from orchestration.workflows.lint_rights import act_faults
from orchestration.workflows.references import references_of

_KIND_WORDS: Final[Mapping[str, str]] = {
    "Contract": "contract", "RoutingTable": "routing table", "Agent": "agent", "ReviewQueue": "review queue",
    "ApprovalPolicy": "approval policy",
}  # fmt: skip

#: Type of a table's input -> JSON Schema types of what may be given to it.
_FITTING: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"string"}),
    "int": frozenset({"integer"}),
    "number": frozenset({"integer", "number"}),
    "bool": frozenset({"boolean"}),
    "list": frozenset({"array"}),
    "map": frozenset({"object"}),
}


def lint(document: Json, overlay: Overlay, *, with_rights: bool = True) -> list[Fault]:
    """Findings in a Workflow document; `where` is a JSON pointer into it, followed by "line:column" inside an expression.

    A document that cannot be read has only the findings of reading it.

    Args:
        with_rights: also ask whether the agents could ever do what they propose, locks included.
    """
    if faults := parse.faults_of(document):
        return faults
    definition = parse.load(document)
    contracts = _schemas(definition, overlay)
    tables = _tables(definition, overlay)
    schemas = schemas_of(definition, contracts, tables)
    return [
        *_unknown_references(definition, overlay),
        *_flow_faults(definition),
        *_unheard_codes(definition),
        *_compensation_faults(definition),
        *_route_faults(definition, tables, schemas),
        *expression_faults(definition, schemas),
        *act_faults(definition, contracts, overlay, with_rights=with_rights),
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
    following = successors(links_of(definition))
    first = definition.steps[0].common.id
    reached = {first} | after([first], following)
    for index, step in enumerate(definition.steps):
        name, where = step.common.id, f"/spec/steps/{index}"
        if name not in reached:
            yield Fault(where, f"step {name!r} can never be reached", "let a case, next or on_failure lead to it, or remove it")
            continue
        if name in after([name], following) and step.common.max_visits == 1:
            what = f"step {name!r} is on a loop, but may be visited only once"
            yield Fault(f"{where}/max_visits", what, "say how often at most: max_visits: 3")
        for place, needed in enumerate(step.common.requires):
            if name not in after([needed], following):
                what = f"{needed!r} can never be on record when {name!r} begins"
                yield Fault(f"{where}/requires/{place}", what, f"require a step that leads to {name!r}")


def _unheard_codes(definition: Definition) -> Iterator[Fault]:
    for index, step in enumerate(definition.steps):
        possible = failure_codes_of(step)
        for code in step.common.on_failure:
            if code not in possible:
                what = f"this step never ends with {code!r}"
                pointer = code.replace("~", "~0").replace("/", "~1")
                yield Fault(f"/spec/steps/{index}/on_failure/{pointer}", what, f"it can end with {', '.join(possible)}")


def _compensation_faults(definition: Definition) -> Iterator[Fault]:
    """Giving up into compensation needs something done before that can be undone; what only a person can settle goes to one."""
    following = successors(links_of(definition))
    undoable = [step.common.id for step in definition.steps if isinstance(step, ActStep) and step.compensate]
    for index, step in enumerate(definition.steps):
        for code, action in step.common.on_failure.items():
            where = f"/spec/steps/{index}/on_failure/{code.replace('~', '~0').replace('/', '~1')}"
            if action.action == "compensate" and not any(step.common.id in after([name], following) for name in undoable):
                what = "there is nothing to undo: no act step before this one has compensate: true"
                yield Fault(where, what, "set compensate: true on the act steps that shall be undone, or write fail")
            if code == "effect_diverged" and action.action != "queue":
                yield Fault(where, "only a person can say which of the two was sent", "write queue or {queue: NAME}")


def _route_faults(definition: Definition, tables: Mapping[str, Json], schemas: Schemas) -> Iterator[Fault]:
    for index, step in enumerate(definition.steps):
        if isinstance(step, RouteStep) and step.table in tables:
            yield from _faults_of_route(step, f"/spec/steps/{index}", tables[step.table], schemas)


def _faults_of_route(step: RouteStep, where: str, document: Json, schemas: Schemas) -> Iterator[Fault]:
    if broken := routing.faults_of(document):
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
    for name in table.inputs:
        if name not in step.facts:
            yield Fault(f"{where}/facts", f"the table's input {name!r} gets no fact", f"map an expression to {name}")
    for name, source in step.facts.items():
        kind = table.inputs.get(name)
        if kind is None:
            remedy = f"its inputs are {', '.join(table.inputs) or 'none'}"
            yield Fault(f"{where}/facts/{name}", f"routing table {step.table} has no input {name!r}", remedy)
        elif (types := types_of(source, schemas)) and kind in _FITTING and not types & _FITTING[kind]:
            what = f"the table's input {name!r} is of type {kind}, this is {' or '.join(sorted(types))}"
            yield Fault(f"{where}/facts/{name} 1:1", what)
