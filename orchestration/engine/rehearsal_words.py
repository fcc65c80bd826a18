"""A rehearsal in words and as JSON: for the page, the API and the command line. Pure; nothing here has happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aegis.core.canonical import Json
from audit import catalogue
from audit.outcomes import Mark, mark
from orchestration.engine.rehearsal_told import Happening, Rehearsal, Waiting

_SOURCES: Final[Mapping[str, str]] = {
    "given": "answered by the sample",
    "asked": "the agent was really asked",
    "assumed": "assumed: no answer was given, so it counts as done",
}
_WAITS: Final[Mapping[str, str]] = {
    "decision": "waits for a decision under {what}, by {who}",
    "review": "waits in the review queue {what} for {who}, because of {code}",
    "answer": "would ask the agent {what} now; nobody said what that answers",
    "message": "waits for the message {what}",
    "guard": "is held by {code}",
}
#: Payloads that say nothing a reader of a rehearsal looks for beside the sentence.
_QUIET: Final = frozenset({"about", "why", "proposal"})


@dataclass(frozen=True, slots=True)
class Line:
    """One happening for people.

    Attributes:
        verdict: the answer of the matrix in words, with grants, locks and matrix version; "" where it was not asked.
        note: who answered, where that is not plain.
    """

    step: str
    visit: int
    sentence: str
    mark: Mark
    values: Mapping[str, Json]
    verdict: str
    note: str


def lines_of(played: Rehearsal) -> list[Line]:
    return [_line(one, played.business_key) for one in played.happenings]


def verdict_words(one: Happening) -> str:
    """ "gate under two-people, by support/ticket.reply; matrix 12. <why>"; "" for anything but a verdict."""
    if one.type != "verdict.given":
        return ""
    data = one.data
    parts = [f"{data['answer']} under {data['policy']}" if data["policy"] else str(data["answer"])]
    parts.append(f"by {', '.join(data['grants'])}" if data["grants"] else "by no grant")
    if data["locks"]:
        parts.append(f"floor lock {', '.join(data['locks'])}")
    matrix = f"; matrix {one.matrix}" if one.matrix else ""
    return f"{', '.join(parts)}{matrix}. {one.values.get('why', {}).get('why', '')}".strip()


def waiting_words(waits: Waiting) -> str:
    """The end of a rehearsal that did not come to one."""
    who = ", ".join(waits.who) or "nobody"
    within = f" ({waits.within})" if waits.within else ""
    return f"{waits.step}{within} {_WAITS[waits.kind].format(what=waits.what, who=who, code=waits.code)}"


def ending_words(played: Rehearsal) -> str:
    """How it ends, in one sentence."""
    if played.waits_for is not None:
        return f"{waiting_words(played.waits_for)}."
    if played.status == "runaway":
        return f"The rehearsal was given up: {played.given_up}."
    success = {"yes": ", a success", "no": ", no success", "unknown": "; its success cannot be told"}.get(played.success, "")
    return f"It ends as {played.status}, with {played.outcome or 'no outcome'}{success}."


def as_json(played: Rehearsal) -> Json:
    """What the API answers."""
    waits = played.waits_for
    return {
        "status": played.status,
        "outcome": played.outcome,
        "success": played.success,
        "business_key": played.business_key,
        "path": list(played.path),
        "says": ending_words(played),
        "waits_for": None
        if waits is None
        else {
            "kind": waits.kind, "step": waits.step, "what": waits.what, "who": list(waits.who), "code": waits.code,
            "within": waits.within, "says": waiting_words(waits),
        },
        "output": played.output,
        "happenings": list(_told(played)),
        "parts": [
            {"step": part.step, "visit": part.visit, "part": part.name, **as_json(part.played)} for part in played.parts
        ],
    }  # fmt: skip


def _told(played: Rehearsal) -> Iterator[Json]:
    for one, line in zip(played.happenings, lines_of(played), strict=True):
        yield {
            "step": one.step,
            "visit": one.visit,
            "type": one.type,
            "says": line.sentence,
            "data": dict(one.data),
            "values": dict(one.values),
            "verdict": line.verdict,
            "matrix": one.matrix,
            "source": one.source or "",
        }


def _line(one: Happening, business_key: str) -> Line:
    kind = catalogue.get(one.type)
    names = {
        "actor": one.agent or "AEGIS", "subject": business_key, "run": business_key, "step": one.step, "agent": one.agent,
        "capability": one.capability, "outcome": one.outcome,
    }  # fmt: skip
    values = {name: value for name, value in one.values.items() if name not in _QUIET}
    if one.type == "verdict.given":
        values = {"proposal": one.values["proposal"], **values}
    return Line(
        step=one.step,
        visit=one.visit,
        sentence=catalogue.sentence(kind, names, one.data),
        mark=mark(kind, one.outcome),
        values=values,
        verdict=verdict_words(one),
        note=_SOURCES.get(one.source or "", ""),
    )
