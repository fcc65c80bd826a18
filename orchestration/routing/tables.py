"""Deterministic decision tables in DMN words, over typed cells and CEL. Pure.

Order is total: under First rules are tried by tier (1 before 2; rules without a tier come last), and inside a tier in the order
they are written; `routing.hits` says what the other policies do. Whatever a table cannot settle gives its default: no rule
matched, a condition could not be judged, or hits contradict their policy. The last two are recorded as errors (DESIGN promise
10): a rule that could not be judged must not let a weaker one win.

Source: DMN 1.5, section 8.2.8 (hit policies). Tiers and the meaning of an error are ours, docs/adr/0004 and 0023.
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
from aegis.core.expressions import Bound, Failed, bind
from orchestration.routing import hits
from orchestration.routing.reading import MAX_RULES, read_spec, table_of
from orchestration.routing.rows import CASE, RoutingTable, Rule, TableTest
from orchestration.routing.values import NotOfType, Value, for_cel

__all__ = ["CASE", "MAX_RULES", "RoutingTable", "Rule", "TableTest", "choose", "failing_tests", "load", "matching"]

MAX_NAMED: Final = 20  # rules that a record of several hits names; the rest is a number

_PYTHON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,), "int": (int,), "number": (int, float), "bool": (bool,), "list": (list,), "map": (dict,),
    "any": (str, int, float, bool, list, dict, type(None)),
}  # fmt: skip


class TableInvalid(Invalid):
    """Refused at save; `faults` point into the document."""

    code, title = "table_invalid", "The routing table cannot be used"


@dataclass(frozen=True, slots=True)
class Route:
    """What a table answered, and how it came to that.

    Attributes:
        rule: id of the rule that won, or of all hits, joined by commas; "" when the default did.
        output: a copy of what was answered, "case" among it; {} when a table without a default could not be asked.
        is_fallback: the default won because something could not be judged, not because nothing matched.
        errors: "rule: reason" of what could not be.
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
        """ "" only for a table without a default that could not be asked: then a person chooses."""
        return str(self.output.get(CASE, ""))


def load(document: Json) -> RoutingTable:
    """Compile a routing table document; the same document is compiled once per process.

    Raises:
        TableInvalid: every fault of its structure. What the analysis finds and failing tests speak against publishing alone
            (`routing.analysis.faults_of`), so a table once published stays usable.
    """
    return _loaded(canonical.dump(document))


def choose(table: RoutingTable, facts: Mapping[str, Json]) -> Route:
    """Answer for these facts. Total and deterministic: same table and facts, same route and trace.

    Args:
        facts: input name -> value. A fact that is missing, or not as declared, is an error of the rules that need it; facts the
            table does not declare are not seen by it.
    """
    bound, seen = _made_ready(table, facts)
    is_single_hit = table.is_single_hit
    trace: list[tuple[str, bool | None]] = []
    found: list[Rule] = []
    for rule in table.rules:
        outcome = rule.condition.test(bound) if rule.condition is not None else seen.judge(rule)
        if isinstance(outcome, Failed):
            trace.append((rule.id, None))
            return _default(table, f"{rule.id}: {outcome.reason}", trace)
        trace.append((rule.id, outcome))
        if outcome:
            if is_single_hit:
                return Route(rule.id, rule.tier, dict(rule.then), False, (), tuple(trace))
            found.append(rule)
    if not found:
        return _default(table, "" if table.default is not None else "no rule matches, and there is no default", trace)
    output = hits.answer(table, found)
    if isinstance(output, str):
        return _default(table, output, trace)
    return Route(_named(found), found[0].tier, output, False, (), tuple(trace))


def matching(table: RoutingTable, facts: Mapping[str, Json]) -> dict[str, bool | None]:
    """What each rule alone says to these facts, whatever the hit policy; None = it cannot be judged."""
    bound, seen = _made_ready(table, facts)
    found: dict[str, bool | None] = {}
    for rule in table.rules:
        outcome = rule.condition.test(bound) if rule.condition is not None else seen.judge(rule)
        found[rule.id] = None if isinstance(outcome, Failed) else outcome
    return found


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


def _made_ready(table: RoutingTable, facts: Mapping[str, Json]) -> tuple[Bound, _Seen]:
    """The facts for rows in CEL and for rows of cells; what a table has no row for costs nothing."""
    bound = bind(_usable(table, facts), table.cel_types) if table.has_conditions else Bound(None)
    return bound, _Seen(table, facts) if table.tested else _NOTHING_TESTED


class _Seen:
    """The facts of one question, read once for all cells."""

    __slots__ = ("_amiss", "_values")

    def __init__(self, table: RoutingTable | None, facts: Mapping[str, Json]) -> None:
        self._values: dict[str, Value] = {}
        self._amiss: dict[str, str] = {}
        for column in table.tested if table is not None else ():
            try:
                if column.name in facts or column.is_optional:
                    self._values[column.name] = column.read(facts.get(column.name))
                else:
                    self._amiss[column.name] = "is missing"
            except NotOfType as error:
                self._amiss[column.name] = error.detail

    def judge(self, rule: Rule) -> bool | Failed:
        """A row of cells. One that is false makes the row false, whatever is amiss with the others."""
        amiss = ""
        for cell in rule.cells:
            if cell.column in self._amiss:
                amiss = amiss or cell.column
                continue
            value = self._values[cell.column]
            if not (cell.takes_null if value is None else cell.test(value)):
                return False
        return Failed(f"{amiss} {self._amiss[amiss]}") if amiss else True


_NOTHING_TESTED: Final = _Seen(None, {})


def _usable(table: RoutingTable, facts: Mapping[str, Json]) -> dict[str, Json]:
    """The facts that are as declared; the rest is left out, so a condition that touches it ends in error."""
    known: dict[str, Json] = {}
    for name, kind in table.plain_types.items():
        if name in facts and _is_of(kind, value := facts[name]):
            known[name] = float(value) if kind == "number" else value
    if len(table.plain_types) == len(table.columns):
        return known
    for name, column in table.columns.items():
        if name in table.plain_types or facts.get(name) is None:
            continue
        try:
            known[name] = for_cel(column.type, column.read(facts[name]))
        except NotOfType:
            continue
    return known


def _is_of(kind: str, value: Json) -> bool:
    """bool is no number here, though Python says so."""
    if isinstance(value, bool):
        return kind in ("bool", "any")
    return isinstance(value, _PYTHON_TYPES[kind])


def _default(table: RoutingTable, error: str, trace: list[tuple[str, bool | None]]) -> Route:
    return Route("", None, hits.default_output(table), bool(error), (error,) if error else (), tuple(trace))


def _named(found: list[Rule]) -> str:
    names = [rule.id for rule in found[:MAX_NAMED]]
    return ",".join(names) + (f",+{len(found) - MAX_NAMED}" if len(found) > MAX_NAMED else "")


@lru_cache(maxsize=256)
def _loaded(raw: bytes) -> RoutingTable:
    document = orjson.loads(raw)
    found = read_spec(document["spec"])
    if found.faults:
        raise TableInvalid(f"The routing table cannot be used: {found.faults[0]}", faults=found.faults)
    return table_of(document, found)
