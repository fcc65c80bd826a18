"""What a run costs in exact counts: of a backlog, and of a run alone. Used by `bench.engine` and tests/engine/test_costs.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench import workload
from bench.counting import Counts, counting
from orchestration.engine.driver import Driver
from orchestration.engine.models import Run

BACKLOG = 200


@dataclass(frozen=True, slots=True)
class PerRun:
    """Counts divided by the runs they were for."""

    runs: int
    statements: float
    commits: float
    write_commits: float
    by_text: dict[str, float]


def drain() -> None:
    """Drive until a drive finds nothing to do."""
    while True:
        driver = Driver()
        driver.drive()
        if not driver.committed:
            return


def of_backlog(count: int = BACKLOG) -> PerRun:
    """Submit `count` runs in bulk (not counted), then drain them in this process (claims and idle looks included)."""
    workload.submit(count)
    with counting() as counts:
        drain()
    return _per_run(counts, count)


def of_run_alone(count: int = 5) -> PerRun:
    """One run at a time on an idle engine, its submission and its lease included: the dearest of `count`."""
    dearest = None
    for _ in range(count):
        with counting() as counts:
            workload.submit(1)
            drain()
        one = _per_run(counts, 1)
        dearest = one if dearest is None else max(dearest, one, key=lambda cost: (cost.write_commits, cost.statements))
    assert dearest is not None, "count is at least 1"
    return dearest


def measure() -> dict[str, Any]:
    of_run_alone(1)  # caches are warm in production
    return {name: _as_json(one) for name, one in (("backlog", of_backlog()), ("alone", of_run_alone()))}


def _per_run(counts: Counts, runs: int) -> PerRun:
    left = Run.objects.exclude(status=Run.Status.COMPLETED).count()
    if left:
        raise AssertionError(f"{left} runs did not complete")
    share = {text: times / runs for text, times in counts.by_text.most_common()}
    return PerRun(runs, counts.statements / runs, counts.commits / runs, counts.write_commits / runs, share)


def _as_json(one: PerRun) -> dict[str, Any]:
    return {"runs": one.runs, "statements": one.statements, "commits": one.commits, "write_commits": one.write_commits,
            "by_text": one.by_text}  # fmt: skip
