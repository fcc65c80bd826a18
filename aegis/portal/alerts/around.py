"""What else changed when an alert began: configuration, versions, rights, halts. From the alert to its cause."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from aegis.core.durations import describe
from aegis.core.visibility import Viewer
from approvals.alerts.findings import Told
from approvals.alerts.models import Episode
from audit import history, search, telling, things
from audit.asking import Search
from audit.changed import Changed

#: How long before the first odd window a change may lie.
BEFORE: Final = timedelta(hours=24)
MOST: Final = 20
MOST_AFTER: Final = 10
FOLDED: Final = 6  # fields; more are folded
TYPES: Final = (
    "config.applied", "agent.disabled", "agent.enabled", "agent.credential_issued", "agent.credential_revoked",
    "halt.placed", "halt.resuming", "halt.lifted", "breaker.opened", "breaker.closed", "access.granted", "access.revoked",
    "access.group_joined", "access.group_left", "access.right_taken", "access.taken_right_ended", "access.person_disabled",
    "access.person_enabled", "delegation.given", "delegation.ended",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One change near the beginning.

    Attributes:
        when: how it lies to the beginning of the first odd window, for people ("12 min before it began").
        names: what of the alert's group it is about ("Agent clerk"), "" if nothing.
    """

    told: telling.Told
    position: int
    changed: Changed | None
    when: str
    names: str
    history_url: str

    @property
    def is_long(self) -> bool:
        return self.changed is not None and len(self.changed.rows) > FOLDED

    @property
    def label(self) -> str:
        return f"ar-{self.position}"


@dataclass(frozen=True, slots=True)
class Around:
    """`named` are about what the alert is about; `before` may have led to it, `after` came once it had begun. Newest first.

    Attributes:
        url: all of them in the audit.
    """

    named: tuple[Change, ...]
    before: tuple[Change, ...]
    after: tuple[Change, ...]
    url: str

    @property
    def is_empty(self) -> bool:
        return not (self.named or self.before or self.after)


def of(episode: Episode, viewer: Viewer) -> Around:
    """What `viewer` may see of it. A fixed number of queries."""
    since, until = episode.started_at - BEFORE, episode.last_at + timedelta(hours=1)
    # What happened within the first odd window may have led to it as well.
    begun = max(Told.of(episode.first).end, episode.started_at + timedelta(minutes=1))
    hits = [
        hit
        for start, end, most in ((begun, until, MOST_AFTER), (since, begun, MOST))
        for hit in search.find(Search(type=TYPES, since=start, until=end), viewer, limit=most).hits
    ]
    told = telling.tell([hit.event for hit in hits], viewer)
    values = {value for _, value in episode.group if value}
    changes = [
        _change(one, hit.position, what, episode.started_at, values)
        for one, hit, what in zip(told, hits, history.changes(told, viewer), strict=True)
    ]
    query = [*(("type", name) for name in TYPES), ("from", f"{since:%Y-%m-%dT%H:%MZ}"), ("to", f"{until:%Y-%m-%dT%H:%MZ}")]
    others = [one for one in changes if not one.names]
    return Around(
        tuple(one for one in changes if one.names),
        tuple(one for one in others if one.told.event.at < begun),
        tuple(one for one in others if one.told.event.at >= begun),
        f"{reverse('audit:list')}?{urlencode(query)}",
    )


def _change(told: telling.Told, position: int, what: Changed | None, began: datetime, values: set[str]) -> Change:
    keys = things.of_event(told.event)
    about = next((key for key in keys if key.partition("/")[2] in values), "")
    gap = told.event.at - began
    when = f"{describe(_round(abs(gap)))} {'after' if gap >= timedelta() else 'before'} it began"
    return Change(
        told, position, what, when, things.title(about) if about else "", things.history_url(about or keys[0]) if keys else ""
    )


def _round(gap: timedelta) -> timedelta:
    minutes = max(1, round(gap.total_seconds() / 60))
    return timedelta(minutes=minutes)
