"""The attempts of one visit of a step, which a timeline folds under its last outcome. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from aegis.core import clock_text
from aegis.core.canonical import Json
from approvals.pages import words
from approvals.pages.words import Mark
from orchestration.pages import marks
from orchestration.pages.lines import Raw, Stored, anchor_of, kind_of

_STARTS = ("step.started", "effect.intended")
_OUTCOMES = (
    "step.completed", "step.failed", "step.lost", "step.unsure", "step.abstained", "contract.violated",
    "effect.done", "effect.failed", "effect.lost", "effect.conflicted", "effect.unknown",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a visit, folded under its step."""

    number: int
    anchor: str
    at: datetime | None
    mark: Mark
    duration: str
    detail: str


def by_visit(raws: Sequence[Raw]) -> dict[tuple[str, Json, Json], list[Raw]]:
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


def of_visit(group: Sequence[Raw], payloads: Mapping[tuple[str, int], Sequence[Stored]], run_stream: str) -> list[Attempt]:
    """One group of `by_visit`, told attempt by attempt."""
    result: list[Attempt] = []
    begun: dict[int, datetime] = {}
    for raw in group:
        number = int(raw.data.get("attempt", 0))
        if raw.event.type in _STARTS:
            begun[number] = raw.event.at
            continue
        kind = kind_of(raw)
        result.append(
            Attempt(
                number=number,
                anchor=anchor_of(raw, run_stream),
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
                anchor_of(last, run_stream),
                last.event.at,
                Mark("blue", "play", "under way"),
                "",
                "",
            )
        )
    return result


def due(last: Raw, pending: Mapping[str, Json] | None) -> datetime | None:
    """When the retry after this outcome is due, if one is."""
    if not pending or last.event.type not in _OUTCOMES or last.data.get("attempt", 1) != pending["attempt"]:
        return None
    if (pending["step"], pending["visit"]) != (last.event.step, last.data.get("visit")):
        return None
    return clock_text.parse(str(pending["until"]))


def in_words(newest: Attempt, limit: int) -> str:
    """ "attempt 3 of 5"; how it stands is told by the row."""
    return f"attempt {newest.number} of {max(limit, newest.number)}" if limit else f"attempt {newest.number}"


def with_planned(told: list[Attempt], last: Raw, pending: Mapping[str, Json] | None, now: datetime) -> list[Attempt]:
    """With the retry that is due, if it is one of this visit."""
    if not pending or (pending["step"], pending["visit"]) != (last.event.step, last.data.get("visit")):
        return told
    until = clock_text.parse(str(pending["until"]))
    rest = words.span(until - now)
    planned = Attempt(int(pending["attempt"]) + 1, "", until, Mark("amber", "clock", "planned"), "", f"in {rest}")
    return [*told, planned]


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
