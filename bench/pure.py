"""How fast the pure decisions are: verdict, route, contract check. Only the ratios within one run are evidence (SPEED.md).

python bench/pure.py [seconds per figure]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orchestration.authority.verdicts import Principal, Resource, decide, load
from orchestration.contracts.checker import compile_schema
from orchestration.routing import tables

REPLY = {
    "type": "object", "additionalProperties": False, "required": ["text"],
    "properties": {"text": {"type": "string", "maxLength": 2000}, "status": {"enum": ["open", "replied"]}},
}  # fmt: skip
PARAMETERS = {"text": "Your card is on its way and arrives on Tuesday.", "status": "replied"}
FACTS = {
    "parameters": PARAMETERS,
    "record": {"status": "open", "urgency": "P3", **{f"field_{index}": "x" * 40 for index in range(20)}},
    "requester": {"id": "u1", "roles": ["Support operators"]},
}


def matrix(when: str, *, roles: int = 3, capabilities: int = 30) -> Any:
    names = ["ticket.reply", *(f"ticket.do_{index}" for index in range(capabilities))]
    entry = {
        "resource": "ticket", "risk": "low", "safety": "keyed", "handler": "record.patch", "digest": "0", "parameters": REPLY,
    }  # fmt: skip
    rules = {"stages": [{"groups": ["leads"], "quorum": 1}], "reason": "always"}
    grants = [{"capability": name, "effect": "allow", "when": when, "policy": ""} for name in names]
    document = {
        "v": 1,
        "capabilities": dict.fromkeys(names, entry),
        "roles": {f"r{index}": {"people": False, "grants": grants} for index in range(roles)},
        "locks": {"l": {"capability": "ticket.do_1", "policy": "p", "kind": "law", "floor": rules}},
        "policies": {"p": rules},
        "agents": {"a": {"name": "responder", "roles": [f"r{index}" for index in range(roles)], "enabled": True}},
    }
    return load(document, number=1)


def table(rules: int) -> tables.RoutingTable:
    rows = [
        {"id": f"r{index}", "tier": index % 3 + 1, "when": f"intent == 'i{index}' && amount > {index}.0",
         "then": {"case": "l1", "queue": "desk"}}
        for index in range(rules)
    ]  # fmt: skip
    return tables.load(
        {
            "metadata": {"name": "bench"},
            "spec": {
                "inputs": {"intent": "string", "amount": "number"},
                "outputs": {"queue": "string"},
                "rules": rows,
                "default": {"case": "person", "queue": "desk"},
            },
        }
    )


def cells(rules: int) -> tables.RoutingTable:
    """The same table, its rows as cells."""
    rows = [
        {"id": f"r{index}", "tier": index % 3 + 1, "when": {"intent": f"'i{index}'", "amount": f"> {index}.0"},
         "then": {"case": "l1", "queue": "desk"}}
        for index in range(rules)
    ]  # fmt: skip
    spec = {"inputs": {"intent": "string", "amount": "number"}, "outputs": {"queue": "string"}, "rules": rows}
    default = {"case": "person", "queue": "desk"}
    return tables.load({"metadata": {"name": "bench"}, "spec": {**spec, "default": default}})


def rate(work: Callable[[], object], seconds: float) -> float:
    """Evaluations per second; the clock is read every 50."""
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        for _ in range(50):
            work()
        done += 50
    return done / spent


def main(seconds: float) -> None:
    bot, ticket = Principal("agent", "a"), Resource("ticket", "T-1")
    plain, conditional = matrix(""), matrix("record.status == 'open' && parameters.text.size() < 500")
    small, large, celled = table(5), table(77), cells(77)
    checker = compile_schema(REPLY)
    bad = {**PARAMETERS, "extra": 1, "status": "nope"}
    figures: dict[str, Callable[[], object]] = {
        "contract kept": lambda: checker.faults(PARAMETERS),
        "contract broken, two faults": lambda: checker.faults(bad),
        "verdict, three roles, no condition": lambda: decide(plain, bot, "ticket.reply", ticket, FACTS),
        "verdict, three roles, a condition each": lambda: decide(conditional, bot, "ticket.reply", ticket, FACTS),
        "route, 5 rules, the last one wins": lambda: tables.choose(small, {"intent": "i2", "amount": 99.0}),
        "route, 77 rules, the last one wins": lambda: tables.choose(large, {"intent": "i74", "amount": 99.0}),
        "route, 77 rows of cells, the last one wins": lambda: tables.choose(celled, {"intent": "i74", "amount": 99.0}),
    }
    best = dict.fromkeys(figures, 0.0)
    for _ in range(3):  # in turns, so that noise meets all alike
        for name, work in figures.items():
            best[name] = max(best[name], rate(work, seconds))
    slowest = min(best.values())
    for name, figure in best.items():
        print(f"{name:42} {figure:>10,.0f}/s   {figure / slowest:6.1f} x the slowest")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.3)
