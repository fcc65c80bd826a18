"""From a failing plan to the least of it that still fails in the same way: the shortest story to read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.simulation.plan import Plan
from tests.simulation.simulator import Result, simulate


def shrink(failing: Result, **parts: Any) -> Result:
    """Take out kind after kind of fault, then single crashes and workers, as long as the same promise stays broken."""
    best = failing
    for name in failing.plan.faults():
        best = _better(best, best.plan.without(name), parts)
    for point, passes in sorted(best.plan.crashes.items()):
        for one in sorted(passes):
            left = best.plan.crashes.get(point, frozenset()) - {one}
            best = _better(best, replace(best.plan, crashes={**best.plan.crashes, point: left}), parts)
    while best.plan.workers > 1:
        fewer = _better(best, replace(best.plan, workers=best.plan.workers - 1), parts)
        if fewer is best:
            break
        best = fewer
    return best


def told(result: Result) -> str:
    """What somebody needs to look into it."""
    head = f"seed {result.seed}, workflows {result.definitions}: {result.detail}"
    return "\n".join([head, f"plan: {result.plan.told()}", "last events:", *(f"  {line}" for line in result.trail)])


def _better(best: Result, plan: Plan, parts: dict[str, Any]) -> Result:
    tried = simulate(best.seed, plan, **parts)
    return tried if tried.promise == best.promise else best
