"""What a text claims that somebody could check: quantities, qualities, effects on health. Pure.

A claim is taken from its sentence by form, not by meaning: a number with a unit, a word that promises a quality, a word of
health. What has no such form is no claim here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from .style.text import blocks, sentences

Kind = Literal["quantity", "quality", "health"]
MOST: Final = 100  # of one text; as in contracts/claims@1.json

# Unit -> (dimension, factor to the first unit of it); spellings of one unit share a line.
_SPELLINGS: Final = {
    ("volume", "1"): "litre litres liter liters l",
    ("volume", "0.001"): "millilitre millilitres ml",
    ("time", "1"): "minute minutes min",
    ("time", "60"): "hour hours h",
    ("time", "1440"): "day days",
    ("age", "1"): "month months",
    ("age", "12"): "year years",
    ("power", "1"): "watt watts w",
    ("power", "1000"): "kilowatt kilowatts kw",
    ("mass", "1"): "gram grams g",
    ("mass", "1000"): "kilogram kilograms kg",
    ("share", "1"): "percent %",
    ("money", "1"): "euro euros eur €",
    ("energy", "1"): "kcal",
    ("count", "1"): "cup cups",
}
UNITS: Final = {
    word: (dimension, Decimal(factor)) for (dimension, factor), words in _SPELLINGS.items() for word in words.split()
}

_NUMBER: Final = r"\d{1,3}(?:[ ,]\d{3})+(?!\d)|\d+(?:\.\d+)?"
_UNIT: Final = "|".join(sorted((re.escape(word) for word in UNITS), key=lambda word: (-len(word), word)))
_QUANTITY: Final = re.compile(
    rf"€ ?(?P<money>{_NUMBER})|(?<![\w.,])(?P<number>{_NUMBER})[ -]?(?P<unit>{_UNIT})(?!\w)", re.IGNORECASE
)
_QUALITY: Final = re.compile(
    r"\b(?:organic|vegan|gluten-free|certified|recyclable|biodegradable|carbon[- ]neutral|made in \w+|award\w*"
    r"|the (?:first|only|fastest|quietest|cheapest|largest|smallest|most \w+))\b",
    re.IGNORECASE,
)
_HEALTH: Final = re.compile(
    r"\b(?:cholesterol|immun\w+|blood (?:pressure|sugar)|digesti\w+|heart|detox\w*|metaboli\w+|weight loss|slimming|allerg\w+"
    r"|(?:prevents?|heals?|treats?|cures?) \w+)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W\d_][\w'’-]+")
_ENDINGS: Final = re.compile(r"(?:ing|ed|es|s)$")


@dataclass(frozen=True, slots=True)
class Claim:
    """
    Attributes:
        subject: whom the text is about, where the sentence names nobody else.
        value, unit: of a quantity, as written; "" otherwise.
    """

    id: str
    kind: Kind
    sentence: str
    subject: str
    value: str = ""
    unit: str = ""


def extract(text: str, *, subject: str) -> list[Claim]:
    """The claims of a text in order, ids c1, c2, ... Headings claim nothing: what they say, the text says again."""
    found: list[Claim] = []
    for sentence in sentences(blocks(text)):
        if sentence.is_heading:
            continue
        for kind, value, unit in _claims(sentence.text):
            found.append(Claim(f"c{len(found) + 1}", kind, sentence.text, subject, value, unit))
    return found


def stem(word: str) -> str:
    """A word without its common English endings, so that "holds" and "hold" meet."""
    small = word.lower()
    short = _ENDINGS.sub("", small)
    return short.rstrip("e") if len(short) >= 3 else small


def stems(text: str) -> set[str]:
    return {stem(word) for word in _WORD.findall(text)}


def _claims(sentence: str) -> Iterator[tuple[Kind, str, str]]:
    if _HEALTH.search(sentence):
        yield "health", "", ""
    for match in _QUANTITY.finditer(sentence):
        value = re.sub(r"[ ,]", "", match["money"] or match["number"])
        yield "quantity", value, "euro" if match["money"] else match["unit"].lower()
    if _QUALITY.search(sentence):
        yield "quality", "", ""
