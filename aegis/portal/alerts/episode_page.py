"""One episode of an alert: why it fired, the graph, what else changed then, what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aegis.core import canonical, clock
from aegis.core.errors import Invalid
from aegis.core.kinds import get_kind
from aegis.core.visibility import Viewer
from aegis.portal.alerts import around, graph, listing
from aegis.portal.alerts.around import Around
from aegis.portal.alerts.graph import Graph
from aegis.portal.alerts.listing import Mark
from approvals.alerts import reading, seeing
from approvals.alerts.findings import Told
from approvals.alerts.models import Episode, Silence
from approvals.governed import version_texts
from audit import telling
from audit.alerts import documents, wording
from audit.alerts.rules import Absence, Anomaly, NewValue, Rule, Threshold
from audit.alerts.telling import statistic, value
from audit.metrics.projection import hour_number

#: How long somebody may silence with one press: (hours, words).
SILENCES: Final = ((1, "1 hour"), (4, "4 hours"), (24, "1 day"), (72, "3 days"), (168, "1 week"))
_DAYS: Final = 7 * 24


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to the episode, told."""

    told: telling.Told
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """
    Attributes:
        why: one sentence; `facts` are the numbers of the statistic in it.
        behind: address of the list behind the first odd window; `worst` and `last` of the others.
        steps: the newest first; `older` is the place before which others are, `is_past` if newer ones are left out.
        is_of_now: the rule still reads as it did when this was found.
    """

    episode: Episode
    mark: Mark
    about: str
    why: str
    how: str
    facts: tuple[Fact, ...]
    behind: str
    graph: Graph | None
    around: Around
    steps: list[Step]
    older: str
    is_past: bool
    silences: list[tuple[Silence, str]]
    may_act: bool
    is_of_now: bool

    @property
    def title(self) -> str:
        return self.episode.title or self.episode.rule

    @property
    def may_silence(self) -> bool:
        return self.may_act and self.episode.alert_id is not None and self.episode.is_open


def read(episode: Episode, viewer: Viewer, before: str = "") -> Page:
    """Everything of an episode the reader was shown. A fixed number of queries, whatever happened meanwhile.

    Args:
        before: place in its stream; "" for the newest steps.

    Raises:
        Invalid: `before` is no place.
    """
    first = Told.of(episode.first)
    rule = _rule_of(episode)
    story = reading.history(episode, before=before)
    told = telling.tell([step.event for step in story.steps], viewer)
    silences = reading.silences_of(viewer, episode) if episode.alert_id else []
    reasons = reading.reasons(silences)
    return Page(
        episode=episode,
        mark=listing.mark(episode),
        about=listing.about(episode),
        why=_why(rule, episode, first),
        how=statistic(rule) if rule else "Judged as it stands, several times a minute.",
        facts=_facts(rule, first),
        behind=first.address,
        graph=_graph(rule, episode),
        around=around.of(episode, viewer),
        steps=[Step(one, step.text) for one, step in zip(told, story.steps, strict=True)][::-1],
        older=story.older,
        is_past=bool(before),
        silences=[(one, reasons.get(one.pk, "")) for one in silences],
        may_act=seeing.may_act(viewer),
        is_of_now=episode.alert is not None and episode.alert.digest == episode.digest,
    )


def _rule_of(episode: Episode) -> Rule | None:
    """The rule as it was when it found this; None of a state, or if this release can no longer read it."""
    key = ("Alert", episode.rule, episode.digest)
    text = version_texts({key}).get(key)
    if text is None:
        return None
    try:
        rule = documents.read(canonical.parse(text))
    except Invalid:
        return None
    return rule if isinstance(rule, Rule) else None


def _graph(rule: Rule | None, episode: Episode) -> Graph | None:
    if rule is None:
        return None
    workflow = ""
    if rule.workflow:
        row = get_kind("Workflow").row(rule.workflow)
        if row is None:
            return None
        workflow = str(row.pk)
    return graph.draw(rule, episode, now=hour_number(clock.now()), workflow=workflow)


def _why(rule: Rule | None, episode: Episode, first: Told) -> str:
    if rule is None:
        about = listing.about(episode)
        return f"{first.words}{f' ({about})' if about else ''}."
    when = f"In the {_length(rule.hours)} from {first.start:%d %b %H:%M} UTC"
    about = listing.about(episode)
    of = f" of {about}" if about else ""
    condition = rule.condition
    match condition:
        case Absence(figure):
            usual = f"{first.center:,.0f} are usual there" if first.center is not None else "there usually are some"
            return f"{when} nothing was counted of {wording.figure_words(figure)}{of}; {usual}."
        case NewValue(figure):
            return f"{when} {wording.figure_words(figure)}{of} were counted for the first time."
        case Threshold(measured, above, below):
            border = f"above {value(measured, above)}" if above is not None else f"below {value(measured, below or 0)}"
            return f"{when} {wording.measured_words(measured)}{of} was {value(measured, first.value)}, {border}."
        case Anomaly(measured):
            said = f"{when} {wording.measured_words(measured)}{of} was {value(measured, first.value)}"
            if first.center is None or not first.spread:
                return f"{said}."
            away = (first.value - first.center) / first.spread
            return (
                f"{said}; usual is {value(measured, first.center)}, and it lies {abs(away):,.1f} spreads"
                f" {'above' if away > 0 else 'below'}, where {condition.factor:g} is the border."
            )


def _facts(rule: Rule | None, first: Told) -> tuple[Fact, ...]:
    """The numbers of the statistic, each named."""
    if rule is None:
        return ()
    condition = rule.condition
    if isinstance(condition, Absence | NewValue):
        found = [Fact("Counted", f"{first.value:,.0f}")]
        if first.center is not None:
            found.append(Fact("Median", f"{first.center:,.0f}", f"of {first.samples} past windows"))
        return tuple(found)
    measured = condition.measured
    found = [Fact("Value", value(measured, first.value), f"rests on {first.rests_on:,} events")]
    if isinstance(condition, Threshold):
        border = condition.above if condition.above is not None else condition.below
        return (*found, Fact("Border", value(measured, border or 0), "set by people"))
    if first.center is not None and first.spread is not None:
        found += [
            Fact("Median", value(measured, first.center), f"of {first.samples} windows"),
            Fact("Spread", value(measured, first.spread), "1.4826 × median distance, or the noise of counting"),
            Fact("Distance", f"{(first.value - first.center) / first.spread:+,.1f} spreads", f"border is {condition.factor:g}"),
            Fact("Past", f"{condition.weeks} weeks", "same hours, and the two windows on either side"),
        ]
    return tuple(found)


def _length(hours: int) -> str:
    return "hour" if hours == 1 else f"{hours} hours"


def silence_end(text: str) -> timedelta | None:
    """The hours chosen in the form; None if they are none of those offered."""
    return next((timedelta(hours=hours) for hours, _ in SILENCES if text == str(hours)), None)
