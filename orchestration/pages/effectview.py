"""What is known of an effect whose outcome a person must state: for the page of its review item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aegis.identity.models import User
from approvals.pages.facts import Fact, facts
from approvals.pages.words import Mark
from audit import masking
from audit.names import label
from orchestration.authority import live
from orchestration.engine import past
from orchestration.engine import state as states
from orchestration.engine.models import ReviewItem
from orchestration.engine.past import Attempt, Evidence

SAFETY = {
    "idempotent": "idempotent: sending it twice does the same as once",
    "keyed": "keyed: the other side knows the key and does it once",
    "unsafe": "unsafe: sent twice, it happens twice",
}
_HEARD = {
    "": Mark("amber", "hourglass", "nothing heard"),
    "effect.done": Mark("green", "check-circle", "done"),
    "effect.stated": Mark("green", "check-circle", "stated by a person"),
    "effect.lost": Mark("amber", "alert", "its worker died"),
    "effect.unknown": Mark("red", "alert", "outcome unknown"),
    "effect.failed": Mark("grey", "x-circle", "nothing happened"),
}
_UNCLEAR = Mark("amber", "alert", "no clear answer")


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt."""

    number: int
    sent_at: datetime
    worker: str
    fence: int
    mark: Mark
    detail: str
    heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class EffectView:
    """The evidence.

    Attributes:
        sent: capability, resource and parameters as they were sent; empty if erased.
        diverged: what was about to be sent under the same key; empty if that is not why it stopped.
        approval: label of the request that let it pass; "" without one.
        safety, safety_now: the class at the intent, and the live one where it differs.
    """

    capability: str
    resource: str
    key: str
    digest: str
    safety: str
    safety_now: str
    approval: str
    approval_id: str
    sent: Sequence[Fact]
    diverged: Sequence[Fact]
    tries: Sequence[Try]
    is_undo: bool


def of(user: User, item: ReviewItem) -> EffectView | None:
    """The effect an item is about, as this person may see it; None where nothing was sent outside. Four queries."""
    state = states.load(item.run.state)
    if state.intent is None or state.item != str(item.pk):
        return None
    known = past.evidence(item.run.stream, state.step, state.visit, state.intent.key)
    return _view(_masked(user, item, known)) if known else None


def _masked(user: User, item: ReviewItem, known: Evidence) -> Evidence:
    texts = [attempt.detail for attempt in known.attempts]
    about = [(item.run_id, value) for value in (known.proposal, known.diverged, *texts)]
    proposal, diverged, *details = masking.masker().values(user, about)
    tries = tuple(replace(attempt, detail=detail) for attempt, detail in zip(known.attempts, details, strict=True))
    return replace(known, proposal=proposal, diverged=diverged, attempts=tries)


def _view(known: Evidence) -> EffectView:
    capability = live.current().matrix.capabilities.get(known.capability)
    now = capability.safety if capability else ""
    proposal = known.proposal or {}
    resource = proposal.get("resource")
    return EffectView(
        capability=known.capability,
        resource=f"{resource['type']} {resource['id']}" if isinstance(resource, dict) else "",
        key=known.key,
        digest=known.digest,
        safety=SAFETY.get(known.safety, known.safety),
        safety_now="" if now == known.safety else SAFETY.get(now, "the capability is gone"),
        approval=label("request", known.approval) if known.approval else "",
        approval_id=known.approval,
        sent=facts(proposal["parameters"]) if "parameters" in proposal else (),
        diverged=facts(known.diverged["parameters"]) if known.diverged else (),
        tries=[_try(attempt) for attempt in known.attempts],
        is_undo=bool(known.undoes),
    )


def _try(attempt: Attempt) -> Try:
    mark = _HEARD.get(attempt.heard, _UNCLEAR)
    return Try(
        number=attempt.number,
        sent_at=attempt.sent_at,
        worker=attempt.worker[:8],
        fence=attempt.fence,
        mark=_UNCLEAR if attempt.heard == "effect.failed" and attempt.code == "unknown" else mark,
        detail=attempt.detail,
        heard_at=attempt.heard_at,
    )
