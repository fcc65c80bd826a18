"""How soon a person must look: the policy's urgency of the likely intents, raised by what the text says. Pure.

A late P1 costs a customer money; a P1 too many costs a colleague a minute. So doubt is read towards P1: it is enough
that a fifth of the probability lies on intents that the policy calls P1. A hurried tone raises by one level, never
into P1, else everybody would write in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .classifier import Prediction
from .policy import Line, most_urgent

P1_SHARE: Final = 0.2
UNKNOWN_URGENCY: Final = "P3"  # a model without a policy

_DANGER: Final = {
    "theft": r"\b(?:stolen|stole|theft|thief|thieves|robbed|mugged|pickpocket\w*|snatched|burgl\w+)\b",
    "intrusion": r"\b(?:hacked|hacker\w*|hijacked|broke into my account|took over my account|sim[- ]swap\w*)\b",
    "fraud": r"\b(?:scam\w*|phish\w+|fraud(?:ster\w*|ulent\w*)?|skimmed|cloned|unauthori[sz]ed)\b",
    "not_mine": (
        r"\b(?:was(?: not|n'?t) me|(?:did not|didn'?t|never) (?:authori[sz]e|approve)\w*"
        r"|without my (?:permission|consent))\b"
    ),
}
_HURRY: Final = (
    r"\b(?:urgent(?:ly)?|asap|emergency|immediately|right now|right away|straight away|at once|as soon as possible"
    r"|in front of the (?:shop|atm|machine)|at the (?:checkout|till|counter)|stranded)\b"
)
_DANGER_PATTERNS: Final = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _DANGER.items()}
_HURRY_PATTERN: Final = re.compile(_HURRY, re.IGNORECASE)
_ONE_UP: Final = {"P1": "P1", "P2": "P2", "P3": "P2", "P4": "P3"}


@dataclass(frozen=True, slots=True)
class Urgency:
    """A level, and the signals that led above the policy's line ("theft", "p1_share", "hurry")."""

    level: str
    signals: tuple[str, ...]


def judge_urgency(prediction: Prediction, text: str, policy: Mapping[str, Line]) -> Urgency:
    line = policy.get(prediction.intent)
    level = line.urgency if line else UNKNOWN_URGENCY
    signals: list[str] = []
    on_p1 = sum(chance for intent, chance in prediction.ranked if intent in policy and policy[intent].urgency == "P1")
    if level != "P1" and on_p1 >= P1_SHARE:
        signals.append("p1_share")
    plain = text.replace("\u2019", "'")
    if level != "P1":
        signals += [name for name, pattern in _DANGER_PATTERNS.items() if pattern.search(plain)]
    if signals:
        return Urgency("P1", tuple(signals))
    if _HURRY_PATTERN.search(plain) and _ONE_UP[level] != level:
        return Urgency(most_urgent(level, _ONE_UP[level]), ("hurry",))
    return Urgency(level, ())
