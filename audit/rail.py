"""The filters of the audit page, as the address has them, and the addresses its rows and chips lead to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from audit import catalogue, names, outcomes, scopes
from audit.models import Event
from audit.scopes import Reach
from audit.search import DEFAULT_SPAN, Search
from audit.telling import Told

SPAN_TITLES = {"1h": "Last hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "all": "All time"}
MAX_WORKFLOWS = 200


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    title: str
    icon: str = ""
    is_on: bool = False


@dataclass(frozen=True, slots=True)
class Facet:
    """A group of boxes; any of the ticked ones fits."""

    name: str
    title: str
    choices: tuple[Choice, ...]
    is_open: bool

    @property
    def is_on(self) -> bool:
        return any(choice.is_on for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set, and the address without it."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Row:
    told: Told
    url: str

    @property
    def panel_url(self) -> str:
        return reverse("audit:panel", args=[self.told.event.stream, self.told.event.seq])


@dataclass(frozen=True, slots=True)
class Rail:
    facets: tuple[Facet, ...]
    spans: tuple[tuple[str, str, str, bool], ...]  # value, title, address, is on
    chips: tuple[Chip, ...]
    kept: tuple[tuple[str, str], ...]  # what the form carries along unseen


def draw(asked: Search, params: QueryDict, seen: Reach) -> Rail:
    facets = (
        _facet("outcome", "Outcome", asked.outcome, _outcomes(asked.outcome), True),
        _facet("workflow", "Workflow", asked.workflow, _workflows(seen), True),
        _facet(
            "lane", "Kind", asked.lane, ((lane, lane.capitalize(), outcomes.LANE_ICONS[lane]) for lane in catalogue.LANES), True
        ),
        _facet("type", "Event", asked.type, ((kind.name, kind.name, "") for kind in catalogue.all_types()), False),
    )
    between = asked.since or asked.until
    spans = tuple(
        (value, title, _url(params, drop=("span", "from", "to"), add={"span": value}), not between and _is_span(asked, value))
        for value, title in SPAN_TITLES.items()
    )
    kept = (("span", asked.span),) if asked.span else ()
    return Rail(facets, spans, tuple(_chips(asked, params, facets)), kept)


def with_event(params: QueryDict, event: Event) -> str:
    return _url(params, drop=("event",), add={"event": f"{event.stream}/{event.seq}"}, keep_page=True)


def without_event(params: QueryDict) -> str:
    return _url(params, drop=("event",), keep_page=True)


def older(params: QueryDict, cursor: int | None) -> str:
    """The address of the next page, "" on the last."""
    return _url(params, drop=("event",), add={"before": str(cursor)}) if cursor is not None else ""


def newest(params: QueryDict) -> str:
    return _url(params, drop=("event",))


def _is_span(asked: Search, value: str) -> bool:
    if asked.span:
        return asked.span == value
    return value == ("all" if asked.run or asked.stream else DEFAULT_SPAN)


def _facet(name: str, title: str, on: tuple[str, ...], choices: Iterable[tuple[str, str, str]], is_open: bool) -> Facet:
    drawn = tuple(Choice(value, text, icon, value in on) for value, text, icon in choices)
    return Facet(name, title, drawn, is_open or bool(on))


def _outcomes(on: tuple[str, ...]) -> Iterable[tuple[str, str, str]]:
    for value in (*outcomes.OFFERED, *(extra for extra in on if extra not in outcomes.OFFERED)):
        shown = outcomes.mark(None, value)
        yield value, shown.word, shown.icon


def _workflows(seen: Reach) -> Iterable[tuple[str, str, str]]:
    """Only those whose events the reader may see."""
    titles = scopes.names_of("workflow", sorted(seen.ids.get("workflow") or ())[:MAX_WORKFLOWS])
    return sorted(((ref, title, "") for ref, title in titles.items()), key=lambda choice: choice[1].lower())


def _chips(asked: Search, params: QueryDict, facets: Iterable[Facet]) -> Iterable[Chip]:
    for facet in facets:
        for choice in facet.choices:
            if choice.is_on:
                yield Chip(f"{facet.title}: {choice.title}", _url(params, drop_value=(facet.name, choice.value)))
    for name, title, value in (
        ("q", "Text", asked.text),
        ("actor", "Actor", asked.actor),
        ("run", "Run", asked.run),
        ("agent", "Agent", asked.agent),
        ("capability", "Capability", asked.capability),
        ("stream", "Stream", names.stream_label(asked.stream)),
        ("from", "From", asked.since and f"{asked.since:%Y-%m-%d %H:%M} UTC"),
        ("to", "To", asked.until and f"{asked.until:%Y-%m-%d %H:%M} UTC"),
    ):
        if value:
            yield Chip(f"{title}: {value}", _url(params, drop=(name,)))


def _url(
    params: QueryDict,
    *,
    drop: tuple[str, ...] = (),
    add: dict[str, str] | None = None,
    drop_value: tuple[str, str] | None = None,
    keep_page: bool = False,
) -> str:
    """The list under other parameters. A changed filter starts again at the newest event."""
    gone = {*drop, *(add or {}), *(() if keep_page else ("before",))}
    pairs = [(name, value) for name in params for value in params.getlist(name) if name not in gone and value]
    pairs = [pair for pair in pairs if pair != drop_value]
    return reverse("audit:list") + (f"?{query}" if (query := urlencode([*pairs, *(add or {}).items()])) else "")
