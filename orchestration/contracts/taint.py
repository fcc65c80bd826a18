"""Hidden values where no contract says where they stand: what an agent was asked, a proposal, a reason, a record. Pure.

A value that is hidden in one payload of a run is looked for in every other: as a whole, inside texts, and with other spaces and
marks ("DE44 5001" and "DE445001"). Fields are also known by name, and by the expression that made them. What an agent says
about a hidden value in words of its own cannot be found; docs/guide/contracts.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from aegis.core.canonical import Json
from orchestration.contracts.marks import masked_text

MIN_PART: Final = 4  # characters; shorter values are found as whole values and whole words only
MIN_SQUEEZED: Final = 6
MAX_NAME: Final = 80  # a longer value is prose: its sentences are looked for, not its words
MAX_SOLID: Final = 200  # characters of a value that may be written with other spaces
MAX_VALUES: Final = 2_000
_WORD: Final = re.compile(r"\w+", re.UNICODE)
_SENTENCE: Final = re.compile(r"[\n.!?;]+")
_MASK: Final = re.compile(r"\[masked: needs [a-z][a-z0-9_-]*\.reveal\]")  # what the contract masked already
_SOLID: Final = re.compile(r"[\W_]+", re.UNICODE)


class Taint:
    """Hidden values of one run, and how they are recognised."""

    def __init__(self, values: Iterable[Json], names: Mapping[str, str], kind: str) -> None:
        """
        Args:
            values: hidden values as they stood, of any form.
            names: names of hidden fields -> type.
            kind: the type that masked texts name.
        """
        self.names, self.mark = names, masked_text(kind)
        found = list(dict.fromkeys(text for value in values for text in _texts(value) if text))
        self.is_too_much = len(found) > MAX_VALUES
        self._whole = {text.casefold() for text in found}
        parts = sorted({part for text in found for part in _parts_of(text)}, key=len, reverse=True)
        words = sorted({re.escape(text) for text in found if len(text) < MIN_PART and _WORD.fullmatch(text)})
        patterns = [*map(re.escape, parts), *(rf"(?<!\w){word}(?!\w)" for word in words)]
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE) if patterns and not self.is_too_much else None
        solid = {_SOLID.sub("", text).casefold() for text in found if len(text) <= MAX_SOLID}
        self._solid = {text for text in solid if len(text) >= MIN_SQUEEZED}

    def text(self, text: str) -> str:
        """A text without them."""
        if self.is_too_much or text.strip().casefold() in self._whole:
            return self.mark
        if self._pattern is not None:
            text = self._pattern.sub(lambda _: self.mark, text)
        solid = _SOLID.sub("", text).casefold()
        return self.mark if any(one in solid for one in self._solid) else text

    def value(self, value: Json, *, by_name: bool) -> Json:
        """A value without them.

        Args:
            by_name: no contract says what its fields are, so their names do.
        """
        if isinstance(value, Mapping):
            hidden = self.names if by_name else {}
            return {
                self.text(name): masked_text(hidden[name]) if name in hidden else self.value(item, by_name=by_name)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self.value(item, by_name=by_name) for item in value]
        if isinstance(value, str):
            return value if _MASK.fullmatch(value) else self.text(value)
        if value is None or isinstance(value, bool):
            return value
        return self.mark if self.is_too_much or str(value) in self._whole else value

    def mentions(self, expression: str) -> bool:
        """Does an expression read a hidden field by its name? Then what it gives is derived from it."""
        return any(word in self.names for word in _WORD.findall(expression))


def _texts(value: Json) -> Iterable[str]:
    """The scalars of a value as text; true, false and null tell nothing by themselves."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value.strip()
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _parts_of(text: str) -> Iterable[str]:
    """What is looked for inside other texts."""
    if len(text) >= MIN_PART:
        yield text
    if len(text) > MAX_NAME:
        yield from (part.strip() for part in _SENTENCE.split(text) if len(part.strip()) >= 12)
    else:
        yield from (word for word in _WORD.findall(text) if len(word) >= MIN_PART)
