"""The risk of releasing a build, in percent, with each reason that counts. Pure; whole numbers, so that nobody rounds twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FAILING_SHARE: Final = 200  # points for all tests failing: a tenth of them is 20 already
PER_GROUP: Final = 5
MOST_FOR_GROUPS: Final = 25
CRITICAL: Final = 30  # once, whatever number of critical tests fails
BROKEN: Final = 10  # tests that could not run at all say nothing about what they guard
FLAKY: Final = 5
SKIPPED_SHARE: Final = 50  # points for all tests skipped
FEWER_TESTS: Final = 25  # less was tested than the product promises


@dataclass(frozen=True, slots=True)
class Risk:
    percent: int
    reasons: tuple[str, ...]


def risk_of(
    *,
    tests: int,
    failed: int,
    broken: int,
    skipped: int,
    groups: int,
    flaky: int,
    critical: Sequence[str],
    least_tests: int,
) -> Risk:
    """Add up what speaks against a release; never above 100.

    Args:
        failed, broken: distinct tests whose worst outcome is a failure, an error.
        critical: titles of failed or broken tests in what the product calls critical.
        least_tests: how many tests a run of this product has at least.
    """
    points: list[tuple[int, str]] = []
    if bad := failed + broken:
        points.append((FAILING_SHARE * bad // tests, f"{bad} of {tests} tests fail"))
        points.append((min(PER_GROUP * groups, MOST_FOR_GROUPS), f"{groups} separate causes" if groups > 1 else "one cause"))
    if critical:
        points.append((CRITICAL, f"critical: {critical[0]}" + (f" and {len(critical) - 1} more" if critical[1:] else "")))
    if broken:
        points.append((BROKEN, f"{_tests(broken)} could not run"))
    if flaky:
        points.append((FLAKY, f"by turns passing and failing: {_tests(flaky)}"))
    if tests and skipped:
        points.append((SKIPPED_SHARE * skipped // tests, f"{skipped} of {tests} tests are skipped"))
    if tests < least_tests:
        points.append((FEWER_TESTS, f"{_tests(tests)} ran, {least_tests} are due"))
    counted = [(count, reason) for count, reason in points if count]
    return Risk(min(100, sum(count for count, _ in counted)), tuple(f"+{count}: {reason}" for count, reason in counted))


def _tests(count: int) -> str:
    return "one test" if count == 1 else f"{count} tests"
