"""The journal of one run as rows for people. Pure: events and payloads are handed in, nothing is looked up.

One row per event, except that the attempts of one visit of a step fold under its last outcome. Everything an agent or a person
wrote is plain text here; templates escape it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from aegis.core.canonical import Json
from aegis.core.diffs import Diff, diff
from approvals.pages import origins, words
from approvals.pages.origins import Origin
from approvals.pages.words import Mark
from audit import catalogue
from audit.catalogue import Part
from audit.names import label
from orchestration.engine.steps import traced
from orchestration.pages import attempts, marks
from orchestration.pages.attempts import Attempt
from orchestration.pages.lines import Names, Raw, Stored, anchor_of, in_order, kind_of, names_in, parse, sentence

Origins = tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A payload on the page."""

    name: str
    text: str
    size: int
    is_cut: bool = False
    erased_at: datetime | None = None


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
    origins: Origins = ()  # of a verdict, and of the effect that rests on it
    fold: str = ""  # of its attempts: "attempt 3 of 5"
    next_at: datetime | None = None  # when the next attempt is due
    satisfied_by: str = ""  # label of the request whose approval this verdict's gate was passed with

    @property
    def has_more(self) -> bool:
        return bool(self.payloads or self.attempts or self.diff or self.origins)

    @property
    def short_leaf(self) -> str:
        return f"{self.leaf[:4]} {self.leaf[4:8]}…"


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
    limits: Mapping[str, int] | None = None,
) -> list[Entry]:
    """Rows in the order the events were given. What the run is at now lasts until now.

    Args:
        limits: step -> how many attempts it has.
        pending: the retry that is due, if one is: {"step", "visit", "attempt", "until"}.
    """
    by_place: dict[tuple[str, int], list[Stored]] = {}
    for payload in payloads:
        by_place.setdefault((payload.stream, payload.seq), []).append(payload)
    length = max(((ended or now) - started).total_seconds(), 0.001)
    visits = {group[-1].place: group for group in attempts.by_visit(raws).values()}
    approvals, origins = _approvals(raws), _origins(raws, by_place)
    folded = {raw.place for group in visits.values() for raw in group[:-1]}
    entries = []
    for raw in raws:
        if raw.place in folded:
            continue
        group = visits.get(raw.place, [raw])
        entry = replace(_entry(raw, by_place, names, run_stream, started, length), origins=origins.get(raw.place, ()))
        if approval := approvals.get(raw.place):
            entry = replace(entry, request=approval, satisfied_by=label("request", approval))
        due = attempts.due(raw, pending)
        if len(group) > 1 or due:
            told = attempts.of_visit(group, by_place, run_stream)
            entry = replace(
                entry,
                attempts=tuple(attempts.with_planned(told, raw, pending, now)),
                fold=attempts.in_words(told[-1], (limits or {}).get(raw.event.step, 0)),
                next_at=due,
                anchors=tuple(anchor_of(other, run_stream) for other in group[:-1]),
            )
        entries.append(entry)
    return entries if ended else _up_to_now(entries, run_stream, now, length)


def _up_to_now(entries: list[Entry], run_stream: str, now: datetime, length: float) -> list[Entry]:
    """With the bar of what the run is at, which has no duration yet, drawn until now."""
    at = max((at for at, entry in enumerate(entries) if entry.stream == run_stream), default=-1)
    if at < 0 or entries[at].duration:
        return entries
    lasts = max((now - entries[at].at).total_seconds(), 0.0)
    width = round(min(max(lasts / length * 100, 0.9), 100.0), 2)
    bar = Bar(round(100 - width, 2), width, is_open=True)
    return [*entries[:at], replace(entries[at], bar=bar, duration=words.span(now - entries[at].at)), *entries[at + 1 :]]


def lane_counts(entries: Iterable[Entry]) -> dict[str, int]:
    """Rows per lane, in the order of the lanes; lanes without rows are left out."""
    counts = dict.fromkeys(marks.LANES, 0)
    for entry in entries:
        counts[entry.lane] = counts.get(entry.lane, 0) + 1
    return {lane: count for lane, count in counts.items() if count}


def agent_counts(entries: Iterable[Entry]) -> dict[str, int]:
    """Rows per agent, by name."""
    names = sorted({entry.agent for entry in entries if entry.agent})
    return {name: sum(entry.agent == name for entry in entries) for name in names}


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


def _origins(raws: Sequence[Raw], payloads: Mapping[tuple[str, int], Sequence[Stored]]) -> dict[tuple[str, int], Origins]:
    """Place of a verdict, and of the events of its effect -> from where the values of the proposal are known.

    Only where the verdict asked for it, and its facts are whole on this page.
    """
    found: dict[tuple[str, int], Origins] = {}
    last: dict[tuple[str, Json, Json], Origins] = {}
    for raw in raws:
        key = raw.event.step, raw.data.get("visit"), raw.data.get("undoes")
        if raw.event.type == "verdict.given":
            facts = _whole(payloads.get(raw.place, ()), "facts").get("facts")
            told = facts if isinstance(facts, Mapping) else {}
            last[key] = tuple(origins.rows(told.get("provenance"), traced.outside_of(told)))
        if raw.event.type == "verdict.given" or raw.event.type.startswith("effect."):
            found[raw.place] = last.get(key, ())
    return found


def _whole(stored: Sequence[Stored], *names: str) -> dict[str, Json]:
    """Those payloads of an event of which all is on this page."""
    return {
        payload.name: orjson.loads(payload.text)
        for payload in stored
        if payload.name in names and payload.text is not None and len(payload.text) >= payload.size
    }


def _entry(
    raw: Raw,
    payloads: Mapping[tuple[str, int], Sequence[Stored]],
    names: Names,
    run_stream: str,
    started: datetime,
    length: float,
) -> Entry:
    event, kind = raw.event, kind_of(raw)
    stored = payloads.get(raw.place, ())
    seconds = (event.duration_ms or 0) / 1000
    end = (event.at - started).total_seconds()
    x = min(max((end - seconds) / length * 100, 0.0), 99.1)
    return Entry(
        anchor=anchor_of(raw, run_stream),
        stream=event.stream,
        seq=event.seq,
        type=event.type,
        at=event.at,
        lane=kind.lane,
        lane_icon=marks.LANES.get(kind.lane, "info"),
        parts=tuple(catalogue.parts(kind, names_in(raw, names), raw.data)),
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
    sides = _whole(stored, "before", "after")
    after = sides.get("after")
    if "before" not in sides or not isinstance(after, Mapping):
        return None
    return diff(sides["before"], after)


__all__ = ["Entry", "Names", "Raw", "Stored", "agent_counts", "build", "in_order", "lane_counts", "parse", "sentence"]
