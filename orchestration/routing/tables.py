"""Deterministic decision tables in DMN words over CEL. Pure.

Order is total: rules are tried by tier (1 before 2; rules without a tier come last), and inside a tier in the order they are
written. Hit policy First: the first rule whose condition is true wins, so no tie is ever left to chance. The default is
mandatory, so a route always exists. An error in a condition ends the search and gives the default, recorded (DESIGN promise
10): a rule that could not be judged must not let a later, weaker one win.

Source: DMN 1.5, section 8.2.8 (hit policies). Tiers and the meaning of an error are ours, docs/adr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from aegis.core.expressions import Expression, ExpressionInvalid, Failed, VariableType, bind, compile_condition

MAX_RULES: Final = 1_000
CASE: Final = "case"
_NO_TIER: Final = 1_000_000  # behind every tier a table may name

_PYTHON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "int": (int,), "number": (int, float), "bool": (bool,), "list": (list,), "map": (dict,),
    "any": (str, int, float, bool, list, dict, type(None)),
}  # fmt: skip


class TableInvalid(Invalid):
    """Refused at save; `faults` point into the document."""

    code, title = "table_invalid", "The routing table cannot be used"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `position` counts from 0 in the document; `tier` is None when the row names none."""

    id: str
    position: int
    tier: int | None
    when: str
    then: Mapping[str, Json]
    condition: Expression


@dataclass(frozen=True, slots=True)
class TableTest:
    """An example stored with the table: these facts must give this output (and, if named, by this rule; "" = the default)."""

    name: str
    given: Mapping[str, Json]
    expect: Mapping[str, Json]
    rule: str | None


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """A table ready to choose. `rules` are in the order in which they are tried."""

    name: str
    digest: str
    inputs: Mapping[str, VariableType]
    outputs: Mapping[str, VariableType]
    rules: tuple[Rule, ...]
    default: Mapping[str, Json]
    tests: tuple[TableTest, ...]

    @property
    def cases(self) -> frozenset[str]:
        """Every case the table can answer: what a `route` step must know where to send."""
        return frozenset({str(self.default[CASE]), *(str(rule.then[CASE]) for rule in self.rules)})


@dataclass(frozen=True, slots=True)
class Route:
    """What a table answered, and how it came to that.

    Attributes:
        rule: id of the rule that won; "" when the default did.
        output: a copy of the winning outputs, "case" among them.
        is_fallback: the default won because a condition could not be judged, not because nothing matched.
        errors: "rule: reason" of such conditions.
        trace: (rule id, outcome) of each rule tried, in order; None = error.
    """

    rule: str
    tier: int | None
    output: dict[str, Json]
    is_fallback: bool
    errors: tuple[str, ...]
    trace: tuple[tuple[str, bool | None], ...]

    @property
    def case(self) -> str:
        return str(self.output[CASE])


def load(document: Json) -> RoutingTable:
    """Compile a routing table document; the same document is compiled once per process.

    Raises:
        TableInvalid: every fault that `faults_of` finds except failing tests.
    """
    return _loaded(canonical.dump(document))


def choose(table: RoutingTable, facts: Mapping[str, Json]) -> Route:
    """Answer for these facts. Total and deterministic: same table and facts, same route and trace.

    Args:
        facts: input name -> value. A missing fact, or one of another type than declared, is an error of the conditions that
            need it; facts the table does not declare are not seen by it.
    """
    known = bind(_usable(table.inputs, facts), table.inputs)
    trace: list[tuple[str, bool | None]] = []
    for rule in table.rules:
        outcome = rule.condition.test(known)
        if isinstance(outcome, Failed):
            trace.append((rule.id, None))
            return Route("", None, dict(table.default), True, (f"{rule.id}: {outcome.reason}",), tuple(trace))
        trace.append((rule.id, outcome))
        if outcome:
            return Route(rule.id, rule.tier, dict(rule.then), False, (), tuple(trace))
    return Route("", None, dict(table.default), False, (), tuple(trace))


def failing_tests(table: RoutingTable) -> list[Fault]:
    """The stored examples that the table does not fulfil; `where` points at the test."""
    faults: list[Fault] = []
    for index, test in enumerate(table.tests):
        route = choose(table, test.given)
        wrong = {name: route.output.get(name) for name, value in test.expect.items() if route.output.get(name) != value}
        came_by = f"rule {route.rule!r}" if route.rule else "the default"
        if route.errors:
            came_by = f"the default, because {route.errors[0]}"
        if wrong:
            name, got = next(iter(wrong.items()))
            what = f"test {test.name!r} expects {name} = {test.expect[name]!r}, got {got!r} by {came_by}"
            faults.append(Fault(f"/spec/tests/{index}", what))
        elif test.rule is not None and test.rule != route.rule:
            faults.append(Fault(f"/spec/tests/{index}", f"test {test.name!r} expects rule {test.rule!r}, decided by {came_by}"))
    return faults


def faults_of(document: Json) -> list[Fault]:
    """Everything that speaks against a document that already satisfies the kind's JSON Schema: structure, then tests."""
    spec = document["spec"]
    faults, _ = _compile_rules(spec)
    faults += _faults_of_outputs(spec) + _faults_of_tests(spec) + _unreachable(spec)
    return faults or failing_tests(load(document))


@lru_cache(maxsize=256)
def _loaded(raw: bytes) -> RoutingTable:
    document = orjson.loads(raw)
    spec = document["spec"]
    faults, rules = _compile_rules(spec)
    faults += _faults_of_outputs(spec) + _faults_of_tests(spec)
    if faults:
        raise TableInvalid(f"The routing table cannot be used: {faults[0]}", faults=faults)
    return RoutingTable(
        name=document["metadata"]["name"],
        digest=canonical.digest(raw),
        inputs=spec["inputs"],
        outputs=spec["outputs"],
        rules=tuple(sorted(rules, key=_order)),
        default=spec["default"],
        tests=tuple(TableTest(test["name"], test["given"], test["expect"], test.get("rule")) for test in spec.get("tests", [])),
    )


def _order(rule: Rule) -> tuple[int, int]:
    return (_NO_TIER if rule.tier is None else rule.tier, rule.position)


def _usable(inputs: Mapping[str, VariableType], facts: Mapping[str, Json]) -> dict[str, Json]:
    """The declared facts of the declared type; the rest is left out, so a condition that touches it ends in error."""
    known: dict[str, Json] = {}
    for name, kind in inputs.items():
        if name in facts and _is_of(kind, value := facts[name]):
            known[name] = float(value) if kind == "number" else value
    return known


def _is_of(kind: str, value: Json) -> bool:
    """bool is no number here, though Python says so."""
    if isinstance(value, bool):
        return kind in ("bool", "any")
    return isinstance(value, _PYTHON_TYPES[kind])


def _compile_rules(spec: Json) -> tuple[list[Fault], list[Rule]]:
    faults: list[Fault] = []
    rules: list[Rule] = []
    seen: set[str] = set()
    if len(spec["rules"]) > MAX_RULES:
        faults.append(Fault("/spec/rules", f"has {len(spec['rules'])} rules; at most {MAX_RULES:,} are supported"))
    for position, row in enumerate(spec["rules"]):
        if row["id"] in seen:
            faults.append(Fault(f"/spec/rules/{position}/id", f"{row['id']!r} is used by an earlier rule"))
        seen.add(row["id"])
        try:
            condition = compile_condition(row["when"], spec["inputs"])
        except ExpressionInvalid as error:
            faults += [Fault(f"/spec/rules/{position}/when {fault.where}".rstrip(), fault.what) for fault in error.faults] or [
                Fault(f"/spec/rules/{position}/when", error.detail)
            ]
            continue
        rules.append(Rule(row["id"], position, row.get("tier"), row["when"], row["then"], condition))
    return faults, rules


def _faults_of_outputs(spec: Json) -> list[Fault]:
    declared: dict[str, str] = {CASE: "string", **spec["outputs"]}
    faults = [Fault("/spec/outputs/case", "is always a string")] if declared[CASE] != "string" else []
    places = [(f"/spec/rules/{index}/then", rule["then"]) for index, rule in enumerate(spec["rules"])]
    for where, values in [*places, ("/spec/default", spec["default"])]:
        for name, kind in declared.items():
            if name not in values:
                faults.append(Fault(f"{where}/{name}", "is missing; every row gives every output"))
            elif not _is_of(kind, values[name]) or (name == CASE and not values[name]):
                faults.append(Fault(f"{where}/{name}", f"must be of type {kind}"))
        faults += [Fault(f"{where}/{name}", "is not a declared output") for name in values if name not in declared]
    return faults


def _faults_of_tests(spec: Json) -> list[Fault]:
    faults: list[Fault] = []
    ids = {"", *(rule["id"] for rule in spec["rules"])}
    for index, test in enumerate(spec.get("tests", [])):
        where = f"/spec/tests/{index}"
        faults += [
            Fault(f"{where}/given/{name}", "is not a declared input") for name in test["given"] if name not in spec["inputs"]
        ]
        faults += [
            Fault(f"{where}/expect/{name}", "is not a declared output")
            for name in test["expect"]
            if name != CASE and name not in spec["outputs"]
        ]
        if test.get("rule", "") not in ids:
            faults.append(Fault(f"{where}/rule", f"there is no rule {test['rule']!r}"))
    return faults


def _unreachable(spec: Json) -> list[Fault]:
    """Rules that can never win, as far as it shows from the text: after a condition that is always true, or a repeated one."""
    rows = sorted(enumerate(spec["rules"]), key=lambda item: (item[1].get("tier") or _NO_TIER, item[0]))
    faults: list[Fault] = []
    earlier: dict[str, str] = {}
    for position, row in rows:
        condition = "".join(row["when"].split()) if '"' not in row["when"] and "'" not in row["when"] else row["when"].strip()
        blocker = earlier.get("true") or earlier.get(condition)
        if blocker:
            what = f"rule {row['id']!r} can never win: rule {blocker!r}, tried before it, matches whenever it would"
            faults.append(Fault(f"/spec/rules/{position}", what))
        earlier.setdefault(condition, row["id"])
    return faults
