"""Lint of expressions: they compile, read steps that exist and come before, and places that the contracts have. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import ExpressionInvalid, VariableType, compile_condition, compile_value
from orchestration.workflows import contract_paths
from orchestration.workflows.definition import (
    VARIABLES,
    ActStep,
    AgentStep,
    Definition,
    FinishStep,
    GateStep,
    ReviewStep,
    RouteStep,
    SetStep,
    Step,
)
from orchestration.workflows.graph import after, links_of, successors
from orchestration.workflows.paths import Path, paths_of

#: What an effect leaves as the output of its `act` step: a local one the record's place, a remote one its answer.
_ACT_OUTPUT: Final[Json] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "resource": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"type": {"type": "string"}, "id": {"type": "string"}},
        },
        "version": {"type": "integer"},
        "result": {},
        "reference": {"type": "string"},  # what it is called outside, where a person stated that it happened
    },
}

#: Words that CEL does not take after a dot.
_RESERVED: Final = frozenset(
    ["as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace",
     "null", "package", "return", "true", "var", "void", "while"]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mention:
    """One expression of a workflow: where it stands, and the step it belongs to (None: the workflow as a whole)."""

    where: str
    source: str
    step: Step | None = None
    is_condition: bool = False
    sees_steps: bool = True

    @property
    def variables(self) -> Mapping[str, VariableType]:
        return dict(VARIABLES) if self.sees_steps else {"input": "map"}


@dataclass(frozen=True, slots=True)
class Schemas:
    """JSON Schemas of what expressions can read. A missing one is faulted elsewhere, so nothing is said about its places."""

    input: Json | None
    outputs: Mapping[str, Json | None]


def mentions_of(definition: Definition) -> Iterator[Mention]:
    """Every expression, in document order."""
    yield Mention("/spec/business_key", definition.business_key, sees_steps=False)
    yield Mention("/spec/priority", definition.priority, sees_steps=False)
    for index, step in enumerate(definition.steps):
        yield from _mentions_of_step(step, f"/spec/steps/{index}")
    if definition.success:
        yield Mention("/spec/success", definition.success, is_condition=True)


def schemas_of(definition: Definition, contracts: Mapping[str, Json], tables: Mapping[str, Json]) -> Schemas:
    """What each step leaves behind.

    Args:
        contracts: name -> JSON Schema; tables: name -> document, of those that exist.
    """
    outputs: dict[str, Json | None] = {}
    for step in definition.steps:
        name = step.common.id
        match step:
            case AgentStep() | ReviewStep():
                outputs[name] = contracts.get(step.output)
            case ActStep():
                outputs[name] = _ACT_OUTPUT
            case RouteStep():
                outputs[name] = _table_output(tables.get(step.table))
            case SetStep():
                outputs[name] = _closed({value: {} for value in step.values})
            case GateStep() | FinishStep():
                outputs[name] = False
            case _:
                assert_never(step)
    return Schemas(input=contracts.get(definition.input), outputs=outputs)


def expression_faults(definition: Definition, schemas: Schemas) -> Iterator[Fault]:
    """Everything that speaks against the expressions of a definition."""
    following = successors(links_of(definition))
    reach = {step.common.id: after([step.common.id], following) for step in definition.steps}
    for mention in mentions_of(definition):
        faults = list(_compile_faults(mention, definition)) or list(_type_faults(mention, schemas))
        yield from faults
        if not faults:
            for path in paths_of(mention.source):
                yield from _path_faults(path, mention, definition, schemas, reach)


def types_of(source: str, schemas: Schemas) -> frozenset[str]:
    """JSON Schema types an expression can have, as far as that is known: only of a plain place."""
    paths = paths_of(source)
    if len(paths) != 1 or not paths[0].is_whole:
        return frozenset()
    path = paths[0]
    if path.root == "input":
        return contract_paths.types_at(schemas.input, path.parts) if schemas.input is not None else frozenset()
    schema = schemas.outputs.get(path.step)
    if len(path.parts) < 2 or path.parts[1] != "output" or schema is None:
        return frozenset()
    return contract_paths.types_at(schema, path.parts[2:])


def _mentions_of_step(step: Step, where: str) -> Iterator[Mention]:
    match step:
        case AgentStep():
            for name, source in step.input.items():
                yield Mention(f"{where}/input/{name}", source, step)
        case ActStep():
            yield Mention(f"{where}/act", step.act, step)
        case RouteStep():
            for name, source in step.facts.items():
                yield Mention(f"{where}/facts/{name}", source, step)
        case GateStep():
            if step.proposal:
                yield Mention(f"{where}/proposal", step.proposal, step)
        case SetStep():
            for name, source in step.values.items():
                yield Mention(f"{where}/set/{name}", source, step)
        case ReviewStep() | FinishStep():
            return
        case _:
            assert_never(step)


def _compile_faults(mention: Mention, definition: Definition) -> Iterator[Fault]:
    try:
        if mention.is_condition:
            compile_condition(mention.source, mention.variables)
        else:
            compile_value(mention.source, mention.variables)
    except ExpressionInvalid as error:
        remedy = _bracket_remedy(mention.source, definition)
        if not remedy and not mention.sees_steps:
            remedy = "only input is known here"
        elif not remedy and "undeclared reference" in str(error):
            remedy = "expressions see input and steps"
        for fault in error.faults or (Fault("", error.detail),):
            yield Fault(f"{mention.where} {fault.where}".rstrip(), fault.what, remedy)


def _type_faults(mention: Mention, schemas: Schemas) -> Iterator[Fault]:
    """The business key is text and the priority a whole number, as far as CEL and the contract can tell before any run."""
    for where, against, fitting, what in (
        ("/spec/business_key", '""', {"string"}, "the business key must be text"),
        ("/spec/priority", "1", {"integer", "number"}, "the priority must be a whole number"),
    ):
        if mention.where != where:
            continue
        try:
            compile_value(f"({mention.source}) == {against}", mention.variables)
        except ExpressionInvalid:
            yield Fault(f"{where} 1:1", what)
            return
        types = types_of(mention.source, schemas)
        if types and not types & fitting:
            yield Fault(f"{where} 1:1", f"{what}, and the contract says {' or '.join(sorted(types))}")


def _bracket_remedy(source: str, definition: Definition) -> str:
    for step in definition.steps:
        name = step.common.id
        if ("-" in name or name in _RESERVED) and re.search(rf"\bsteps\s*\.\s*{re.escape(name)}\b", source):
            return f'write steps["{name}"]'
    return ""


def _path_faults(
    path: Path, mention: Mention, definition: Definition, schemas: Schemas, reach: Mapping[str, frozenset[str]]
) -> Iterator[Fault]:
    place = f"{mention.where} {path.place}"
    if path.root == "input":
        if schemas.input is not None:
            yield from _missing_in(schemas.input, path, 0, place, f"contract {definition.input}")
        return
    if not path.parts:
        return
    steps = {step.common.id: step for step in definition.steps}
    if path.step not in steps:
        yield Fault(place, f"there is no step {path.step!r}", f"steps are {', '.join(steps)}")
        return
    if mention.step is not None and mention.step.common.id not in reach[path.step]:
        own = mention.step.common.id == path.step
        what = f"step {path.step!r} has no output before it is done" if own else f"{path.step!r} never comes before this step"
        yield Fault(place, what, f"read a step that leads to {mention.step.common.id!r}")
        return
    if len(path.parts) == 1:
        return
    if path.parts[1] == "case" and isinstance(steps[path.step], RouteStep):
        if len(path.parts) > 2:
            yield Fault(place, "a case is text, it has no fields", f"write steps.{path.step}.case")
        return
    if path.parts[1] != "output":
        known = "output or case" if isinstance(steps[path.step], RouteStep) else "output"
        yield Fault(place, f"a step has no {path.parts[1]!r}", f"write steps.{path.step}.{known}")
        return
    schema = schemas.outputs[path.step]
    if schema is False:
        yield Fault(place, f"step {path.step!r} leaves no output behind", "read the output of another step")
    elif schema is not None:
        yield from _missing_in(schema, path, 2, place, _source_of(steps[path.step]))


def _missing_in(schema: Json, path: Path, start: int, place: str, whose: str) -> Iterator[Fault]:
    inner = path.parts[start:]
    index = contract_paths.first_missing(schema, inner)
    if index is None:
        return
    known = contract_paths.fields_at(schema, inner[:index])
    shown = Path(path.root, path.parts[: start + index + 1], "")
    remedy = f"fields there are {', '.join(known)}" if known else "there are no fields there"
    yield Fault(place, f"{whose} has no {shown}", remedy)


def _source_of(step: Step) -> str:
    match step:
        case AgentStep() | ReviewStep():
            return f"contract {step.output}"
        case RouteStep():
            return f"routing table {step.table}"
        case _:
            return f"the output of {step.common.id!r}"


def _table_output(table: Json | None) -> Json | None:
    if table is None:
        return None
    kinds = {"string": "string", "int": "integer", "number": "number", "bool": "boolean", "list": "array", "map": "object"}
    outputs = {"case": "string", **table["spec"].get("outputs", {})}
    properties = {name: {"type": kinds[kind]} if kind in kinds else {} for name, kind in outputs.items()}
    return _closed(properties)


def _closed(properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties}
