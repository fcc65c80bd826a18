"""Reading a CSV of requests: any file by anybody. Streams; a bad line is named, and nothing of the file is used."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis.core.errors import Fault, Malformed

MAX_FILE_BYTES = 200 * 1024 * 1024
MAX_CELL_CHARS = 20_000
MAX_FAULTS = 20
REQUIRED = ("id", "text")
OPTIONAL = {"customer": "unknown", "channel": "import"}


@dataclass(frozen=True, slots=True)
class Row:
    """One request and the line of the file it ends on."""

    line: int
    request: dict[str, str]


def read(path: Path) -> list[Row]:
    """The requests of a file: `id`, `text`, and `customer` and `channel` where the file has them.

    Raises:
        Malformed: with line numbers; no file, wrong encoding, no such columns, an id twice, a cell too long, NUL, too few or
            too many cells.
    """
    try:
        if not path.is_file():
            raise Malformed(f"{path} is no file")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise Malformed(f"{path}: {size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
        faults: list[Fault] = []
        rows = list(_rows(path, faults))
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}") from None
    refuse(path, faults)
    if not rows:
        raise Malformed(f"{path} holds no requests")
    return rows


def refuse(path: Path, faults: Sequence[Fault]) -> None:
    """
    Raises:
        Malformed: there are faults; the first of them are named.
    """
    if faults:
        raise Malformed(f"{path} cannot be used; nothing was submitted", faults=faults[:MAX_FAULTS])


def _rows(path: Path, faults: list[Fault]) -> Iterator[Row]:
    seen: dict[str, int] = {}
    csv.field_size_limit(MAX_CELL_CHARS)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            if what := _header_fault(reader.fieldnames or ()):
                faults.append(Fault("line 1", what))
                return
            for row in reader:
                found = {name: (row.get(name) or default).strip() for name, default in OPTIONAL.items()}
                found |= {name: (row.get(name) or "").strip() for name in REQUIRED}
                if what := _fault(row, found, seen):
                    faults.append(Fault(f"line {reader.line_num}", what))
                    if len(faults) >= MAX_FAULTS:
                        return
                    continue
                seen[found["id"]] = reader.line_num
                yield Row(reader.line_num, found)
        except csv.Error as error:
            # Where the row begins: a quote that is never closed swallows the rest of the file.
            faults.append(Fault(f"line {reader.line_num + 1}", str(error)))
        except UnicodeDecodeError:
            faults.append(Fault(f"line {_first_undecodable(path)}", "not UTF-8; save the file as UTF-8"))


def _first_undecodable(path: Path) -> int:
    """The decoder reads ahead in blocks and does not know lines; no character of UTF-8 spans a line's end."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _header_fault(names: Sequence[str]) -> str:
    if missing := [name for name in REQUIRED if name not in names]:
        return f"needs the columns id and text; missing: {', '.join(missing)}"
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return f"names a column twice: {', '.join(twice)}"
    return ""


def _fault(row: Mapping[str | None, object], found: dict[str, str], seen: dict[str, int]) -> str:
    if None in row:
        return "has more cells than the first line names"
    if None in row.values():
        return "has fewer cells than the first line names"
    if not found["id"]:
        return "has no id"
    if found["id"] in seen:
        return f"repeats the id of line {seen[found['id']]}"
    if any("\x00" in cell for cell in found.values()):
        return "holds a NUL character"
    return ""
