"""Which fix fits what an alert says and what the logs tell. Pure.

Signals of the logs weigh more than the words of an alert. Two signals that speak for different fixes and weigh the same are no
answer: then a person says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Action = Literal["service.restart", "service.scale", "service.rollback", "service.free-space", "service.watch"]

FOR_SIGNAL: Final[Mapping[str, Action]] = {
    "out_of_memory": "service.restart",
    "disk_full": "service.free-space",
    "bad_release": "service.rollback",
    "overload": "service.scale",
    "dependency": "service.watch",
}
FOR_SYMPTOM: Final[Mapping[str, Action]] = {
    "memory": "service.restart",
    "disk": "service.free-space",
    "queue": "service.scale",
    "cpu": "service.scale",
    "errors": "service.restart",
    "latency": "service.watch",
    "down": "service.restart",
    "other": "service.watch",
}
WORDS: Final[Mapping[Action, str]] = {
    "service.restart": "restart it",
    "service.scale": "give it one more replica",
    "service.rollback": "go back to the release before",
    "service.free-space": "remove what can be made again",
    "service.watch": "watch it closely for half an hour",
}


@dataclass(frozen=True, slots=True)
class Remedy:
    action: Action
    confidence: float
    why: str


@dataclass(frozen=True, slots=True)
class Undecided:
    reason: str


def choose(*, symptom: str, status: str, severity: str, signals: Mapping[str, int]) -> Remedy | Undecided:
    """The fix, and how sure that is.

    Args:
        signals: signal -> lines that carry it.
    """
    if status == "resolved" or severity == "info":
        state = "it is over" if status == "resolved" else "it is for information"
        return Remedy("service.watch", 0.9, f"{state}, so nothing is changed")
    weights: dict[Action, int] = {}
    for signal, count in signals.items():
        action = FOR_SIGNAL.get(signal)
        if action:
            weights[action] = weights.get(action, 0) + count
    if not weights:
        action = FOR_SYMPTOM.get(symptom, "service.watch")
        return Remedy(action, 0.5, f"no log tells more than the alert ({symptom})")
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    best, count = ranked[0]
    if len(ranked) > 1 and ranked[1][1] == count:
        return Undecided(f"the logs speak as much for {ranked[1][0]} as for {best}")
    confidence = round(0.6 + 0.35 * count / sum(weights.values()), 2)
    told = ", ".join(f"{signal} in {lines} lines" for signal, lines in sorted(signals.items()))
    return Remedy(best, confidence, f"the logs tell of {told}")
