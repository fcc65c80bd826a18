"""From a text to a classification, or to the reason why there is none. Pure; agents and evaluation share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .classifier import Prediction, classify_text
from .modelfile import Model
from .urgency import Urgency, judge_urgency

MAX_CHARACTERS: Final = 8_000  # as in contracts/request@1.json
FEWEST_LETTERS: Final = 3
FEWEST_WORDS: Final = 2
FEWEST_KNOWN_SHARE: Final = 0.3  # below: another language, or words typed at random


@dataclass(frozen=True, slots=True)
class Triage:
    prediction: Prediction
    urgency: Urgency


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """The text gives the model nothing to go by. A person reads it."""

    reason: str


def triage(model: Model, text: str) -> Triage | NotUnderstood:
    if not text.strip():
        return NotUnderstood("the request is empty")
    if len(text) > MAX_CHARACTERS:
        return NotUnderstood(f"the request is longer than {MAX_CHARACTERS} characters")
    if sum(map(str.isalpha, text)) < FEWEST_LETTERS:
        return NotUnderstood("the request is too short to be understood")
    prediction = classify_text(model, text)
    if prediction.words < FEWEST_WORDS:
        return NotUnderstood("a single word does not say what is wanted")
    if prediction.known_words == 0:
        return NotUnderstood("no word of the request is known to the model")
    if prediction.known_words < FEWEST_KNOWN_SHARE * prediction.words:
        return NotUnderstood(f"only {prediction.known_words} of {prediction.words} words are known to the model")
    return Triage(prediction, judge_urgency(prediction, text, model.policy))
