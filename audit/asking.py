"""What a person asks of the journal: a search as it stands in the address, for the page, the API and the export alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Final

from django.http import QueryDict

from aegis.core import canonical
from aegis.core.clock_text import parse as parse_moment
from aegis.core.errors import Fault, Invalid
from audit.index.projection import hour_of
from audit.metrics import figures

MAX_TEXT = 200
MAX_FIGURE = 2_000
MAX_VALUES = 50
SPANS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "all": None,
}
DEFAULT_SPAN = "30d"
#: Filters that name any number of values; one of them has to fit.
FACETS: Final = ("outcome", "workflow", "actor", "agent", "capability", "type", "lane", "gate", "risk")


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it stands in the address. Empty fields do not narrow.

    Attributes:
        text: words that must all occur.
        actor: keys of the index ("user:<id>", "agent:<name>", "system"), ids, or pieces of names; any of these.
        agent, capability: names or pieces of them.
        object: a governed object, "<kind>/<name>" ("Role/clerk", "Person/<id>", "Run/<id or label>", "Item/<business key>").
        figure: of the metrics ("runs/failed"): the events that were counted there.
        since, until: aware, from inclusive to exclusive; `span` counts only without them.
        before: cursor: only events at a smaller position.
    """

    text: str = ""
    actor: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    lane: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    workflow: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    capability: tuple[str, ...] = ()
    gate: tuple[str, ...] = ()
    risk: tuple[str, ...] = ()
    run: str = ""
    stream: str = ""
    object: str = ""
    figure: str = ""
    span: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = field(default=None, compare=False)

    @property
    def narrows(self) -> dict[str, canonical.Json]:
        """The filters that are set, as JSON: what is recorded of a search, and what makes two searches the same one."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in {"before", "span"}}
        return {name: _as_json(value) for name, value in values.items() if value}

    @property
    def is_one_thing(self) -> bool:
        """The life of one run, stream or object: shown whole, however old."""
        return bool(self.run or self.stream or self.object)

    def times(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The time it reaches over. A span begins with a whole hour, so that the counts of hours are those of its rows."""
        if self.since or self.until:
            return self.since, self.until
        if self.is_one_thing and not self.span:
            return None, None
        span = SPANS[self.span or DEFAULT_SPAN]
        if span is None:
            return None, None
        return (now - span if span <= timedelta(hours=1) else hour_of(now - span)), None


def from_params(params: QueryDict) -> Search:
    """Read a search from a query string. Unknown parameters are left alone.

    Raises:
        Invalid: a value that cannot be meant, naming the parameter.
    """
    return Search(
        text=_text(params, "q"),
        **{name: _many(params, name) for name in FACETS},
        run=_text(params, "run"),
        stream=_text(params, "stream"),
        object=_text(params, "object"),
        figure=_figure(params),
        span=params.get("span", "") if params.get("span", "") in SPANS else "",
        since=_moment(params, "from"),
        until=_moment(params, "to"),
        before=_number(params, "before"),
    )


def _text(params: Mapping[str, str], name: str, most: int = MAX_TEXT) -> str:
    value = _clean(params.get(name, ""))
    if len(value) > most:
        raise Invalid("The search is too long", faults=[Fault(name, f"longer than {most} characters")])
    return value


def _figure(params: Mapping[str, str]) -> str:
    figure = _text(params, "figure", MAX_FIGURE)
    if not figures.is_sound(figure):
        raise Invalid("This is no figure", faults=[Fault("figure", "it holds a character that no name has")])
    return figure


def _many(params: QueryDict, name: str) -> tuple[str, ...]:
    values = tuple(sorted({value for one in params.getlist(name) if (value := _clean(one))}))
    if any(len(value) > MAX_TEXT for value in values):
        raise Invalid("The search is too long", faults=[Fault(name, f"longer than {MAX_TEXT} characters")])
    if len(values) > MAX_VALUES:
        raise Invalid("The search is too long", faults=[Fault(name, f"more than {MAX_VALUES} values")])
    return values


def _clean(text: str) -> str:
    """One line of text that every database takes."""
    return " ".join(text.replace("\x00", "").encode(errors="replace").decode().split())


def _number(params: Mapping[str, str], name: str) -> int | None:
    value = params.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _moment(params: Mapping[str, str], name: str) -> datetime | None:
    """ISO 8601; without a zone it is UTC (the form says so)."""
    value = params.get(name, "").strip()
    if not value:
        return None
    try:
        moment = parse_moment(value) if value.endswith("Z") and "." in value else datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no moment, or one that UTC has no year for (0001-01-01T00:00:00+14:00)
        raise Invalid("This is no point in time", faults=[Fault(name, "write it like 2026-11-23T07:00")]) from None


def _as_json(value: object) -> canonical.Json:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, datetime) else value
