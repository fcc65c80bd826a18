"""A rule in sentences, for people who judge a change of it. Pure."""

from __future__ import annotations

from typing import assert_never

from aegis.core import durations
from audit.alerts import states, telling
from audit.alerts.rules import (
    Absence,
    Anomaly,
    Count,
    Figure,
    Measured,
    NewValue,
    Percentile,
    Rule,
    Share,
    StateRule,
    Threshold,
    figures_of,
)
from audit.metrics import measures

_DIRECTIONS = {"up": "far above", "down": "far below", "both": "far from"}


def describe(rule: Rule | StateRule) -> list[str]:
    """What it watches, of whom, and how it judges."""
    if isinstance(rule, StateRule):
        return _state(rule)
    return [_fires(rule), _apart(rule), telling.statistic(rule)]


def dimensions(rule: Rule | StateRule) -> tuple[str, ...]:
    """Names of the parts of its groups, in their order."""
    if isinstance(rule, StateRule):
        state = states.get(rule.state)
        return state.dimensions if state else ()
    names = _dimensions(figures_of(rule.condition)[-1])
    return tuple(names[place] if place < len(names) else "?" for place in rule.by)


def _state(rule: StateRule) -> list[str]:
    state = states.get(rule.state)
    title = state.title if state else rule.state
    within = rule.within or (state.within if state else None)
    found = [f"Fires when this stands: {_begun(title)}{f', {durations.describe(within)} ahead or back' if within else ''}."]
    if rule.only:
        found.append(f"Only of {', '.join(sorted(rule.only))}.")
    return [*found, "Judged as it stands, several times a minute, and for each thing apart."]


def _fires(rule: Rule) -> str:
    condition, window = rule.condition, "an hour" if rule.hours == 1 else f"{rule.hours} hours"
    match condition:
        case Threshold(measured, above, below):
            border = f"above {telling.value(measured, above)}" if above is not None else f"below {_lowest(measured, below)}"
            fires = f"Fires when {measured_words(measured)} is {border} in {window}"
        case Anomaly(measured, direction):
            fires = f"Fires when {measured_words(measured)} in {window} is {_DIRECTIONS[direction]} what is usual"
        case Absence(figure):
            fires = f"Fires when there is nothing in {window} of {figure_words(figure)}"
        case NewValue(figure):
            names = ", ".join(dimensions(rule))
            fires = f"Fires when {figure_words(figure)} have a {names} that was never counted before"
        case _:
            assert_never(condition)
    return f"{fires}{f', in the workflow {rule.workflow}' if rule.workflow else ''}."


def _apart(rule: Rule) -> str:
    return f"Judged for each {' and '.join(dimensions(rule))}." if rule.by else "Judged for all together."


def measured_words(measured: Measured) -> str:
    """ "the number of runs where outcome is failed", "the share of …", "the 95th percentile of …"."""
    match measured:
        case Count(figure):
            return f"the number of {figure_words(figure)}"
        case Share(part, whole):
            return f"the share of {figure_words(part)} among {figure_words(whole)}"
        case Percentile(figure, share):
            return f"the percentile {share:.0%} of the time of {figure_words(figure)}".replace("%", "")
        case _:
            assert_never(measured)


def figure_words(figure: Figure) -> str:
    names = _dimensions(figure)
    given = zip(names, figure.values, strict=False)
    asked = [f"{name} is {'(none)' if value == measures.NONE else value}" for name, value in given if value]
    if figure.within is not None:
        asked.append(f"it took at most {figure.within:,} ms")
    return f"{figure.metric} where {' and '.join(asked)}" if asked else figure.metric


def _dimensions(figure: Figure) -> tuple[str, ...]:
    measure = measures.get(figure.metric)
    return measure.dimensions if measure else ()


def _lowest(measured: Measured, below: float | None) -> str:
    return telling.value(measured, below or 0)


def _begun(title: str) -> str:
    return title[:1].lower() + title[1:]
