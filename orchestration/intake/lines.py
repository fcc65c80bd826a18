"""Reading a file of items line by line: any size, by anybody. Memory is bounded by the longest line that is accepted.

A line that cannot be used is told with its number; whoever reads decides whether the rest may still be used. What makes the
rest of a file unreadable (a quote that never closes) raises.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from aegis.core import canonical
from aegis.core.bodies import MAX_BODY_BYTES
from aegis.core.canonical import Json
from aegis.core.errors import AegisError, Fault, Malformed

MAX_LINE_BYTES: Final = MAX_BODY_BYTES
MAX_CELL_CHARS: Final = canonical.MAX_PAYLOAD_BYTES
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a file, or why there is none.

    Attributes:
        number: of the line it ends on, from 1.
        size: bytes it took up in the file.
        faults: `where` is a pointer into the item, or a column of the line; empty if the item can be used.
    """

    number: int
    size: int
    item: Json = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a sheet, cells by column as text. `fault`: why it cannot be used, else ""."""

    number: int
    size: int
    cells: dict[str, str]
    fault: str = ""


class Unreadable(Malformed):
    """Nothing behind this place can be read."""


def json_lines(file: IO[bytes]) -> Iterator[Line]:
    """The items of a file with one JSON text a line. Empty lines are skipped."""
    for number, raw in _raw_lines(file):
        text = raw.strip()
        if not text:
            continue
        if len(raw) > MAX_LINE_BYTES:
            yield Line(number, len(raw), faults=(Fault("", f"is longer than {MAX_LINE_BYTES:,} bytes"),))
            continue
        try:
            yield Line(number, len(raw), canonical.parse(text, max_bytes=MAX_LINE_BYTES))
        except AegisError as error:
            faults = error.faults or (Fault("", error.detail),)
            yield Line(number, len(raw), faults=tuple(Fault(_in_line(one.where), one.what, one.remedy) for one in faults))


class Sheet:
    """A CSV with a header, in UTF-8. Iterate over it once for its rows.

    Attributes:
        columns: names from the first line.
    """

    def __init__(self, file: IO[bytes], *, max_cell_chars: int = MAX_CELL_CHARS) -> None:
        """
        Raises:
            Unreadable: no header, a column named twice, not UTF-8.
        """
        csv.field_size_limit(max_cell_chars)
        self._bytes = self._row_from = 0
        self._reader = csv.reader(self._text(file), strict=True)
        try:
            self.columns = next(self._reader, [])
        except csv.Error as error:
            raise _unreadable(1, str(error)) from None
        if twice := sorted(name for name, times in Counter(self.columns).items() if times > 1):
            raise _unreadable(1, f"names a column twice: {', '.join(twice[:5])}")

    def __iter__(self) -> Iterator[Row]:
        """
        Raises:
            Unreadable: with the line; not UTF-8, or a quote that never closes.
        """
        last = self._reader.line_num
        while True:
            self._row_from = self._bytes
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                # Where the row begins: a quote that is never closed swallows the rest of the file.
                raise _unreadable(last + 1, str(error)) from None
            if cells is None:
                return
            last, size = self._reader.line_num, self._bytes - self._row_from
            if cells:  # an empty line is no row
                yield Row(last, size, dict(zip(self.columns, cells, strict=False)), self._fault(cells))

    def _fault(self, cells: list[str]) -> str:
        if len(cells) > len(self.columns):
            return "has more cells than the first line names"
        if len(cells) < len(self.columns):
            return "has fewer cells than the first line names"
        return "holds a NUL character" if any("\x00" in cell for cell in cells) else ""

    def _text(self, file: IO[bytes]) -> Iterator[str]:
        for number, raw in _raw_lines(file):
            self._bytes += len(raw)
            if self._bytes - self._row_from > MAX_LINE_BYTES:  # in one line, or in cells of many lines
                raise _unreadable(number, f"is longer than {MAX_LINE_BYTES:,} bytes, or its row is")
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError:
                raise _unreadable(number, "not UTF-8; save the file as UTF-8") from None


def _raw_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; of one that is too long, the part that shows it, the rest is passed over."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            raw = raw.removeprefix(_BOM)
        rest = raw
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
        yield number, raw


def _unreadable(line: int, what: str) -> Unreadable:
    return Unreadable(f"line {line}: {what}", faults=[Fault(f"line {line}", what)])


def _in_line(where: str) -> str:
    """The parser counts lines of the text it got, which is one."""
    return where.removeprefix("line 1, ")
