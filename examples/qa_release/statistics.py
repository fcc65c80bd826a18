"""Counts of a report: of distinct tests, and of their executions. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .junit import OUTCOMES, Case, Outcome, Report, Suite


@dataclass(frozen=True, slots=True)
class Counts:
    total: int
    succ: int
    skip: int
    fail: int
    error: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """`tests` counts distinct tests, each with its worst outcome; `runs` executions, by the results they state.

    One execution may state several results, so the successes of `runs` are what is left of them and can fall below zero: a
    number that says the report contradicts itself.
    """

    suites: int
    seconds: int
    tests: Counts
    runs: Counts

    @property
    def conclusion(self) -> str:
        return "failure" if self.tests.fail or self.tests.error else "success"

    @property
    def title(self) -> str:
        """One line for people: "1 fail, 2 skipped, 3 pass in 4s"."""
        tests = self.tests
        if not tests.total:
            return "No tests found"
        took = f"in {_duration(self.seconds)}"
        skipped = f", {tests.skip} skipped" if tests.skip else ""
        if tests.succ and tests.succ + tests.skip == tests.total:
            return f"All {tests.succ} tests pass{skipped} {took}"
        parts = ((tests.error, "errors"), (tests.fail, "fail"), (tests.skip, "skipped"), (tests.succ, "pass"))
        return f"{', '.join(f'{count} {word}' for count, word in parts if count)} {took}"


def statistics_of(report: Report) -> Statistics:
    worst = worst_by_test(report)
    tests = Counter(case.outcome for case in worst)
    stated = Counter(result.outcome for case in report.cases for result in case.results)
    total = len(report.cases)
    return Statistics(
        suites=_count(report.suites),
        seconds=int(sum(_seconds(suite) for suite in report.suites)),
        tests=Counts(len(worst), tests["success"], tests["skipped"], tests["failure"], tests["error"]),
        runs=Counts(total, total - stated.total(), stated["skipped"], stated["failure"], stated["error"]),
    )


def worst_by_test(report: Report) -> list[Case]:
    """One case per distinct test, its worst, in order of first appearance. Tests without a name are all distinct."""
    found: dict[object, Case] = {}
    for index, case in enumerate(report.cases):
        key: object = (case.file, case.classname, case.name) if case.name else index
        known = found.get(key)
        if known is None or _rank(case.outcome) < _rank(known.outcome):
            found[key] = case  # a key that is known keeps its place
    return list(found.values())


def flaky_tests(report: Report) -> int:
    """How many tests both failed and passed in this report."""
    outcomes: dict[tuple[str, str, str], set[Outcome]] = {}
    for case in report.cases:
        if case.name:
            outcomes.setdefault((case.file, case.classname, case.name), set()).add(case.outcome)
    return sum("success" in seen and bool(seen & {"error", "failure"}) for seen in outcomes.values())


def _rank(outcome: Outcome) -> int:
    return OUTCOMES.index(outcome)


def _count(suites: Iterable[Suite]) -> int:
    return sum(1 + _count(suite.suites) for suite in suites)


def _seconds(suite: Suite) -> float:
    """As stated; a suite that states nothing took as long as what is in it."""
    if suite.seconds is not None:
        return suite.seconds
    return sum(case.seconds for case in suite.cases) + sum(_seconds(inner) for inner in suite.suites)


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
