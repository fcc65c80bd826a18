"""Addresses of alerts: their pages, and the lists behind what they measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from audit.alerts.evaluation import Finding
from audit.alerts.rules import Absence, Rule, figures_of
from audit.metrics import figures
from audit.metrics.measures import NONE

PAGES: Final = "/alerts/"
_AUDIT: Final = "/audit/"


def episode(pk: UUID) -> str:
    """The signed-in page of one episode."""
    return f"{PAGES}{pk}/"


def of_rule(name: str, *, is_all: bool = False) -> str:
    """The list of a rule's episodes: of those that are open, or of all."""
    return f"{PAGES}?{urlencode({'rule': name} | ({'status': 'all'} if is_all else {}))}"


def behind(rule: Rule, finding: Finding, workflow: str = "") -> str:
    """The events that were counted in the window. Of an absence those of the week before it, as there are none.

    Args:
        workflow: id of the one the rule is about.
    """
    figure = figures_of(rule.condition)[0]
    asked = _values(figure.values, rule.by, finding.group)
    start = hour(finding.start)
    since = start - timedelta(days=7) if isinstance(rule.condition, Absence) else start
    named = {"figure": figures.written(figure.metric, *asked), "from": _written(since)}
    named["to"] = _written(start + timedelta(hours=finding.hours))
    return f"{_AUDIT}?{urlencode(named | ({'workflow': workflow} if workflow else {}))}"


def hour(number: int) -> datetime:
    return datetime.fromtimestamp(number * 3600, UTC)


def _values(values: Sequence[str], by: Sequence[int], group: Sequence[str]) -> list[str]:
    """The figure's own values, and those of the group in their places: the empty one is none, never any."""
    found = list(values) + [""] * (max(by, default=-1) + 1 - len(values))
    for place, value in zip(by, group, strict=True):
        found[place] = value or NONE
    return found


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")
