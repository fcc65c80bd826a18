"""Where a rule looks: blocks and sentences of a Markdown text, with the offsets they have in it. Pure.

A block's text is as long as the source it stands for: what is markup, code or comment is blanked, never cut out, so an offset
in a block plus the block's start is an offset in the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Scope = Literal["text", "heading", "sentence"]

_COMMENT: Final = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_FENCE: Final = re.compile(r"^(?P<mark>```+|~~~+)[^\n]*\n.*?(?:^(?P=mark)[^\n]*$|\Z)", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"(`+)(?:(?!\1).)+\1")
_LINK: Final = re.compile(r"(?<=\])\([^()\s]*\)")
_TAG: Final = re.compile(r"</?[A-Za-z][^<>\n]*>")
_HEADING: Final = re.compile(r"#{1,6}[ \t]+(?P<text>.*?)[ \t]*#*[ \t]*$")
_ITEM: Final = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+|[ \t]*>[ \t]?")
_SENTENCE_END: Final = re.compile(r"[.!?]+[\"”’')\]]*(?=\s+[\"“‘'(\[]?[A-Z0-9])|\Z")
_ABBREVIATION: Final = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|approx|no|mr|mrs|ms|dr|st|a\.m|p\.m)|\b[A-Z])\.$", re.IGNORECASE)
_FILL: Final = "\N{WHITE SQUARE}"  # stands where inline code was: no word, no blank, no punctuation


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph or a list item, or a sentence of one; `text[i]` stands at `start + i` of the whole."""

    text: str
    start: int
    is_heading: bool = False


class Places:
    """Line and column, from 1, of offsets in one text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def of(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def blocks(text: str) -> list[Block]:
    """Every block of a text, in order."""
    return list(_blocks(_without_markup(text)))


def sentences(found: list[Block]) -> list[Block]:
    """The sentences of blocks; a heading is one sentence."""
    return [sentence for block in found for sentence in ([block] if block.is_heading else _split(block))]


def in_scope(found: list[Block], scope: Scope) -> list[Block]:
    if scope == "heading":
        return [block for block in found if block.is_heading]
    return sentences(found) if scope == "sentence" else found


def _blocks(text: str) -> Iterator[Block]:
    at, paragraph_start, lines = 0, 0, list[str]()
    for line in [*text.split("\n"), ""]:
        heading, item = _HEADING.match(line), _ITEM.match(line)
        if lines and (heading or item or not line.strip()):
            yield Block(" ".join(lines), paragraph_start)  # a line end within a paragraph reads as a blank, and is as long
            lines = []
        if heading:
            yield Block(heading["text"], at + heading.start("text"), is_heading=True)
        elif line.strip():
            skipped = item.end() if item else (0 if lines else len(line) - len(line.lstrip()))
            paragraph_start = paragraph_start if lines else at + skipped
            lines.append(line[skipped:])
        at += len(line) + 1


def _without_markup(text: str) -> str:
    for pattern in (_COMMENT, _FENCE, _LINK, _TAG):
        text = pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    return _CODE.sub(lambda match: _FILL * len(match.group()), text)


def _split(block: Block) -> Iterator[Block]:
    start = 0
    for match in _SENTENCE_END.finditer(block.text):
        end = match.end()
        if match.group() and _ABBREVIATION.search(block.text[start:end]):
            continue
        found = block.text[start:end]
        blank = len(found) - len(found.lstrip())
        if found.strip():
            yield Block(found.strip(), block.start + start + blank)
        start = end
