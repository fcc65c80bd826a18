"""A CSV of requests as the reference workflow takes them: a bad line is named, and nothing of the file is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aegis.core.errors import Fault, Malformed
from orchestration.intake.lines import Sheet, Unreadable

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
    with path.open("rb") as file:
        try:
            sheet = Sheet(file, max_cell_chars=MAX_CELL_CHARS)
            if missing := [name for name in REQUIRED if name not in sheet.columns]:
                faults.append(Fault("line 1", f"needs the columns id and text; missing: {', '.join(missing)}"))
                return
            for row in sheet:
                found = {name: (row.cells.get(name) or default).strip() for name, default in OPTIONAL.items()}
                found |= {name: (row.cells.get(name) or "").strip() for name in REQUIRED}
                if what := row.fault or _fault(found, seen):
                    faults.append(Fault(f"line {row.number}", what))
                    if len(faults) >= MAX_FAULTS:
                        return
                    continue
                seen[found["id"]] = row.number
                yield Row(row.number, found)
        except Unreadable as error:
            faults += error.faults


def _fault(found: dict[str, str], seen: dict[str, int]) -> str:
    if not found["id"]:
        return "has no id"
    if found["id"] in seen:
        return f"repeats the id of line {seen[found['id']]}"
    return ""
