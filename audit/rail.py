"""The filters of the audit page, as the address has them, and the addresses its rows and chips lead to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from aegis.core.visibility import Viewer
from audit import names, outcomes, things
from audit.asking import DEFAULT_SPAN, Search, from_params
from audit.counting import Counts
from audit.metrics import figures
from audit.models import Event
from audit.scopes import Reach
from audit.search import narrowed
from audit.search import newest as newest_of
from audit.telling import Told

SPAN_TITLES = {"1h": "Last hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days", "all": "All time"}
MOST = 12  # values a facet lists
OFFERED_MOST = 100  # counted at most for a filter to drop


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    title: str
    icon: str = ""
    is_on: bool = False
    count: str = ""


@dataclass(frozen=True, slots=True)
class Facet:
    """A group of boxes; any of the ticked ones fits."""

    name: str
    title: str
    choices: tuple[Choice, ...]
    is_open: bool
    more: int = 0  # values that are not listed

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
    position: int
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


def draw(asked: Search, params: QueryDict, counts: Counts) -> Rail:
    known = names.load(_people(counts, asked), {("workflow", ref) for ref in _seen_of(counts, "workflow")}, set())
    facets = tuple(
        _facet(name, title, asked, counts, known, is_open)
        for name, title, is_open in (
            ("outcome", "Outcome", True),
            ("workflow", "Workflow", True),
            ("actor", "Actor", True),
            ("agent", "Agent", False),
            ("capability", "Capability", False),
            ("type", "Event", False),
            ("lane", "Kind", False),
            ("gate", "Gate", False),
            ("risk", "Risk", False),
        )
    )
    between = asked.since or asked.until
    spans = tuple(
        (value, title, url(params, drop=("span", "from", "to"), add={"span": value}), not between and _is_span(asked, value))
        for value, title in SPAN_TITLES.items()
    )
    unseen = (("span", asked.span), ("object", asked.object), ("figure", asked.figure))
    kept = tuple((name, value) for name, value in unseen if value)
    return Rail(facets, spans, tuple(_chips(asked, params, facets)), kept)


def drops(drawn: Rail, user: Viewer, seen: Reach) -> list[tuple[Chip, str]]:
    """For a search that found nothing: each filter with what there would be without it."""
    found = []
    for chip in drawn.chips:
        asked = from_params(QueryDict(chip.url.partition("?")[2]))
        number = len(newest_of(narrowed(asked, seen), asked, user, OFFERED_MOST + 1))
        found.append((chip, f"{OFFERED_MOST}+" if number > OFFERED_MOST else str(number)))
    return found


def with_event(params: QueryDict, event: Event) -> str:
    return url(params, drop=("event",), add={"event": f"{event.stream}/{event.seq}"}, keep_page=True)


def exports(params: QueryDict) -> tuple[tuple[str, str], ...]:
    """(format, address) of what the list shows, whole."""
    kinds = ("csv", "jsonl")
    return tuple((kind, url(params, drop=("event",), add={"format": kind}, to="audit:export")) for kind in kinds)


def without_event(params: QueryDict) -> str:
    return url(params, drop=("event",), keep_page=True)


def older(params: QueryDict, cursor: int | None) -> str:
    """The address of the next page, "" on the last."""
    return url(params, drop=("event",), add={"before": str(cursor)}) if cursor is not None else ""


def newest(params: QueryDict) -> str:
    return url(params, drop=("event",))


def _is_span(asked: Search, value: str) -> bool:
    if asked.span:
        return asked.span == value
    return value == ("all" if asked.run or asked.stream else DEFAULT_SPAN)


def _facet(name: str, title: str, asked: Search, counts: Counts, known: names.Names, is_open: bool) -> Facet:
    """The values with the most events, and those that are ticked, however few."""
    on: tuple[str, ...] = getattr(asked, name)
    counted = counts.values.get(name, {})
    frequent = sorted(counted, key=lambda value: (-counted[value], value))
    listed = [*frequent[:MOST], *(value for value in on if value not in frequent[:MOST])]
    more = "+" if name in counts.capped else ""
    choices = []
    for value in listed:
        shown, icon = _shown(name, value, known)
        choices.append(Choice(value, shown, icon, value in on, f"{counted.get(value, 0):,}{more}"))
    return Facet(name, title, tuple(choices), is_open or bool(on), max(0, len(counted) - MOST))


def _shown(name: str, value: str, known: names.Names) -> tuple[str, str]:
    """How people call a value, and its sign."""
    match name:
        case "outcome":
            mark = outcomes.mark(None, value)
            return mark.word, mark.icon
        case "lane":
            return value.capitalize(), outcomes.LANE_ICONS.get(value, "")
        case "risk":
            return value, value if value in ("low", "medium", "high") else ""
        case "workflow":
            return known.scopes.get(("workflow", value)) or f"workflow {value[:8]}", ""
        case "actor":
            kind, _, ref = value.partition(":")
            if kind in ("user", "agent", "system"):
                agent = ref if kind == "agent" else ""
                return known.actor(kind, ref, agent), {"agent": "bot", "system": "shield"}.get(kind, "person")
    return value, ""


def _people(counts: Counts, asked: Search) -> set[str]:
    values = {*_seen_of(counts, "actor"), *asked.actor}
    return {value.removeprefix("user:") for value in values if value.startswith("user:")}


def _seen_of(counts: Counts, name: str) -> list[str]:
    counted = counts.values.get(name, {})
    return sorted(counted, key=lambda value: (-counted[value], value))[:MOST]


def _chips(asked: Search, params: QueryDict, facets: Iterable[Facet]) -> Iterable[Chip]:
    for facet in facets:
        for choice in facet.choices:
            if choice.is_on:
                yield Chip(f"{facet.title}: {choice.title}", url(params, drop_value=(facet.name, choice.value)))
    for name, title, value in (
        ("q", "Text", asked.text),
        ("run", "Run", asked.run),
        ("stream", "Stream", names.stream_label(asked.stream)),
        ("object", "Object", asked.object and things.title(asked.object)),
        ("figure", "Figure", figures.words(asked.figure)),
        ("from", "From", asked.since and f"{asked.since:%Y-%m-%d %H:%M} UTC"),
        ("to", "To", asked.until and f"{asked.until:%Y-%m-%d %H:%M} UTC"),
    ):
        if value:
            yield Chip(f"{title}: {value}", url(params, drop=(name,)))


def url(
    params: QueryDict,
    *,
    drop: tuple[str, ...] = (),
    add: dict[str, str] | None = None,
    drop_value: tuple[str, str] | None = None,
    keep_page: bool = False,
    to: str = "audit:list",
) -> str:
    """The list under other parameters. A changed filter starts again at the newest event."""
    gone = {*drop, *(add or {}), *(() if keep_page else ("before",))}
    pairs = [(name, value) for name in params for value in params.getlist(name) if name not in gone and value]
    pairs = [pair for pair in pairs if pair != drop_value]
    return reverse(to) + (f"?{query}" if (query := urlencode([*pairs, *(add or {}).items()])) else "")
