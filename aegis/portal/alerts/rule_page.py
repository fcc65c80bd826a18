"""One rule: its document in words, what it found, and what it would have found in the last thirty days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.urls import reverse

from aegis.core import canonical, clock
from aegis.core.errors import Invalid
from aegis.core.kinds import get_kind
from aegis.core.visibility import Viewer
from aegis.portal.alerts import listing
from approvals.alerts import kind, reading, seeing
from approvals.alerts.models import Alert, Silence
from audit.alerts import counted, documents, telling, wording
from audit.alerts.evaluation import Finding, evaluate
from audit.alerts.rules import Rule
from audit.metrics.projection import hour_number

DAYS: Final = 30
SECONDS: Final = 5  # a page may take for it
SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One time it would have fired."""

    at: datetime
    hours: int
    about: str
    words: str


@dataclass(frozen=True, slots=True)
class Page:
    alert: Alert
    sentences: list[str]
    how: str
    rows: list[listing.Row]
    all_url: str
    silences: list[tuple[Silence, str]]
    rehearsed: list[Rehearsed]
    rehearsed_count: int | None  # None: not rehearsed
    unrehearsed: str
    edit_url: str
    may_edit: bool
    may_act: bool


def read(alert: Alert, viewer: Viewer, *, rehearse: bool) -> Page:
    document = canonical.parse(alert.document)
    rule = _rule(document)
    silences = list(reading.standing_silences(viewer).filter(alert=alert))
    reasons = reading.reasons(silences)
    page = reading.page(reading.episodes(viewer, show="all", rule=alert.name), limit=SHOWN)
    found, why_not = _rehearsed(rule, viewer) if rehearse else (None, "")
    return Page(
        alert=alert,
        sentences=kind.said(document),
        how=telling.statistic(rule) if rule else "Judged as it stands, several times a minute.",
        rows=[listing.row(one) for one in page.episodes],
        all_url=listing.url(status="all", rule=alert.name),
        silences=[(one, reasons.get(one.pk, "")) for one in silences],
        rehearsed=found[:SHOWN] if found else [],
        rehearsed_count=len(found) if found is not None else None,
        unrehearsed=why_not,
        edit_url=reverse("admin:approvals_alert_edit", kwargs={"pk": alert.pk}),
        may_edit=Alert.objects.visible_to(viewer, "edit").filter(pk=alert.pk).exists(),
        may_act=seeing.may_act(viewer),
    )


def _rule(document: canonical.Json) -> Rule | None:
    try:
        rule = documents.read(document)
    except Invalid:
        return None
    return rule if isinstance(rule, Rule) else None


def _rehearsed(rule: Rule | None, viewer: Viewer) -> tuple[list[Rehearsed] | None, str]:
    """When it would have fired in the closed windows of the last days, newest first; or why that is not told."""
    if rule is None:
        return None, "A state is judged as it stands now; there is no past of it to try."
    workflow = ""
    if rule.workflow:
        row = get_kind("Workflow").row(rule.workflow)
        if row is None or not type(row).objects.visible_to(viewer).filter(pk=row.pk).exists():
            return None, f"What is counted in the workflow {rule.workflow} is not yours to see."
        workflow = str(row.pk)
    elif not seeing.sees_everything(viewer):
        return None, "It counts what happens everywhere; only who may see all of that may try it over the past."
    now = hour_number(clock.now())
    first = now - DAYS * 24
    history = counted.history([rule], first=first, until=now, workflow=workflow)
    starts = range(first + -first % rule.hours, now - rule.hours + 1, rule.hours)
    findings: list[Finding] = []
    given_up = clock.monotonic() + SECONDS
    for start in starts:
        if clock.monotonic() > given_up:
            return None, f"Too much was counted to try it within {SECONDS} seconds; “aegis alerts rehearse” takes its time."
        findings += evaluate(rule, history, start)
    episodes = telling.episodes(findings)
    names = wording.dimensions(rule)
    found = [
        Rehearsed(
            datetime.fromtimestamp(one.start * 3600, UTC),
            one.end - one.start,
            ", ".join(f"{name} {value or '(none)'}" for name, value in zip(names, one.group, strict=False)),
            telling.said(rule, one.findings[0]),
        )
        for one in episodes
    ]
    return found[::-1], ""
