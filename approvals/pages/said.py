"""What was said about a request, for its page: the evidence it opened with, the votes, the edits and the comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from django.db.models import Q

from aegis.core.canonical import Json
from aegis.core.diffs import Diff, diff
from aegis.identity.models import User
from approvals.models import ApprovalRequest, Decision
from approvals.pages import words
from approvals.pages.facts import Fact, facts
from approvals.pages.standing import Standing
from approvals.pages.words import Mark
from approvals.questions import Evidence
from audit import catalogue
from audit.catalogue import Part
from audit.models import Event

#: (seq, name) -> what stands there in the request's own stream, as the reader may see it.
Texts = Mapping[tuple[int, str], Json]


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """One piece of evidence: what happened, in words, with what it says."""

    title: str
    sentence: tuple[Part, ...]
    mark: Mark
    anchor: str  # of its event on the run page
    facts: tuple[Fact, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Vote:
    decision: Decision
    mark: Mark
    reason: str
    stage: str


@dataclass(frozen=True, slots=True)
class Edit:
    """What an approver wrote otherwise, against what was asked before.

    Attributes:
        diff: None where what it replaced, or what was written, is erased.
    """

    author: str
    at: datetime
    reason: str
    diff: Diff | None


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said about it; `text` is "" once erased."""

    author: str
    at: datetime
    text: str


def events_of(evidence: Sequence[Evidence]) -> dict[str, Event]:
    """Pointer -> the event a piece of evidence came from. One query."""
    places = _places(evidence)
    rows = list(Event.objects.filter(_at(places))) if places else []
    return {f"{event.stream}/{event.seq}": event for event in rows}


def evidence_view(item: Evidence, event: Event | None) -> EvidenceView:
    told = facts(item.body) if item.body is not None else ()
    if event is None:
        return EvidenceView(item.title, (), Mark("grey", "info", ""), "", told, item.digest)
    line = orjson.loads(event.line)
    try:
        kind = catalogue.get(event.type)
    except catalogue.UnknownEventType:
        return EvidenceView(item.title, (), Mark("grey", "info", ""), f"e{event.seq}", told, item.digest)
    names = {
        "step": event.step,
        "agent": event.agent,
        "capability": event.capability,
        "outcome": event.outcome,
        "actor": event.agent or "AEGIS",
        "subject": "it",
    }
    icon = {"routing": "route", "agents": "bot", "contracts": "contract", "effects": "effect"}.get(kind.lane, "info")
    sentence = tuple(catalogue.parts(kind, names, line.get("data", {})))
    return EvidenceView(item.title, sentence, Mark(kind.tone, icon, kind.lane), f"e{event.seq}", told, item.digest)


def votes(texts: Texts, stands: Standing) -> list[Vote]:
    if not stands.decisions:
        return []
    reasons = {seq: value for (seq, name), value in texts.items() if name == "reason"}
    stages = stands.policy.stages
    return [
        Vote(
            decision,
            words.VERDICTS[decision.verdict],
            _text(reasons.get(decision.seq)),
            stages[decision.stage].label if decision.stage < len(stages) else "",
        )
        for decision in stands.decisions
    ]


def comments(request: ApprovalRequest, texts: Texts) -> list[Comment]:
    """In the order they were made. Two queries if there are any."""
    said = {seq: value for (seq, name), value in texts.items() if name == "comment"}
    if not said:
        return []
    events = list(Event.objects.filter(stream=request.stream, type="request.commented").order_by("seq"))
    people = {str(person.pk): person.display_name for person in User.objects.filter(pk__in={one.actor_ref for one in events})}
    return [Comment(people.get(one.actor_ref, "Somebody"), one.at, _text(said.get(one.seq))) for one in events]


def edits(request: ApprovalRequest, texts: Texts) -> list[Edit]:
    """In the order they were made. Two queries if there are any."""
    if not request.revision:
        return []
    events = list(Event.objects.filter(stream=request.stream, type="request.edited").order_by("seq"))
    people = {str(person.pk): person.display_name for person in User.objects.filter(pk__in={one.actor_ref for one in events})}
    found, before = [], _parameters(texts.get((1, "proposal")))
    for one in events:
        after = _parameters(texts.get((one.seq, "proposal")))
        changed = diff(before, after) if before is not None and after is not None else None
        reason = _text(texts.get((one.seq, "reason")))
        found.append(Edit(people.get(one.actor_ref, "Somebody"), one.at, reason, changed))
        before = after
    return found


def _parameters(proposal: Json) -> Mapping[str, Json] | None:
    found = proposal.get("parameters") if isinstance(proposal, dict) else None
    return found if isinstance(found, dict) else None


def _text(value: Json) -> str:
    if isinstance(value, dict):
        value = value.get("reason", "")
    return str(value or "")


def _places(evidence: Sequence[Evidence]) -> list[tuple[str, int]]:
    places = []
    for item in evidence:
        stream, _, seq = item.pointer.rpartition("/")
        if stream and seq.isdigit():
            places.append((stream, int(seq)))
    return places


def _at(places: Sequence[tuple[str, int]]) -> Q:
    """The condition for a few places of one or two streams."""
    by_stream: dict[str, list[int]] = {}
    for stream, seq in places:
        by_stream.setdefault(stream, []).append(seq)
    condition = Q(pk__in=[])
    for stream, seqs in by_stream.items():
        condition |= Q(stream=stream, seq__in=seqs)
    return condition
