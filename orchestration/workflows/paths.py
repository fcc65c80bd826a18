"""Which places of `input` and `steps` (and, inside a `map`, of `item`) an expression reads. Pure.

CEL itself types both as open maps; the places are found in the text, so that lint can hold them against the contracts. The text
has already been compiled, so only well-formed selections need to be understood: `a.b`, `a["b"]`, `a[0]`. A computed index ends
the place there: what follows cannot be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<string>[rRbB]{0,2}(?:\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''(?:[^\\]|\\.)*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
  | (?P<number>(?:\d+\.\d+|\d+|\.\d+)(?:[eE][+-]?\d+)?[uU]?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ROOTS: Final = ("input", "steps", "item")
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_SIMPLE: Final = re.compile(r"""(?P<quote>["'])(?P<text>[^"'\\]*)(?P=quote)""")


@dataclass(frozen=True, slots=True)
class Path:
    """One place an expression reads.

    Attributes:
        root: "input", "steps" or "item".
        parts: field names and list positions below the root, as far as they are written out.
        place: "line:column" where it starts, counted from 1.
        is_whole: the expression is this path and nothing else.
    """

    root: str
    parts: tuple[str | int, ...]
    place: str
    is_whole: bool = False

    @property
    def step(self) -> str:
        """The step it reads from; "" for the input, or `steps` as a whole."""
        return str(self.parts[0]) if self.root == "steps" and self.parts else ""

    def __str__(self) -> str:
        text = self.root
        for part in self.parts:
            plain = isinstance(part, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part)
            text += f".{part}" if plain else f'["{part}"]' if isinstance(part, str) else f"[{part}]"
        return text


#: An expression without its spelling: words and signs, and places as (root, parts). Text in quotes begins with a quote.
Elements = tuple[str | tuple[str, tuple[str | int, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int


def output_path(source: str) -> Path | None:
    """The place, if `source` is nothing but one inside the output of a step: steps.<id>.output, or a field of it."""
    paths = paths_of(source)
    if len(paths) != 1 or not paths[0].is_whole:
        return None
    path = paths[0]
    return path if path.root == "steps" and len(path.parts) > 1 and path.parts[1] == "output" else None


def item_path(source: str) -> Path | None:
    """The place, if `source` is nothing but the item of a `map`, or a field of it."""
    paths = paths_of(source)
    return paths[0] if len(paths) == 1 and paths[0].is_whole and paths[0].root == "item" else None


@lru_cache(maxsize=2048)
def paths_of(source: str) -> tuple[Path, ...]:
    """Every place read, in the order written."""
    return tuple(_paths(source, _tokens(source)))


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a map that an expression writes out.

    Attributes:
        source: the expression of its value.
        place: "line:column" in the whole where that starts, counted from 1.
    """

    source: str
    place: str


def fields_of(source: str) -> dict[str, Field] | None:
    """The entries, if `source` is nothing but a map written out with plain keys: {"id": input.id, "lines": []}; else None."""
    tokens = _tokens(source)
    if not tokens or tokens[0].text != "{" or _closing(tokens) != len(tokens) - 1:
        return None
    found: dict[str, Field] = {}
    for entry in _entries(tokens[1:-1]):
        key = _SIMPLE.fullmatch(entry[0].text)
        if not key or len(entry) < 3 or entry[1].text != ":" or key["text"] in found:
            return None
        first, last = entry[2], entry[-1]
        found[key["text"]] = Field(source[first.start : last.start + len(last.text)], _place(source, first.start))
    return found


def type_written(source: str) -> str:
    """JSON Schema type of a text, number, truth value, null or map that is written out; "" for everything else."""
    match _tokens(source):
        case [_Token(kind="string", text=text)] if not text.lower().startswith(("b", "rb", "br")):
            return "string"
        case [_Token(kind="number", text=text)] | [_Token(text="-"), _Token(kind="number", text=text)]:
            return "integer" if text.rstrip("uU").isdigit() else "number"
        case [_Token(text="true" | "false")]:
            return "boolean"
        case [_Token(text="null")]:
            return "null"
        case _:
            return "object" if fields_of(source) is not None else ""


def _closing(tokens: list[_Token]) -> int:
    """Where the bracket that opens the text is closed."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth == 0:
            return index
    return -1


def _entries(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """What commas of the outermost level part; one after the last entry parts nothing."""
    depth, entry = 0, list[_Token]()
    for token in tokens:
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if token.text == "," and depth == 0:
            yield entry
            entry = []
        else:
            entry.append(token)
    if entry:
        yield entry


def normal(source: str) -> Elements:
    """The expression without spaces, comments, the choice of quotes and of `a.b` or `a["b"]`: of two that come to the same
    here each computes what the other does. The converse does not hold."""
    tokens = _tokens(source)
    found: list[str | tuple[str, tuple[str | int, ...]]] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if token.kind == "name" and token.text in _ROOTS and (index == 1 or tokens[index - 2].text != "."):
            parts, index = _selections(tokens, index)
            found.append((token.text, parts))
        elif token.kind == "string" and (simple := _SIMPLE.fullmatch(token.text)):
            found.append(f'"{simple["text"]}"')
        else:
            found.append(token.text)
    return tuple(found)


def _tokens(source: str) -> list[_Token]:
    return [
        _Token(found.lastgroup or "", found.group(), found.start())
        for found in _TOKEN.finditer(source)
        if found.lastgroup != "space"
    ]


def _paths(source: str, tokens: list[_Token]) -> Iterator[Path]:
    for index, token in enumerate(tokens):
        selected = index > 0 and tokens[index - 1].text == "."  # a field of something else that happens to be named like a root
        if token.kind != "name" or token.text not in _ROOTS or selected:
            continue
        parts, end = _selections(tokens, index + 1)
        yield Path(token.text, parts, _place(source, token.start), is_whole=index == 0 and end == len(tokens))


def _place(source: str, start: int) -> str:
    line = source.count("\n", 0, start) + 1
    return f"{line}:{start - source.rfind(chr(10), 0, start)}"


def _selections(tokens: list[_Token], index: int) -> tuple[tuple[str | int, ...], int]:
    """The selections written from `index` on, and where they end."""
    parts: list[str | int] = []
    while index < len(tokens):
        step = _selection(tokens, index)
        if step is None:
            break
        part, index = step
        parts.append(part)
    return tuple(parts), index


def _selection(tokens: list[_Token], index: int) -> tuple[str | int, int] | None:
    def text(offset: int) -> str:
        return tokens[index + offset].text if index + offset < len(tokens) else ""

    if text(0) == "." and index + 1 < len(tokens) and tokens[index + 1].kind == "name" and text(2) != "(":
        return text(1), index + 2
    if text(0) == "[" and text(2) == "]":
        inner = tokens[index + 1]
        if inner.kind == "string" and (found := _SIMPLE.fullmatch(inner.text)):
            return found["text"], index + 3
        if inner.kind == "number" and inner.text.isdigit():
            return int(inner.text), index + 3
    return None


def proposing_step(source: str, items: str) -> str:
    """The step whose output holds a proposal, also where it is an item of a list there; "" if `source` is no such place."""
    if items and item_path(source):
        source = items
    found = output_path(source)
    return found.step if found else ""
