"""Text to counted n-grams: the half of the classifier that training and inference share. Standard library only.

The two analysers give the same terms as scikit-learn's `TfidfVectorizer` with `analyzer="word"` (token pattern
`\\b\\w+\\b`) and `analyzer="char_wb"`; tests/examples/test_support_intake_model.py holds them to that on random text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

NORMALISER: Final = "nfkc-lower-digits0/1"  # named in the model header; a change of `normalise` is a new name
WORD_PATTERN: Final = r"(?u)\b\w+\b"

_TOKEN = re.compile(WORD_PATTERN)
_DIGITS = re.compile(r"\d+")
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u200b": "", "\ufeff": "", "\xad": ""})


def normalise(text: str) -> str:
    """Fold what carries no intent: case, typographic quotes, and every run of digits to one "0".

    Digits go so that no customer's number can end up in the vocabulary of a trained model.
    """
    return _DIGITS.sub("0", unicodedata.normalize("NFKC", text).translate(_QUOTES).lower())


def words(normalised: str) -> list[str]:
    return _TOKEN.findall(normalised)


def word_terms(normalised: str, shortest: int, longest: int) -> list[str]:
    """Word n-grams joined by a space, shortest first."""
    tokens = words(normalised)
    terms: list[str] = []
    for size in range(shortest, longest + 1):
        terms += tokens if size == 1 else [" ".join(tokens[at : at + size]) for at in range(len(tokens) - size + 1)]
    return terms


def char_terms(normalised: str, shortest: int, longest: int) -> list[str]:
    """Character n-grams inside each blank-separated word padded with a blank on both sides."""
    terms: list[str] = []
    for word in normalised.split():
        padded = f" {word} "
        length = len(padded)
        for size in range(shortest, longest + 1):
            if length <= size:
                terms.append(padded)  # a word shorter than the n-gram counts once, as itself
                break
            terms += [padded[at : at + size] for at in range(length - size + 1)]
    return terms


ANALYSERS: Final = {"word": word_terms, "char_wb": char_terms}
