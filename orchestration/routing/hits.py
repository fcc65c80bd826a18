"""Hit policies: in which order rules stand, what several hits add up to, what a table's answer holds. Pure.

| policy | answer | case |
|---|---|---|
| Unique, Any, First, Priority | the outputs of one rule | that rule's |
| Rule order, Output order | `hits`: the outputs of all, in that order | the first hit's |
| Collect | `hits`, `count`, or the collected output | by `cases`, over the number of hits or what was collected |

Source: DMN 1.5, section 8.2.8. Tiers, and how several hits make one case, are ours: docs/adr/0004, docs/adr/0023.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from aegis.core.canonical import MAX_SAFE_INTEGER, Json
from aegis.core.errors import Fault
from orchestration.routing.rows import CASE, COUNT, HITS, Ranking, RoutingTable, Rule

POLICIES: Final = ("Unique", "Any", "First", "Priority", "Rule order", "Output order", "Collect")
AGGREGATIONS: Final = ("list", "sum", "min", "max", "count")
TIERED: Final = frozenset({"First", "Priority", "Output order"})
RANKED: Final = frozenset({"Priority", "Output order"})
LISTED: Final = frozenset({"Rule order", "Output order"})

#: What each policy does, for people.
WORDS: Final[Mapping[str, str]] = {
    "Unique": "exactly one rule may match",
    "Any": "several rules may match if they agree",
    "First": "tried tier by tier, from top to bottom; the first that is true wins",
    "Priority": "of all that match, the best wins: tier, then the order of outputs, then the row",
    "Rule order": "all that match, from top to bottom; the first one's case is taken",
    "Output order": "all that match, the best first (tier, order of outputs, row); the first one's case is taken",
    "Collect": "all that match are collected, and the case follows from what was collected",
}

_NO_TIER: Final = 1_000_000  # behind every tier a table may name
_SCHEMA_TYPES: Final = {
    "string": "string", "int": "integer", "number": "number", "bool": "boolean", "list": "array", "map": "object",
    "date": "string", "datetime": "string", "duration": "string",
}  # fmt: skip


def place_of(rule: Rule, policy: str, ranking: Sequence[Ranking]) -> tuple[int, ...]:
    """Sort key: total, as positions differ."""
    tier = (_NO_TIER if rule.tier is None else rule.tier) if policy in TIERED else 0
    ranks = [one.order.index(rule.then[one.output]) for one in ranking] if policy in RANKED else []
    return (tier, *ranks, rule.position)


def answer(table: RoutingTable, hits: Sequence[Rule]) -> dict[str, Json] | str:
    """The output of at least one hit, or why there is none: what breaks a policy is never settled by chance."""
    first = hits[0]
    match table.hit_policy:
        case "First" | "Priority":
            return dict(first.then)
        case "Unique":
            return dict(first.then) if len(hits) == 1 else f"Unique, but {_named(hits)} match"
        case "Any":
            differing = [rule for rule in hits if rule.then != first.then]
            return f"Any, but {_named([first, *differing])} do not agree" if differing else dict(first.then)
        case "Rule order" | "Output order":
            return {CASE: first.then[CASE], HITS: [dict(rule.then) for rule in hits]}
        case "Collect":
            return _collected(table, hits)


def default_output(table: RoutingTable) -> dict[str, Json]:
    """What is answered when nothing matched or could be judged; {} where the table has no default."""
    if table.default is None:
        return {}
    found = dict(table.default)
    if table.hit_policy in LISTED or (table.hit_policy == "Collect" and table.aggregation == "list"):
        found[HITS] = []
    elif table.hit_policy == "Collect" and table.aggregation == "count":
        found[COUNT] = 0
    return found


def default_fields(spec: Json) -> Mapping[str, str]:
    """Name -> type of what the default row of a document gives."""
    policy = spec.get("hit_policy", "First")
    if policy in LISTED:
        return {CASE: "string"}
    if policy != "Collect":
        return {CASE: "string", **spec["outputs"]}
    of = spec.get("of", "")
    return {CASE: "string", **({of: spec["outputs"][of]} if of in spec["outputs"] else {})}


def output_schema(spec: Json) -> Json:
    """JSON Schema of what a `route` step leaves behind: what a mapping may read of it."""
    policy, aggregation = spec.get("hit_policy", "First"), spec.get("aggregation", "list")
    case: Json = {CASE: {"type": "string"}}
    row = {name: {"type": _SCHEMA_TYPES[kind]} if kind in _SCHEMA_TYPES else {} for name, kind in spec["outputs"].items()}
    if policy in LISTED:
        return _closed({**case, HITS: {"type": "array", "items": _closed({**case, **row})}})
    if policy != "Collect":
        return _closed({**case, **row})
    if aggregation == "list":
        return _closed({**case, HITS: {"type": "array", "items": _closed(row)}})
    if aggregation == "count":
        return _closed({**case, COUNT: {"type": "integer"}})
    return _closed({**case, **{name: schema for name, schema in row.items() if name == spec.get("of")}})


def faults(spec: Json) -> list[Fault]:
    """What a document says of its hit policy that contradicts itself; types of outputs are checked elsewhere."""
    policy = spec.get("hit_policy", "First")
    found: list[Fault] = []
    if policy not in TIERED:
        for index, rule in enumerate(spec["rules"]):
            if "tier" in rule:
                remedy = "leave it out, or take the hit policy First, Priority or Output order"
                found.append(Fault(f"/spec/rules/{index}/tier", f"a tier means nothing under {policy}", remedy))
    if policy in RANKED:
        found += _ranking_faults(spec, policy)
    elif "priority" in spec:
        found.append(Fault("/spec/priority", f"means nothing under {policy}", "leave it out, or take Priority or Output order"))
    found += _collect_faults(spec) if policy == "Collect" else _not_collecting(spec, policy)
    if policy in LISTED | {"Collect"}:
        for name in (HITS, COUNT):
            if name in spec["outputs"]:
                found.append(Fault(f"/spec/outputs/{name}", f"{name} is what {policy} itself answers", "take another name"))
    return found


def _ranking_faults(spec: Json, policy: str) -> list[Fault]:
    ranked = spec.get("priority", [])
    if not ranked and not any("tier" in rule for rule in spec["rules"]):
        remedy = "give rules a tier, or add priority: [{output: NAME, order: [...]}]; First and Rule order need neither"
        return [Fault("/spec/hit_policy", f"nothing says which hit is the best under {policy}", remedy)]
    found: list[Fault] = []
    for place, one in enumerate(ranked):
        where, name = f"/spec/priority/{place}", one["output"]
        if name != CASE and name not in spec["outputs"]:
            known = ", ".join([CASE, *spec["outputs"]])
            found.append(Fault(f"{where}/output", f"there is no output {name!r}", f"outputs are {known}"))
            continue
        if any(value in one["order"][:index] for index, value in enumerate(one["order"])):
            found.append(Fault(f"{where}/order", "names a value twice", "list each once"))
        for index, rule in enumerate(spec["rules"]):
            value = rule["then"].get(name)
            if name in rule["then"] and value not in one["order"]:
                what = f"{value!r} has no place in the order of {name}"
                found.append(Fault(f"/spec/rules/{index}/then/{name}", what, f"add it to {where}/order"))
    return found


def _collect_faults(spec: Json) -> list[Fault]:
    aggregation, of = spec.get("aggregation", "list"), spec.get("of", "")
    found: list[Fault] = []
    if aggregation in ("list", "count"):
        if of:
            found.append(Fault("/spec/of", f"{aggregation} collects whole hits", "leave it out"))
    elif spec["outputs"].get(of) not in ("int", "number"):
        numbers = [name for name, kind in spec["outputs"].items() if kind in ("int", "number")]
        remedy = f"one of {', '.join(numbers)}" if numbers else "declare an output of type int or number"
        found.append(Fault("/spec/of", f"{aggregation} needs a number among the outputs", remedy))
    if not spec.get("cases"):
        what = "several hits make one case, and nothing says which"
        found.append(Fault("/spec/cases", what, 'add cases: [{when: ">= 10", case: high}, {when: "-", case: low}]'))
    for index, rule in enumerate(spec["rules"]):
        if CASE in rule["then"]:
            remedy = "leave it out; the table's cases say what follows from the sum of all hits"
            found.append(Fault(f"/spec/rules/{index}/then/{CASE}", "one row alone decides nothing under Collect", remedy))
    return found


def _not_collecting(spec: Json, policy: str) -> list[Fault]:
    return [
        Fault(f"/spec/{name}", f"means nothing under {policy}", "leave it out, or take the hit policy Collect")
        for name in ("aggregation", "of", "cases")
        if name in spec
    ]


def _collected(table: RoutingTable, hits: Sequence[Rule]) -> dict[str, Json] | str:
    counted = table.aggregation in ("list", "count")
    amount = len(hits) if counted else _aggregated(table.aggregation, [rule.then[table.of] for rule in hits])
    if (isinstance(amount, int) and abs(amount) > MAX_SAFE_INTEGER) or not math.isfinite(amount):
        return f"the {table.aggregation} of {table.of} is too large"
    case = next((band.case for band in table.bands if band.region.holds(amount)), None)
    if case is None:
        return f"no case takes {amount}"
    if table.aggregation == "list":
        return {CASE: case, HITS: [dict(rule.then) for rule in hits]}
    return {CASE: case, COUNT if counted else table.of: amount}


def _aggregated(aggregation: str, amounts: list[float]) -> float:
    if aggregation == "min":
        return min(amounts)
    if aggregation == "max":
        return max(amounts)
    if all(isinstance(amount, int) for amount in amounts):
        return sum(amounts)
    try:
        return math.fsum(amounts)  # the same whatever the order of rows
    except OverflowError:
        return math.inf


def _named(rules: Sequence[Rule]) -> str:
    names = [rule.id for rule in rules[:5]]
    return f"{', '.join(names[:-1])} and {names[-1]}" + (f" and {len(rules) - 5} more" if len(rules) > 5 else "")


def _closed(properties: Json) -> Json:
    return {"type": "object", "additionalProperties": False, "properties": properties}
