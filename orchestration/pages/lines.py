"""An event of the journal as the pages of a run read it: its parsed line, its sentence, its place on the page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from aegis.core.canonical import Json
from audit import catalogue
from audit.catalogue import EventType

if TYPE_CHECKING:
    from audit.models import Event

_UNREGISTERED = EventType("event.unknown", "An event this release does not know", "system")


@dataclass(frozen=True, slots=True)
class Stored:
    """A payload as read for the page: `text` holds at most the first few kilobytes, None if it was erased."""

    stream: str
    seq: int
    name: str
    size: int
    text: str | None
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Names for the opaque ids in event lines."""

    people: Mapping[str, str]
    agents: Mapping[str, str]
    subject: str
    run: str
    scope: str

    def actor(self, kind: str, ref: str) -> str:
        match kind:
            case "system":
                return "AEGIS"
            case "agent":
                return self.agents.get(ref, "an agent that is gone")
            case _:
                return self.people.get(ref, "somebody who is gone")


@dataclass(frozen=True, slots=True)
class Raw:
    """An event with its parsed line."""

    event: Event
    line: Mapping[str, Json]

    @property
    def data(self) -> Mapping[str, Json]:
        data = self.line.get("data")
        return data if isinstance(data, Mapping) else {}

    @property
    def place(self) -> tuple[str, int]:
        return self.event.stream, self.event.seq


def parse(events: Iterable[Event]) -> list[Raw]:
    return [Raw(event, orjson.loads(event.line)) for event in events]


def in_order(raws: Sequence[Raw], run_stream: str) -> list[Raw]:
    """The run's own events by their position; those of requests and review items between them, by time."""
    own = sorted((raw for raw in raws if raw.event.stream == run_stream), key=lambda raw: raw.event.seq)
    keyed: list[tuple[datetime, int, int, Raw]] = []
    latest: datetime | None = None
    for raw in own:  # a clock that went back must not reorder a stream
        latest = raw.event.at if latest is None else max(latest, raw.event.at)
        keyed.append((latest, 0, raw.event.seq, raw))
    keyed += [(raw.event.at, 1, raw.event.seq, raw) for raw in raws if raw.event.stream != run_stream]
    return [raw for *_, raw in sorted(keyed, key=lambda item: item[:3])]


def anchor(stream: str, seq: int, run_stream: str) -> str:
    """The id of an event on the page: "e12" in the run's own stream, else with the stream's first characters."""
    if stream == run_stream:
        return f"e{seq}"
    kind, _, ref = stream.partition(":")
    return f"{kind}-{ref[:8]}-{seq}"


def anchor_of(raw: Raw, run_stream: str) -> str:
    return anchor(raw.event.stream, raw.event.seq, run_stream)


def sentence(raw: Raw, names: Names) -> str:
    """One event in words."""
    return catalogue.sentence(kind_of(raw), names_in(raw, names), raw.data)


def kind_of(raw: Raw) -> EventType:
    try:
        return catalogue.get(raw.event.type)
    except catalogue.UnknownEventType:
        return _UNREGISTERED


def names_in(raw: Raw, names: Names) -> dict[str, str]:
    event = raw.event
    return {
        "actor": names.actor(event.actor_kind, event.actor_ref),
        "on_behalf": names.people.get(str(raw.line.get("on_behalf", "")), ""),
        "subject": names.subject,
        "run": names.run,
        "step": event.step,
        "agent": event.agent,
        "capability": event.capability,
        "outcome": event.outcome,
        "scope": names.scope,
    }
