"""JSON Schemas of what expressions can read: what each step leaves behind, inside blocks too. Pure.

Lint holds paths against them. A schema of None belongs to something that does not exist, which is faulted elsewhere; False says
that there is no output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from aegis.core.canonical import Json
from orchestration.routing import hits
from orchestration.workflows import contract_paths
from orchestration.workflows.definition import (
    ActStep,
    AgentStep,
    Definition,
    FinishStep,
    GateStep,
    MapStep,
    ParallelStep,
    ReviewStep,
    RouteStep,
    RunStep,
    SetStep,
    WaitStep,
)
from orchestration.workflows.paths import Path, paths_of, type_written

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


@dataclass(frozen=True, slots=True)
class Schemas:
    """JSON Schemas of what expressions can read. A missing one is faulted elsewhere, so nothing is said about its places."""

    input: Json | None
    outputs: Mapping[str, Json | None]
    item: Json | None = None  # inside a map; see `within`
    items: Mapping[str, Json | None] = field(default_factory=dict)  # path of a scope -> what its `item` is

    def within(self, scope: Definition) -> Schemas:
        """What the expressions of one scope can read."""
        return replace(self, item=self.items.get(scope.path))


def schemas_of(
    definition: Definition,
    contracts: Mapping[str, Json],
    tables: Mapping[str, Json],
    workflows: Mapping[str, Json | None] | None = None,
) -> Schemas:
    """What each step leaves behind, inside bodies too.

    Args:
        contracts: name -> JSON Schema; tables: name -> document, of those that exist.
        workflows: name -> JSON Schema of what a run of it leaves behind.
    """
    outputs: dict[str, Json | None] = {}
    items: dict[str, Json | None] = {}
    found = Schemas(input=contracts.get(definition.input), outputs=outputs, items=items)
    _fill(definition, None, found, outputs, items, (contracts, tables, workflows or {}))
    return found


_Known = tuple[Mapping[str, Json], Mapping[str, Json], Mapping[str, "Json | None"]]


def _fill(
    scope: Definition,
    item: Json | None,
    found: Schemas,
    outputs: dict[str, Json | None],
    items: dict[str, Json | None],
    known: _Known,
) -> None:
    """Note the outputs of a scope's steps, and of the bodies in it before the block they make up."""
    contracts, tables, workflows = known
    items[scope.path] = item
    for step in scope.steps:
        name = step.common.id
        match step:
            case AgentStep() | ReviewStep():
                outputs[name] = contracts.get(step.output)
            case ActStep():
                outputs[name] = _ACT_OUTPUT
            case RouteStep():
                table = tables.get(step.table)
                outputs[name] = hits.output_schema(table["spec"]) if table is not None else None
            case SetStep():
                outputs[name] = _closed({value: {} for value in step.values})
            case ParallelStep() | MapStep():
                one = _item_of(step, found.within(scope)) if isinstance(step, MapStep) else item
                bodies: dict[str, Json] = {}
                for branch, inner in scope.inside(step):
                    _fill(inner, one, found, outputs, items, known)
                    bodies[branch] = body_schema(inner, found)
                outputs[name] = _map_output(step, bodies[""]) if isinstance(step, MapStep) else _joined(bodies)
            case RunStep():
                outputs[name] = workflows.get(step.workflow)
            case WaitStep():
                outputs[name] = contracts.get(step.output) if step.output else False
            case GateStep() | FinishStep():
                outputs[name] = False
            case _:
                assert_never(step)


def body_schema(scope: Definition, schemas: Schemas) -> Json:
    """What a body leaves to its block: what its `output` computes, as far as that can be known, or every output by step."""
    if scope.output:
        return schema_at(scope.output, schemas.within(scope))
    own = {step.common.id: schemas.outputs.get(step.common.id) for step in scope.steps}
    return _joined({name: {} if schema is None else schema for name, schema in own.items() if schema is not False})


def schema_at(source: str, schemas: Schemas) -> Json:
    """JSON Schema of what an expression gives: known only of a plain place, {} otherwise."""
    paths = paths_of(source)
    if len(paths) != 1 or not paths[0].is_whole:
        return {}
    schema, start = root_of(paths[0], schemas)
    return {} if schema is None or schema is False else contract_paths.subschema(schema, paths[0].parts[start:])


def root_of(path: Path, schemas: Schemas) -> tuple[Json | None, int]:
    """The schema a path is held against, and how many of its parts lead there."""
    match path.root:
        case "input":
            return schemas.input, 0
        case "item":
            return schemas.item, 0
        case _:
            is_output = len(path.parts) > 1 and path.parts[1] == "output"
            return (schemas.outputs.get(path.step) if is_output else None), 2


def _item_of(step: MapStep, schemas: Schemas) -> Json | None:
    return contract_paths.subschema(schema_at(step.items, schemas), (0,)) or None


def _joined(bodies: Mapping[str, Json]) -> Json:
    return _closed({name: contract_paths.moved(schema, f"/properties/{name}") for name, schema in bodies.items()})


def _map_output(step: MapStep, body: Json) -> Json:
    place = "/properties/items/items"
    item = contract_paths.moved(body, place)
    if step.collects:
        item = {"anyOf": [contract_paths.moved(body, f"{place}/anyOf/0"), {"type": "null"}]}
    failure = _closed({"index": {"type": "integer"}, "code": {"type": "string"}})
    return _closed({"items": {"type": "array", "items": item}, "failures": {"type": "array", "items": failure}})


def types_of(source: str, schemas: Schemas) -> frozenset[str]:
    """JSON Schema types an expression can have, as far as that is known: of a plain place, and of what is written out."""
    if written := type_written(source):
        return frozenset([written])
    paths = paths_of(source)
    if len(paths) != 1 or not paths[0].is_whole:
        return frozenset()
    path = paths[0]
    schema, start = root_of(path, schemas)
    return contract_paths.types_at(schema, path.parts[start:]) if schema is not None else frozenset()


def _closed(properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties}
