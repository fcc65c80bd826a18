"""The journal of one run as rows for people. Pure: events and payloads are handed in, nothing is looked up.

One row per event, except that the attempts of one visit of a step fold under its last outcome. Everything an agent or a person
wrote is plain text here; templates escape it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from aegis.core import clock_text
from aegis.core.canonical import Json
from approvals.pages import words
from approvals.pages.diffs import Diff, diff
from approvals.pages.words import Mark
from audit import catalogue
from audit.catalogue import EventType, Part
from audit.names import label
from orchestration.pages import marks

if TYPE_CHECKING:
    from audit.models import Event

_STARTS = ("step.started", "effect.intended")
_OUTCOMES = (
    "step.completed", "step.failed", "step.lost", "step.unsure", "step.abstained", "contract.violated",
    "effect.done", "effect.failed", "effect.lost", "effect.conflicted", "effect.unknown",
)  # fmt: skip
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
class Shown:
    """A payload on the page."""

    name: str
    text: str
    size: int
    is_cut: bool = False
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a visit, folded under its step."""

    number: int
    anchor: str
    at: datetime | None
    mark: Mark
    duration: str
    detail: str


@dataclass(frozen=True, slots=True)
class Bar:
    """Where an event lies between start and end of the run, in percent."""

    x: float
    width: float
    is_open: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One row."""

    anchor: str
    stream: str
    seq: int
    type: str
    at: datetime
    lane: str
    lane_icon: str
    parts: tuple[Part, ...]
    who: str
    mark: Mark
    duration: str
    bar: Bar
    step: str
    agent: str
    capability: str
    payloads: tuple[Shown, ...]
    diff: Diff | None
    attempts: tuple[Attempt, ...]
    anchors: tuple[str, ...]
    leaf: str
    request: str
    item: str
    satisfied_by: str = ""  # label of the request whose approval this verdict's gate was passed with

    @property
    def has_more(self) -> bool:
        return bool(self.payloads or self.attempts or self.diff)

    @property
    def short_leaf(self) -> str:
        return f"{self.leaf[:4]} {self.leaf[4:8]}…"


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


def build(
    raws: Sequence[Raw],
    payloads: Sequence[Stored],
    names: Names,
    *,
    run_stream: str,
    now: datetime,
    started: datetime,
    ended: datetime | None,
    pending: Mapping[str, Json] | None = None,
) -> list[Entry]:
    """Rows in the order the events were given.

    Args:
        pending: the retry that is due, if one is: {"step", "visit", "attempt", "until"}.
    """
    by_place: dict[tuple[str, int], list[Stored]] = {}
    for payload in payloads:
        by_place.setdefault((payload.stream, payload.seq), []).append(payload)
    length = max(((ended or now) - started).total_seconds(), 0.001)
    groups = _groups(raws)
    approvals = _approvals(raws)
    folded = {raw.place for group in groups.values() for raw in group[:-1]}
    entries = []
    for raw in raws:
        if raw.place in folded:
            continue
        group = next((group for group in groups.values() if group[-1].place == raw.place), [raw])
        entry = _entry(raw, by_place, names, run_stream, started, length)
        if approval := approvals.get(raw.place):
            entry = replace(entry, request=approval, satisfied_by=label("request", approval))
        if len(group) > 1:
            attempts = _attempts(group, by_place, run_stream)
            entry = replace(
                entry,
                attempts=tuple(_with_planned(attempts, raw, pending, now)),
                anchors=tuple(_anchor(other, run_stream) for other in group[:-1]),
            )
        entries.append(entry)
    return entries


def anchor(stream: str, seq: int, run_stream: str) -> str:
    """The id of an event on the page: "e12" in the run's own stream, else with the stream's first characters."""
    if stream == run_stream:
        return f"e{seq}"
    kind, _, ref = stream.partition(":")
    return f"{kind}-{ref[:8]}-{seq}"


def sentence(raw: Raw, names: Names) -> str:
    """One event in words."""
    return catalogue.sentence(_kind(raw), _names(raw, names), raw.data)


def lane_counts(entries: Iterable[Entry]) -> dict[str, int]:
    """Rows per lane, in the order of the lanes; lanes without rows are left out."""
    counts = dict.fromkeys(marks.LANES, 0)
    for entry in entries:
        counts[entry.lane] = counts.get(entry.lane, 0) + 1
    return {lane: count for lane, count in counts.items() if count}


def _groups(raws: Sequence[Raw]) -> dict[tuple[str, Json, Json], list[Raw]]:
    """The events of each (step, visit) that took more than one attempt, without its first start, oldest first."""
    found: dict[tuple[str, Json, Json], list[Raw]] = {}
    for raw in raws:
        if raw.event.type not in (*_STARTS, *_OUTCOMES):
            continue
        if raw.event.type in _STARTS and raw.data.get("attempt", 1) == 1:
            continue  # the handoff itself keeps its row
        # What undoes an effect has the step and visit of the effect, and attempts of its own.
        found.setdefault((raw.event.step, raw.data.get("visit"), raw.data.get("undoes")), []).append(raw)
    return {key: group for key, group in found.items() if len(group) > 1}


def _approvals(raws: Sequence[Raw]) -> dict[tuple[str, int], str]:
    """Place of a verdict -> the request it was satisfied by: the approval that the effect right after it names.

    The verdict is asked again after an approval; without this its row reads as if the effect had passed the gate by itself.
    """
    found: dict[tuple[str, int], str] = {}
    last: dict[tuple[str, Json, Json], Raw] = {}
    for raw in raws:
        key = raw.event.step, raw.data.get("visit"), raw.data.get("undoes")
        if raw.event.type == "verdict.given":
            last[key] = raw
        elif raw.event.type in ("effect.intended", "effect.done") and raw.data.get("approval") and key in last:
            found[last.pop(key).place] = str(raw.data["approval"])
    return found


def _attempts(group: Sequence[Raw], payloads: Mapping[tuple[str, int], Sequence[Stored]], run_stream: str) -> list[Attempt]:
    result: list[Attempt] = []
    begun: dict[int, datetime] = {}
    for raw in group:
        number = int(raw.data.get("attempt", 0))
        if raw.event.type in _STARTS:
            begun[number] = raw.event.at
            continue
        kind = _kind(raw)
        result.append(
            Attempt(
                number=number,
                anchor=_anchor(raw, run_stream),
                at=begun.get(number, raw.event.at),
                mark=marks.outcome("failed" if raw.event.outcome == "retrying" else raw.event.outcome, kind.tone, kind.name),
                duration=words.duration(raw.event.duration_ms),
                detail=_detail(raw, payloads.get(raw.place, ())),
            )
        )
    if group[-1].event.type in _STARTS:
        last = group[-1]
        result.append(
            Attempt(
                int(last.data.get("attempt", 0)),
                _anchor(last, run_stream),
                last.event.at,
                Mark("blue", "play", "under way"),
                "",
                "",
            )
        )
    return result


def _with_planned(attempts: list[Attempt], last: Raw, pending: Mapping[str, Json] | None, now: datetime) -> list[Attempt]:
    if not pending or (pending["step"], pending["visit"]) != (last.event.step, last.data.get("visit")):
        return attempts
    until = clock_text.parse(str(pending["until"]))
    rest = words.span(until - now)
    planned = Attempt(int(pending["attempt"]) + 1, "", until, Mark("amber", "clock", "planned"), "", f"in {rest}")
    return [*attempts, planned]


def _detail(raw: Raw, payloads: Sequence[Stored]) -> str:
    """What an attempt says about its failure: its code, and the text beside it."""
    code = str(raw.data.get("code", "")).replace("_", " ")
    for payload in payloads:
        if payload.name in ("detail", "reason") and payload.text:
            try:
                value = orjson.loads(payload.text)
            except orjson.JSONDecodeError:
                continue
            text = value.get(payload.name) if isinstance(value, dict) else value
            return f"{code}: {text}" if code else str(text)
    return code


def _entry(
    raw: Raw,
    payloads: Mapping[tuple[str, int], Sequence[Stored]],
    names: Names,
    run_stream: str,
    started: datetime,
    length: float,
) -> Entry:
    event, kind = raw.event, _kind(raw)
    stored = payloads.get(raw.place, ())
    seconds = (event.duration_ms or 0) / 1000
    end = (event.at - started).total_seconds()
    x = min(max((end - seconds) / length * 100, 0.0), 99.1)
    return Entry(
        anchor=_anchor(raw, run_stream),
        stream=event.stream,
        seq=event.seq,
        type=event.type,
        at=event.at,
        lane=kind.lane,
        lane_icon=marks.LANES.get(kind.lane, "info"),
        parts=tuple(catalogue.parts(kind, _names(raw, names), raw.data)),
        who=_who(raw, names),
        mark=marks.outcome(event.outcome, kind.tone, event.type),
        duration=words.duration(event.duration_ms),
        bar=Bar(round(x, 2), round(min(max(seconds / length * 100, 0.9), 100 - x), 2), is_open=False),
        step=event.step,
        agent=event.agent,
        capability=event.capability,
        payloads=tuple(_shown(payload) for payload in stored if payload.name not in ("before", "after")),
        diff=_diff(stored),
        attempts=(),
        anchors=(),
        leaf=event.leaf,
        request=str(raw.data.get("request", "") or ""),
        item=str(raw.data.get("item", "") or ""),
    )


def _kind(raw: Raw) -> EventType:
    try:
        return catalogue.get(raw.event.type)
    except catalogue.UnknownEventType:
        return _UNREGISTERED


def _names(raw: Raw, names: Names) -> dict[str, str]:
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


def _who(raw: Raw, names: Names) -> str:
    who = names.actor(raw.event.actor_kind, raw.event.actor_ref)
    behalf = names.people.get(str(raw.line.get("on_behalf", "") or ""), "")
    return f"{who} on behalf of {behalf}" if behalf and behalf != who else who


def _shown(payload: Stored) -> Shown:
    if payload.text is None:
        return Shown(payload.name, "", payload.size, erased_at=payload.erased_at)
    is_cut = len(payload.text) < payload.size
    return Shown(payload.name, payload.text if is_cut else words.pretty_text(payload.text), payload.size, is_cut)


def _diff(stored: Sequence[Stored]) -> Diff | None:
    """before/after of an effect, if both are whole on this page."""
    sides: dict[str, Json] = {}
    for payload in stored:
        if payload.name in ("before", "after") and payload.text is not None and len(payload.text) >= payload.size:
            sides[payload.name] = orjson.loads(payload.text)
    after = sides.get("after")
    if "before" not in sides or not isinstance(after, Mapping):
        return None
    return diff(sides["before"], after)


def _anchor(raw: Raw, run_stream: str) -> str:
    return anchor(raw.event.stream, raw.event.seq, run_stream)
