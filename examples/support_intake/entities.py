"""Facts named in a request: amounts, dates, references, card endings, and the personal data. Pure.

Offsets are [start, end) in characters. `value` is the text there, except for numbers that are shown masked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from examples.common.personal_data import DATE, MONTH, find_personal_data, mask

MOST: Final = 50  # as in contracts/classification@1.json

_CURRENCY = r"(?:€|£|\$|¥|euros?|pounds?|quid|dollars?|francs?|zloty|yen|EUR|GBP|USD|CHF|PLN|SEK|NOK|DKK)"
_NUMBER = r"\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d{1,2})?|\d{1,9}(?:[.,]\d{1,2})?"
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_PATTERNS: Final = (
    ("card_last4", r"\b(?:ending|ends|end)(?: in| on| with)? (?P<value>\d{4})\b"),
    (
        "reference",
        r"\b(?:reference|ref|ticket|case|order|booking|claim)(?: (?:number|no|nr|id))?\.?\s*[:#]?\s*"
        r"(?P<value>(?=[A-Z/-]{0,12}\d)[A-Z0-9][A-Z0-9/-]{3,23})\b",
    ),
    ("amount", rf"(?<![\w.,])(?:[€£$¥] ?(?:{_NUMBER})|(?:{_NUMBER}) ?{_CURRENCY})(?!\w)"),
    ("date", DATE),
    ("date", rf"\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{MONTH}\b"),
    ("date", rf"\b(?:yesterday|today|last night|(?:last|this|next|on) {_WEEKDAY}|last (?:week|month))\b"),
)
_COMPILED: Final = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS)


@dataclass(frozen=True, slots=True)
class Entity:
    kind: str
    value: str
    start: int
    end: int


def find_entities(text: str) -> list[Entity]:
    """By position, at most MOST; where two overlap, personal data wins, then the order of the patterns."""
    found = [
        Entity(item.kind, mask(item.kind, text[item.start : item.end]), item.start, item.end)
        for item in find_personal_data(text)
    ]
    for kind, pattern in _COMPILED:
        for match in pattern.finditer(text):
            start, end = match.span("value" if "value" in pattern.groupindex else 0)
            if not any(start < other.end and other.start < end for other in found):
                found.append(Entity(kind, text[start:end], start, end))
    return sorted(found, key=lambda item: item.start)[:MOST]
