"""Does what is handed over fit the contract of whoever takes it? As far as that is known before any run. Pure.

A workflow hands over twice: its `run` steps give an input to another workflow, and it leaves an output itself. Expressions are
followed where they are plain places, values written out, and maps written out, to any depth; what anything else computes is
held to the contract when it is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from orchestration.workflows import contract_paths
from orchestration.workflows.definition import Definition
from orchestration.workflows.output_schemas import Schemas, schema_at, types_of
from orchestration.workflows.paths import fields_of

#: JSON Schema calls a whole number both.
_WIDER: Final[Mapping[str, frozenset[str]]] = {"integer": frozenset({"integer", "number"})}


@dataclass(frozen=True, slots=True)
class Taker:
    """Whoever takes it: its contract with the schema, and its names in "X needs ..." and "X has no ..."."""

    contract: str
    schema: Json
    needs: str
    has: str


@dataclass(frozen=True, slots=True)
class Given:
    """One value that is handed over: its expression, the pointer of that, and line:column in it."""

    source: str
    where: str
    place: str = "1:1"


def output_faults(definition: Definition, schemas: Schemas, contracts: Mapping[str, Json]) -> Iterator[Fault]:
    """What the workflow leaves behind as a whole, against the contract it names for that."""
    schema = contracts.get(definition.output_contract)
    if schema is not None:
        taker = Taker(definition.output_contract, schema, "the output", definition.output_contract)
        yield from value_faults(Given(definition.output, "/spec/output/value"), taker, (), schemas)


def map_faults(
    given: Mapping[str, Given], taker: Taker, where: str, schemas: Schemas, path: tuple[str, ...] = ()
) -> Iterator[Fault]:
    """A field the contract refuses, one that it requires and does not get, one whose value does not fit.

    Args:
        where: of the map as a whole; path: of the map in the message.
    """
    part = contract_paths.subschema(taker.schema, path)
    for name in sorted(contract_paths.required_at(part, ()) - given.keys()):
        shown = ".".join((*path, name))
        yield Fault(where, f"{taker.needs} needs {shown!r} ({taker.contract}), and does not get it", f"add {name}: ...")
    fields = contract_paths.fields_at(part, ())
    for name, value in given.items():
        if contract_paths.has(part, (name,)) == "no":
            what = f"{taker.has} has no {'.'.join((*path, name))!r}"
            yield Fault(value.where, what, f"it has {', '.join(fields)}" if fields else "there are no fields there")
        else:
            yield from value_faults(value, taker, (*path, name), schemas)


def value_faults(value: Given, taker: Taker, path: tuple[str, ...], schemas: Schemas) -> Iterator[Fault]:
    """One value, against what the contract says of its place in the message."""
    where = f"{value.where} {value.place}"
    given, taken = types_of(value.source, schemas), contract_paths.types_at(taker.schema, path)
    wide = frozenset(wider for kind in given for wider in _WIDER.get(kind, {kind}))
    if given and taken and not wide & taken:
        what = f"{taker.contract} wants {' or '.join(sorted(taken))} here, this is {' or '.join(sorted(given))}"
        yield Fault(where, what, f"read or compute a value that is {' or '.join(sorted(taken))}")
        return
    written = fields_of(value.source)
    if written is not None:
        # Inside a map in a map the outer field is named: columns are counted in one expression only.
        inner = {
            name: Given(field.source, value.where, value.place if path else field.place) for name, field in written.items()
        }
        yield from map_faults(inner, taker, where, schemas, path)
    else:
        yield from _place_faults(value, taker, path, schemas)


def _place_faults(value: Given, taker: Taker, path: tuple[str, ...], schemas: Schemas) -> Iterator[Fault]:
    """A plain place with a contract of its own: what that never has, or always has, may settle it."""
    source, part = schema_at(value.source, schemas), contract_paths.subschema(taker.schema, path)
    where = f"{value.where} {value.place}"
    for name in sorted(contract_paths.required_at(part, ())):
        if contract_paths.has(source, (name,)) == "no":
            what = f"{taker.needs} needs {'.'.join((*path, name))!r} ({taker.contract}), and {value.source} never has it"
            yield Fault(where, what, f'write the fields out: {{"{name}": ...}}')
    for name in sorted(contract_paths.required_at(source, ())):
        if contract_paths.has(part, (name,)) == "no":
            what = f"{taker.has} has no {'.'.join((*path, name))!r}, which {value.source} always has"
            yield Fault(where, what, "write out the fields that it takes")
