"""Findings in words, and findings that belong together. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from audit.alerts.evaluation import Finding, Group
from audit.alerts.rules import Absence, Anomaly, Measured, NewValue, Percentile, Rule, Share, Threshold


@dataclass(frozen=True, slots=True)
class Episode:
    """One group odd in windows that follow each other without a gap: one alarm."""

    rule: str
    group: Group
    findings: tuple[Finding, ...]

    @property
    def start(self) -> int:
        return self.findings[0].start

    @property
    def end(self) -> int:
        """The hour after the last odd one."""
        return self.findings[-1].start + self.findings[-1].hours


def episodes(findings: Iterable[Finding]) -> list[Episode]:
    """The episodes of some findings, by their beginning, rule and group."""
    found: list[list[Finding]] = []
    last: dict[tuple[str, Group], list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: (one.start, one.rule, one.group)):
        before = last.get((finding.rule, finding.group))
        if before and before[-1].start + before[-1].hours == finding.start:
            before.append(finding)
        else:
            last[finding.rule, finding.group] = [finding]
            found.append(last[finding.rule, finding.group])
    return [Episode(one[0].rule, one[0].group, tuple(one)) for one in found]


def said(rule: Rule, finding: Finding) -> str:
    """What was measured and against what, in one line: "45.0%, above 20.0%; rests on 60 events"."""
    condition = rule.condition
    match condition:
        case Threshold(measured):
            border = (
                f"above {value(measured, condition.above)}"
                if condition.above is not None
                else f"below {value(measured, condition.below or 0)}"
            )
            return f"{value(measured, finding.value)}, {border}; rests on {finding.rests_on:,} events"
        case Anomaly(measured):
            return f"{value(measured, finding.value)}, {_usual(measured, finding)}; rests on {finding.rests_on:,} events"
        case Absence():
            center = finding.usual.center if finding.usual else 0
            return f"nothing, where {center:,.0f} are usual"
        case NewValue():
            return f"never counted before; {finding.rests_on:,} events"
        case _:
            assert_never(condition)


def statistic(rule: Rule) -> str:
    """How the rule judges, for people."""
    condition = rule.condition
    match condition:
        case Threshold():
            return "A border that people set, held against each closed window."
        case Anomaly():
            return (
                f"Odd is what lies more than {condition.factor:g} spreads from the median of the same window and the two on"
                f" either side in the past {condition.weeks} weeks. The spread is 1.4826 times the median distance from that"
                f" median, and never less than counting alone makes. At least {condition.samples} past windows are needed,"
                f" and {condition.least} events in a window."
            )
        case Absence():
            return (
                f"Nothing in a window, though the same window and the two on either side had at least {condition.least} events"
                f" by the median of the past {condition.weeks} weeks."
            )
        case NewValue():
            return f"A value that was never counted before, once the measure has been counted for {condition.after} hours."
        case _:
            assert_never(condition)


def _usual(measured: Measured, finding: Finding) -> str:
    usual = finding.usual
    if usual is None:
        return ""
    center, spread = value(measured, usual.center), value(measured, usual.spread)
    return f"usual is {center} (spread {spread}, of {usual.samples} windows): {usual.score(finding.value):+.1f} spreads"


def value(measured: Measured, amount: float) -> str:
    """An amount as people read it: a count, a share in percent, milliseconds."""
    match measured:
        case Share():
            return f"{amount:.1%}"
        case Percentile():
            return f"{amount:,.0f} ms"
        case _:
            return f"{amount:,.4g}" if amount < 1_000 else f"{amount:,.0f}"
