"""The list of alerts: what fires, what somebody took on, what is silenced, what is over; and the rules beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from aegis.core.visibility import Viewer
from approvals.alerts import reading, seeing
from approvals.alerts.findings import Told
from approvals.alerts.models import Episode, Silence
from approvals.alerts.reading import RuleStands

TABS: Final = (("open", "Open"), ("firing", "Firing"), ("acknowledged", "Acknowledged"), ("silenced", "Silenced"),
               ("resolved", "Resolved"), ("all", "All"))  # fmt: skip
#: Status -> tone, icon, word. A status is never colour alone.
MARKS: Final[Mapping[str, tuple[str, str, str]]] = {
    "firing": ("red", "alarm", "firing"),
    "acknowledged": ("amber", "hand", "acknowledged"),
    "resolved": ("green", "check-circle", "resolved"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    tone: str
    icon: str
    word: str


@dataclass(frozen=True, slots=True)
class Row:
    episode: Episode
    mark: Mark
    about: str
    words: str
    url: str


@dataclass(frozen=True, slots=True)
class Tab:
    key: str
    title: str
    url: str
    is_on: bool
    count: int | None  # None: not counted, for there may be any number


@dataclass(frozen=True, slots=True)
class Listing:
    show: str
    rule: str
    rows: list[Row]
    tabs: list[Tab]
    rules: list[RuleStands]
    silences: list[Silence]
    older: str
    newest: str
    may_act: bool

    @property
    def is_narrow(self) -> bool:
        return bool(self.rule) or self.show != "open"


def read(params: QueryDict, viewer: Viewer) -> Listing:
    """As the address has it. A fixed number of queries; what is over is never counted.

    Raises:
        Invalid: there is no such list or page.
    """
    show, rule = params.get("status", "") or "open", params.get("rule", "").replace("\x00", "")[:80]
    is_silenced = show == "silenced"
    rows = reading.episodes(viewer, show="open" if is_silenced else show, rule=rule)
    if is_silenced:
        rows = rows.filter(is_silenced=True)
    page = reading.page(rows, before=params.get("before", ""))
    counted = reading.counted(viewer)
    counts = {**counted, "open": sum(counted.values())}
    here = {"status": show if show != "open" else "", "rule": rule}
    return Listing(
        show=show,
        rule=rule,
        rows=[row(one) for one in page.episodes],
        tabs=[
            Tab(
                key,
                title,
                url(status="" if key == "open" else key, rule=rule),
                key == show,
                counts.get(key) if not rule else None,
            )
            for key, title in TABS
        ],
        rules=reading.rules(viewer),
        silences=list(reading.standing_silences(viewer)[:20]),
        older=url(**here, before=page.following) if page.following else "",
        newest=url(**here) if params.get("before") else "",
        may_act=seeing.may_act(viewer),
    )


def row(episode: Episode) -> Row:
    return Row(episode, mark(episode), about(episode), Told.of(episode.last).words, url_of(episode))


def mark(episode: Episode) -> Mark:
    return Mark(*MARKS[episode.status])


def about(episode: Episode) -> str:
    """ "agent clerk, outcome failed"; "" for a rule that judges all together."""
    return ", ".join(f"{name} {value or '(none)'}" for name, value in episode.group)


def url_of(episode: Episode) -> str:
    return reverse("alerts:episode", args=[episode.pk])


def url(**named: str) -> str:
    query = urlencode({name: value for name, value in named.items() if value})
    return reverse("alerts:list") + (f"?{query}" if query else "")
