"""Reading labelled requests: a CSV file with the columns id, text, intent."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import Final

from aegis.core.errors import Invalid

from .policy import INTENT_PATTERN

COLUMNS: Final = ("id", "text", "intent")
FEWEST_PER_INTENT: Final = 5  # below this, cross-validation cannot say how far the confidence may be believed


class TrainingRefused(Invalid):
    code, title = "training_refused", "The training input cannot be used"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts and their true intents, same length, in file order."""

    texts: tuple[str, ...]
    intents: tuple[str, ...]

    def subset(self, positions: list[int]) -> Labelled:
        return Labelled(tuple(self.texts[at] for at in positions), tuple(self.intents[at] for at in positions))


def parse_labelled(content: bytes) -> Labelled:
    """Return the rows of a CSV file.

    Raises:
        TrainingRefused: not CSV, another header, an unacceptable intent, an empty text, or too few rows of an intent.
    """
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise TrainingRefused(f"the first row must be: {','.join(COLUMNS)}")
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as broken:
        raise TrainingRefused(f"not a CSV file in UTF-8: {broken}") from broken
    for number, row in enumerate(rows, start=2):
        if not (row["text"] or "").strip():
            raise TrainingRefused(f"row {number}, text: is empty")
        if not INTENT_PATTERN.fullmatch(row["intent"] or ""):
            raise TrainingRefused(f"row {number}, intent: {row['intent']!r} must match {INTENT_PATTERN.pattern}")
    counts = Counter(row["intent"] for row in rows)
    if len(counts) < 2:
        raise TrainingRefused("at least two intents are needed")
    rarest, count = min(counts.items(), key=lambda item: item[1])
    if count < FEWEST_PER_INTENT:
        raise TrainingRefused(f"intent {rarest!r} has {count} rows, at least {FEWEST_PER_INTENT} are needed")
    return Labelled(tuple(row["text"] for row in rows), tuple(row["intent"] for row in rows))
