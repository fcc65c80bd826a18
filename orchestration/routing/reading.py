"""From a routing table document to a table, or to everything that speaks against it. Pure.

The document has passed the kind's JSON Schema. `where` of each fault is a JSON pointer into it, followed by "line:column"
inside a condition or cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, get_args

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.expressions import Expression, ExpressionInvalid, VariableType, compile_condition
from orchestration.routing import cells, conditions, hits
from orchestration.routing.cells import CellInvalid
from orchestration.routing.regions import Region, pieces
from orchestration.routing.rows import CASE, COUNT, Band, Cell, Ranking, RoutingTable, Rule, TableTest
from orchestration.routing.values import CEL_TYPES, Column, NotOfType, column_of, read, show

_CEL: Final = "write CEL over the inputs, such as amount < 100"

MAX_RULES: Final = 1_000


@dataclass(slots=True)
class Reading:
    """A document as far as it could be read."""

    faults: list[Fault] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)


def read_spec(spec: Json) -> Reading:
    """Read everything; stop at nothing, so that all faults show at once."""
    found = Reading()
    _columns(spec, found)
    _rules(spec, found)
    found.faults += hits.faults(spec)
    if not found.faults:
        _bands(spec, found)
    found.faults += _output_faults(spec) + _test_faults(spec)
    return found


def table_of(document: Json, found: Reading) -> RoutingTable:
    """The table of a document without faults."""
    spec = document["spec"]
    policy = spec.get("hit_policy", "First")
    ranking = tuple(Ranking(one["output"], tuple(one["order"])) for one in spec.get("priority", []))
    tested = {cell.column for rule in found.rules for cell in rule.cells}
    return RoutingTable(
        name=document["metadata"]["name"],
        digest=canonical.digest_of(document),
        inputs={name: column.type for name, column in found.columns.items()},
        columns=found.columns,
        outputs=spec["outputs"],
        rules=tuple(sorted(found.rules, key=lambda rule: hits.place_of(rule, policy, ranking))),
        default=spec.get("default"),
        tests=tuple(TableTest(test["name"], test["given"], test["expect"], test.get("rule")) for test in spec.get("tests", [])),
        hit_policy=policy,
        ranking=ranking,
        aggregation=spec.get("aggregation", "list"),
        of=spec.get("of", ""),
        bands=tuple(found.bands),
        plain_types={
            name: CEL_TYPES[kind] for name, kind in spec["inputs"].items() if isinstance(kind, str) and kind in _PLAIN
        },
        cel_types=_cel_types(found.columns),
        has_conditions=any(rule.condition is not None for rule in found.rules),
        tested=tuple(column for name, column in found.columns.items() if name in tested),
    )


_PLAIN: Final = frozenset(get_args(VariableType))


def _cel_types(columns: Mapping[str, Column]) -> dict[str, VariableType]:
    return {name: CEL_TYPES[column.type] for name, column in columns.items()}


def _columns(spec: Json, found: Reading) -> None:
    for name, declared in spec["inputs"].items():
        try:
            found.columns[name] = column_of(name, declared)
        except NotOfType as error:
            found.faults += [Fault(f"/spec/inputs/{name}{one.where}", one.what, one.remedy) for one in error.faults]
            kind = declared if isinstance(declared, str) else declared["type"]
            found.columns[name] = Column(name, kind)  # so that its cells are read too


def _rules(spec: Json, found: Reading) -> None:
    seen: set[str] = set()
    if len(spec["rules"]) > MAX_RULES:
        found.faults.append(Fault("/spec/rules", f"has {len(spec['rules'])} rules; at most {MAX_RULES:,} are supported"))
    variables = _cel_types(found.columns)
    for position, row in enumerate(spec["rules"]):
        where = f"/spec/rules/{position}"
        if row["id"] in seen:
            found.faults.append(
                Fault(f"{where}/id", f"{row['id']!r} is used by an earlier rule", "give every rule an id of its own")
            )
        seen.add(row["id"])
        when = row["when"]
        condition: Expression | None = None
        regions: Mapping[str, Region] | None
        if isinstance(when, str):
            condition = _condition(when, variables, f"{where}/when", found)
            if condition is None:
                continue
            regions = conditions.regions_of(when, found.columns)
        else:
            regions = _cells(when, f"{where}/when", found)
        tested = {} if condition is not None or regions is None else regions
        row_cells = tuple(Cell(name, region.test(), region.takes_null) for name, region in tested.items())
        found.rules.append(
            Rule(row["id"], position, row.get("tier"), when, row["then"], condition, row_cells, regions, row.get("title", ""))
        )


def _condition(when: str, variables: Mapping[str, VariableType], where: str, found: Reading) -> Expression | None:
    try:
        return compile_condition(when, variables)
    except ExpressionInvalid as error:
        found.faults += [
            Fault(f"{where} {fault.where}".rstrip(), fault.what, fault.remedy or _CEL) for fault in error.faults
        ] or [Fault(where, error.detail)]
        return None


def _cells(when: Mapping[str, Json], where: str, found: Reading) -> Mapping[str, Region]:
    regions: dict[str, Region] = {}
    for name, cell in when.items():
        column = found.columns.get(name)
        if column is None:
            close = get_close_matches(name, list(found.columns), n=1)
            remedy = f"did you mean {close[0]}?" if close else f"inputs are {', '.join(found.columns) or 'none'}"
            found.faults.append(Fault(f"{where}/{name}", "is not a declared input", remedy))
            continue
        try:
            region = cells.parse(cell, column)
        except CellInvalid as error:
            found.faults += [Fault(f"{where}/{name} {one.where}", one.what, one.remedy) for one in error.faults]
            continue
        if not region.is_anything:
            regions[name] = region
    return regions


def _bands(spec: Json, found: Reading) -> None:
    """The cases of Collect, over what is collected; together they take every number there can be."""
    if spec.get("hit_policy") != "Collect":
        return
    counted = spec.get("aggregation", "list") in ("list", "count")
    column = Column(COUNT, "int", low=1) if counted else Column(spec["of"], spec["outputs"][spec["of"]])
    for index, band in enumerate(spec["cases"]):
        try:
            found.bands.append(Band(str(band["when"]), band["case"], cells.parse(band["when"], column)))
        except CellInvalid as error:
            found.faults += [Fault(f"/spec/cases/{index}/when {one.where}", one.what, one.remedy) for one in error.faults]
    if found.faults:
        return
    regions = [band.region for band in found.bands]
    for sample in pieces(column, regions):
        taking = [index for index, region in enumerate(regions) if region.holds(sample)]
        if not taking:
            what = f"no case takes {column.name} = {show(column.type, sample)}"
            found.faults.append(Fault("/spec/cases", what, 'end with {when: "-", case: NAME}'))
            return


def _output_faults(spec: Json) -> list[Fault]:
    declared: dict[str, str] = {CASE: "string", **spec["outputs"]}
    faults = [Fault("/spec/outputs/case", "is always a string")] if declared[CASE] != "string" else []
    row = spec["outputs"] if spec.get("hit_policy") == "Collect" else declared
    places: list[tuple[str, Json, Mapping[str, str]]] = [
        (f"/spec/rules/{index}/then", rule["then"], row) for index, rule in enumerate(spec["rules"])
    ]
    if "default" in spec:
        places.append(("/spec/default", spec["default"], hits.default_fields(spec)))
    for where, values, fields in places:
        for name, kind in fields.items():
            if name not in values:
                faults.append(Fault(f"{where}/{name}", "is missing; every row gives every output", f"add {name}: ..."))
            elif not _is_of(kind, values[name]) or (name == CASE and not values[name]):
                faults.append(Fault(f"{where}/{name}", f"must be of type {kind}", f"write a value of type {kind}"))
        known = {*fields, CASE}  # a case under Collect is told by the policy
        faults += [
            Fault(f"{where}/{name}", "is not a declared output", f"outputs are {', '.join(sorted(known))}")
            for name in values
            if name not in known
        ]
    return faults


def _is_of(kind: str, value: Json) -> bool:
    if value is None:
        return kind == "any"
    try:
        read(kind, value)
    except NotOfType:
        return False
    return True


def _test_faults(spec: Json) -> list[Fault]:
    faults: list[Fault] = []
    ids = {"", *(rule["id"] for rule in spec["rules"])}
    outputs = hits.output_schema(spec)["properties"]
    for index, test in enumerate(spec.get("tests", [])):
        where = f"/spec/tests/{index}"
        faults += [
            Fault(f"{where}/given/{name}", "is not a declared input", f"inputs are {', '.join(spec['inputs'])}")
            for name in test["given"]
            if name not in spec["inputs"]
        ]
        faults += [
            Fault(f"{where}/expect/{name}", "is not a declared output", f"outputs are {', '.join(outputs)}")
            for name in test["expect"]
            if name not in outputs
        ]
        unknown = [one for one in test.get("rule", "").split(",") if one not in ids]
        if unknown:
            faults.append(Fault(f"{where}/rule", f"there is no rule {unknown[0]!r}", "name the id of a rule, or default"))
    return faults
