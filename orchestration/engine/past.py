"""An effect as the journal has it: what was proposed, what it did, and each attempt with what was heard. Reads only.

Compensation undoes what stands here, not what an expression would give now: a step passed again has another output. A person
who must say what became of an effect is shown the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from aegis.core import canonical
from aegis.core.canonical import Json
from audit import chain
from audit.models import Event, Payload
from orchestration.engine.state import Undoable
from orchestration.engine.world_port import PastEffect

_DONE = ("effect.done", "effect.stated")
_HEARD = ("effect.done", "effect.failed", "effect.lost", "effect.unknown", "effect.stated")


@dataclass(slots=True)
class Attempt:
    """One try of an effect: from which worker it was sent, and what came back.

    Attributes:
        worker: id of the worker process, "" on lines that do not say.
        heard: type of the event that says what came of it; "" while nothing did.
        code: of a failure.
        detail: what the other side, or the handler, said; "" if nothing, or if it was erased.
    """

    number: int
    sent_at: datetime
    worker: str
    fence: int
    heard: str = ""
    code: str = ""
    detail: str = ""
    heard_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one effect that was sent outside.

    Attributes:
        proposal: as it was sent; None if it was erased.
        diverged: the proposal that was about to be sent under the same key with another digest, if that is why it stopped.
    """

    key: str
    digest: str
    capability: str
    safety: str
    approval: str
    proposal: Mapping[str, Json] | None
    attempts: tuple[Attempt, ...]
    diverged: Mapping[str, Json] | None = None
    undoes: str = ""


@dataclass(slots=True)
class _Lines:
    """Lines of one visit of a step, parsed, with their payloads."""

    rows: list[tuple[Event, Mapping[str, Json]]] = field(default_factory=list)
    bodies: dict[int, dict[str, Json]] = field(default_factory=dict)

    def payload(self, seq: int, name: str) -> Json:
        return self.bodies.get(seq, {}).get(name)


def past_effect(stream: str, effect: Undoable) -> PastEffect | None:
    """An effect that is done. None where a payload it needs was erased. Two queries."""
    lines = _lines(stream, effect.step, effect.visit)
    proposal: Json = None
    for event, data in lines.rows:
        if event.type in ("verdict.given", "effect.intended") and not data.get("undoes"):
            proposal = lines.payload(event.seq, "proposal")
        if event.type in _DONE and data.get("key") == effect.key:
            break
    else:
        return None
    if not isinstance(proposal, Mapping):
        return None
    output = lines.payload(event.seq, "output") if event.type == "effect.done" else _stated_output(str(data["output"]))
    before, after = lines.payload(event.seq, "before"), lines.payload(event.seq, "after")
    if output is None or (data.get("after_version") and after is None):
        return None
    return PastEffect(proposal=proposal, before=before, after=after, output=output)


def evidence(stream: str, step: str, visit: int, key: str) -> Evidence | None:
    """What is known of the effect under a key; None if it was never sent. Two queries."""
    lines = _lines(stream, step, visit)
    attempts: list[Attempt] = []
    sent: tuple[Event, Mapping[str, Json]] | None = None
    diverged: Json = None
    for event, data in lines.rows:
        if f"{data.get('undoes')}/undo" != key if data.get("undoes") else key.endswith("/undo"):
            continue
        if event.type == "effect.intended":
            sent = (event, data)
            fence = chain.read_line(event.line).get("fence") or 0
            attempts.append(Attempt(int(data["attempt"]), event.at, str(data.get("worker", "")), int(fence)))
        elif event.type == "effect.diverged":
            diverged = lines.payload(event.seq, "proposal")
        elif event.type in _HEARD and attempts:
            last = attempts[-1]
            last.heard, last.heard_at, last.code = event.type, event.at, str(data.get("code", ""))
            detail = lines.payload(event.seq, "detail")
            last.detail = str(detail.get("detail", "")) if isinstance(detail, Mapping) else ""
    if sent is None:
        return None
    event, data = sent
    proposal = lines.payload(event.seq, "proposal")
    return Evidence(
        key=str(data["key"]),
        digest=str(data["digest"]),
        capability=event.capability,
        safety=str(data["safety"]),
        approval=str(data["approval"]),
        proposal=proposal if isinstance(proposal, Mapping) else None,
        attempts=tuple(attempts),
        diverged=diverged if isinstance(diverged, Mapping) else None,
        undoes=str(data.get("undoes", "")),
    )


def _lines(stream: str, step: str, visit: int) -> _Lines:
    """The lines of effects in one visit of a step. Through the run, whose events an index finds; a run has hundreds at most."""
    lines = _Lines()
    run_id = UUID(stream.partition(":")[2])
    events = Event.objects.filter(run_id=run_id, stream=stream, step=step).order_by("seq")
    for event in events:
        if event.type == "verdict.given" or event.type.startswith("effect."):
            data = chain.read_line(event.line)["data"]
            if data.get("visit") == visit:
                lines.rows.append((event, data))
    seqs = [event.seq for event, _ in lines.rows]
    found = Payload.objects.filter(stream=stream, seq__in=seqs, erased_at__isnull=True)
    for seq, name, body in found.values_list("seq", "name", "body"):
        lines.bodies.setdefault(seq, {})[name] = canonical.parse(body)
    return lines


def _stated_output(place: str) -> Json:
    """What a person who stated that it happened wrote; {} when nothing had to be said."""
    stream, _, seq = place.rpartition("/")
    if not stream:
        return {}
    row = Payload.objects.filter(stream=stream, seq=int(seq), name="output", erased_at__isnull=True).first()
    return canonical.parse(row.body) if row else None
