"""The language of cells: DMN's unary tests, over one typed column. Pure.

    -  or nothing            anything, also an absent fact
    'gold'   42   true       equals; text always in quotes
    'gold', 'silver'         one of them: a comma means OR, also between comparisons
    < 5   >= 2026-01-31      compared; = and == are equal to no sign, != is "anything else that is there"
    [1..5]  (1..5]  ]1..5]   ranges; a square bracket that faces the number includes it
    not('gold', 'silver')    none of them, but there
    null                     absent; for columns declared optional

Whatever this cannot express is refused with what to write instead, never read as something else.

Source: DMN 1.5, chapter 9 (S-FEEL unary tests) and 7.3.3 ("-"). Quoting, and that an absent fact matches only "-" and null, are
ours: docs/adr/0023.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid
from orchestration.routing.regions import ANYTHING, Region, Span
from orchestration.routing.values import ORDERED, TYPES, WITH_CELLS, Column, NotOfType, Value, read

MAX_CHARS: Final = 2_000
IN_CEL: Final = "write the row's condition as one CEL text"

_OPERATOR: Final = re.compile(r"<=|>=|==|!=|<|>|=")
_BLANK: Final = re.compile(r"[ \t]*")
_WORD: Final = re.compile(r"[^\s,()\[\]]+")
_ESCAPES: Final = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_LITERALS: Final = {
    "int": re.compile(r"[-+]?\d+", re.ASCII),
    "number": re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d{1,3})?", re.ASCII),
    "bool": re.compile(r"true|false"),
    "date": re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII),
    "datetime": re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})", re.ASCII),
    "duration": re.compile(r"P[0-9DTHMS]+|(?:\d+[dhms])+", re.ASCII),
}


class CellInvalid(Invalid):
    """A cell that the language cannot express; its one fault says where in the cell, what, and what to write instead."""

    code, title = "cell_invalid", "The cell cannot be read"


def parse(cell: Json, column: Column) -> Region:
    """The values a cell accepts.

    Args:
        cell: its text; or a JSON number or truth value, which is that value.

    Raises:
        CellInvalid
    """
    if not isinstance(cell, str):
        return _of_scalar(cell, column)
    if len(cell) > MAX_CHARS:
        raise _refused(1, f"is longer than {MAX_CHARS:,} characters", "split the row in two")
    if cell.strip() in ("", "-"):
        return ANYTHING
    if column.type not in WITH_CELLS:
        what = f"cells cannot test {column.type}; only - can stand here"
        raise _refused(1, what, f"{IN_CEL}, or declare the input's type")
    return _Reader(cell, column).region()


@dataclass(slots=True)
class _Sum:
    """The terms read so far, one or another of which must hold."""

    values: set[Value] = field(default_factory=set)
    spans: list[Span] = field(default_factory=list)
    excluded: set[Value] = field(default_factory=set)
    takes_null: bool = False
    takes_rest: bool = False  # anything that is there

    def region(self) -> Region:
        found = Region(frozenset(self.values), tuple(self.spans), takes_null=self.takes_null)
        if self.takes_rest or len(self.excluded) > 1 or any(found.holds(value) for value in self.excluded):
            return Region(is_negated=True, takes_null=self.takes_null)
        if self.excluded:
            return Region(frozenset(self.excluded), is_negated=True, takes_null=self.takes_null)
        return found


class _Reader:
    """Reads one cell from left to right. `at` counts from 0; faults name the column of the cell from 1."""

    def __init__(self, text: str, column: Column) -> None:
        self.text, self.column, self.at = text, column, 0

    def region(self) -> Region:
        self._skip()
        if re.compile(r"not\b").match(self.text, self.at):
            return self._negated()
        return self._terms(end="").region()

    def _negated(self) -> Region:
        begin, self.at = self.at, self.at + len("not")
        self._skip()
        if not self._take("("):
            raise self._stop("not needs a list in round brackets", "write not('a', 'b')")
        found = self._terms(end=")")
        if found.excluded or found.takes_rest:
            raise _refused(begin + 1, "says not twice", "leave one of them out")
        self._skip()
        if self.at < len(self.text):
            raise self._stop(f"has {self.text[self.at :][:20]!r} behind not(...)", "put everything into the brackets")
        inner = found.region()
        return Region(inner.values, inner.spans, is_negated=True)

    def _terms(self, *, end: str) -> _Sum:
        found = _Sum()
        while True:
            self._skip()
            self._term(found)
            self._skip()
            if self._take(","):
                continue
            if end and self._take(end):
                return found
            if self.at == len(self.text) and not end:
                return found
            if self.at == len(self.text):
                raise self._stop(f"ends before its {end!r}", f"close it with {end}")
            raise self._stop(
                f"cannot be read from {self.text[self.at :][:20]!r} on", f"put a comma between values, or {IN_CEL}"
            )

    def _term(self, found: _Sum) -> None:
        if self.at < len(self.text) and self.text[self.at] in "[](":
            found.spans.append(self._range())
            return
        begin = self.at
        sign = _OPERATOR.match(self.text, self.at)
        operator = sign[0] if sign else "="
        if sign:
            self.at = sign.end()
            self._skip()
        if self._is_null():
            self._null(found, operator, begin)
            return
        value = self._literal()
        if operator in ("=", "=="):
            found.values.add(self._listed(value, begin))
        elif operator == "!=":
            found.excluded.add(self._listed(value, begin))
        else:
            found.spans.append(self._compared(operator, value, begin))

    def _is_null(self) -> bool:
        found = re.compile(r"null\b").match(self.text, self.at)
        if found:
            self.at = found.end()
        return found is not None

    def _null(self, found: _Sum, operator: str, begin: int) -> None:
        if not self.column.is_optional:
            raise _refused(
                begin + 1, f"{self.column.name} is never null", "declare the input optional: true, or leave this out"
            )
        if operator in ("=", "=="):
            found.takes_null = True
        elif operator == "!=":
            found.takes_rest = True
        else:
            raise _refused(begin + 1, f"nothing is {operator} null", "write null or != null")

    def _compared(self, operator: str, value: Value, begin: int) -> Span:
        if self.column.type not in ORDERED:
            what = f"{operator} needs an order, and {TYPES[self.column.type]} has none"
            raise _refused(begin + 1, what, f"list the values, or {IN_CEL}")
        if operator.startswith("<"):
            return Span(high=value, is_high_open=operator == "<")
        return Span(low=value, is_low_open=operator == ">")

    def _range(self) -> Span:
        begin = self.at
        if self.column.type not in ORDERED:
            what = f"a range needs an order, and {TYPES[self.column.type]} has none"
            raise _refused(begin + 1, what, f"list the values, or {IN_CEL}")
        is_low_open = self.text[self.at] != "["
        self.at += 1
        self._skip()
        low = self._literal()
        self._skip()
        if not self._take(".."):
            raise self._stop("a range has two dots between its ends", "write [1..5]")
        self._skip()
        high = self._literal()
        self._skip()
        if self.at == len(self.text) or self.text[self.at] not in ")][":
            raise self._stop("a range ends with a bracket", "write [1..5], or [1..5) without its end")
        is_high_open = self.text[self.at] != "]"
        self.at += 1
        if low > high or (low == high and (is_low_open or is_high_open)):
            raise _refused(begin + 1, "the range holds nothing", "write its lower end first")
        return Span(low, high, is_low_open, is_high_open)

    def _literal(self) -> Value:
        begin, kind = self.at, self.column.type
        if self.at == len(self.text):
            raise self._stop("ends where a value should be", f"write {TYPES[kind]}")
        if kind == "string":
            return self._text()
        found = _LITERALS[kind].match(self.text, self.at)
        after = self.text[found.end() : found.end() + 2] if found else ""
        if found is None or not (after == "" or after[0] in " \t,)][" or after == ".."):
            raise self._no_value(begin)
        self.at = found.end()
        raw: Json = found[0]
        if kind == "int":
            raw = int(raw)
        elif kind == "number":
            raw = float(raw) if re.search(r"[.eE]", raw) else int(raw)
        elif kind == "bool":
            raw = raw == "true"
        try:
            return read(kind, raw)
        except NotOfType:
            raise self._no_value(begin) from None

    def _text(self) -> str:
        begin, quote = self.at, self.text[self.at]
        if quote not in "'\"":
            raise self._no_value(begin)
        parts: list[str] = []
        at = begin + 1
        while at < len(self.text):
            char = self.text[at]
            if char == quote:
                self.at = at + 1
                return "".join(parts)
            if char == "\\":
                at += 1
                if at == len(self.text) or self.text[at] not in _ESCAPES:
                    raise _refused(at, "has a backslash before something it does not escape", "write \\\\ for a backslash")
                char = _ESCAPES[self.text[at]]
            parts.append(char)
            at += 1
        raise _refused(begin + 1, "has a quotation mark that is never closed", f"close it with {quote}")

    def _no_value(self, begin: int) -> CellInvalid:
        found = _WORD.match(self.text, begin)
        word = found[0][:40] if found else self.text[begin : begin + 20]
        if self.column.type == "string":
            plain = word.strip("'\"")
            return _refused(begin + 1, f"{word!r} is no text in quotes", f"write '{plain}', or {IN_CEL}")
        kind = TYPES[self.column.type]
        return _refused(begin + 1, f"{word!r} is not {kind}", f"write {kind} without quotes, or {IN_CEL}")

    def _listed(self, value: Value, begin: int) -> Value:
        if self.column.values and value not in self.column.values:
            raise _refused(begin + 1, f"{value!r} is none of the values of {self.column.name}", _nearest(value, self.column))
        return value

    def _take(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def _skip(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _stop(self, what: str, remedy: str) -> CellInvalid:
        return _refused(self.at + 1, what, remedy)


def quoted(value: str) -> str:
    """A text as a cell writes it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
    return f"'{escaped}'"


def _of_scalar(cell: Json, column: Column) -> Region:
    try:
        value = read(column.type, cell) if column.type in WITH_CELLS and column.type != "string" else None
    except NotOfType:
        value = None
    if value is None:
        raise _refused(1, f"{cell!r} is not {TYPES[column.type]}", "write the cell as text")
    if column.values and value not in column.values:
        raise _refused(1, f"{cell!r} is none of the values of {column.name}", _nearest(value, column))
    return Region(frozenset([value]))


def _nearest(value: Value, column: Column) -> str:
    close = get_close_matches(str(value), [str(one) for one in column.values], n=1)
    return f"did you mean {close[0]!r}?" if close else f"they are {', '.join(str(one) for one in column.values[:8])}"


def _refused(place: int, what: str, remedy: str) -> CellInvalid:
    return CellInvalid(what, faults=[Fault(f"1:{place}", what, remedy)])
