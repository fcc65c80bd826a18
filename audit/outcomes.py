"""How an event's outcome is shown: tone, sign and word. The tone is never alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from audit.catalogue import EventType


@dataclass(frozen=True, slots=True)
class Mark:
    tone: str
    icon: str
    word: str


MARKS = {
    "done": Mark("green", "check", "done"),
    "completed": Mark("green", "check", "completed"),
    "accepted": Mark("green", "check", "accepted"),
    "approved": Mark("green", "check-circle", "approved"),
    "approve": Mark("green", "check-circle", "approved"),
    "allowed": Mark("green", "check", "allowed"),
    "applied": Mark("green", "check", "applied"),
    "whole": Mark("green", "shield-check", "whole"),
    "routed": Mark("violet", "route", "routed"),
    "gated": Mark("amber", "gate", "needs a yes"),
    "gate_opened": Mark("amber", "gate", "gate opened"),
    "fast_path": Mark("blue", "forward", "fast path"),
    "started": Mark("blue", "play", "started"),
    "intended": Mark("blue", "play", "intended"),
    "retrying": Mark("amber", "spin", "retrying"),
    "queued": Mark("amber", "queue", "queued"),
    "abstained": Mark("amber", "hand", "abstained"),
    "unsure": Mark("amber", "alert", "unsure"),
    "lost": Mark("amber", "alert", "worker lost"),
    "expired": Mark("amber", "alarm", "expired"),
    "conflict": Mark("amber", "refresh", "conflict"),
    "unknown": Mark("amber", "hourglass", "outcome unknown"),
    "denied": Mark("red", "stop", "denied"),
    "rejected": Mark("red", "x-circle", "rejected"),
    "reject": Mark("red", "x-circle", "rejected"),
    "failed": Mark("red", "alert", "failed"),
    "dead_letter": Mark("red", "dead", "dead letter"),
    "broken": Mark("red", "x-circle", "broken"),
    "cancelled": Mark("grey", "skip", "cancelled"),
    "withdrawn": Mark("grey", "skip", "withdrawn"),
}
# Offered in the filter rail; any other can still be named in the address.
OFFERED = (
    "done",
    "completed",
    "approved",
    "gated",
    "denied",
    "rejected",
    "failed",
    "queued",
    "abstained",
    "fast_path",
    "expired",
)

LANE_ICONS = {
    "handoffs": "handoff",
    "routing": "route",
    "contracts": "contract",
    "agents": "bot",
    "gates": "gate",
    "effects": "effect",
    "governance": "policy",
    "access": "key",
    "system": "shield",
}
_TONE_ICONS = {"green": "check", "red": "stop", "amber": "alert", "blue": "info", "violet": "flow", "grey": "record"}


def mark(kind: EventType | None, outcome: str) -> Mark:
    """The tag of an event: its outcome, or, without one, what its type says happened."""
    if outcome:
        return MARKS.get(outcome) or Mark("grey", "record", outcome.replace("_", " "))
    if kind is None:
        return Mark("grey", "record", "recorded")
    return Mark(kind.tone, _TONE_ICONS[kind.tone], kind.name.partition(".")[2].replace("_", " "))
