"""Reading a CSV of requests: any file by anybody. Streams; a bad line is named, and nothing of the file is used."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from aegis.core.errors import Fault, Malformed

MAX_FILE_BYTES = 200 * 1024 * 1024
MAX_CELL_CHARS = 20_000
MAX_FAULTS = 20
OPTIONAL = {"customer": "unknown", "channel": "import"}


def read(path: Path) -> list[dict[str, str]]:
    """The requests of a file: `id`, `text`, and `customer` and `channel` where the file has them.

    Raises:
        Malformed: with line numbers; no file, wrong encoding, no such columns, an id twice, a cell too long, NUL.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror}") from None
    if size > MAX_FILE_BYTES:
        raise Malformed(f"{path}: {size:,} bytes; at most {MAX_FILE_BYTES:,} are read")
    faults: list[Fault] = []
    rows = list(_rows(path, faults))
    if faults:
        raise Malformed(f"{path} cannot be used; nothing was submitted", faults=faults[:MAX_FAULTS])
    if not rows:
        raise Malformed(f"{path} holds no requests")
    return rows


def _rows(path: Path, faults: list[Fault]) -> Iterator[dict[str, str]]:
    seen: dict[str, int] = {}
    csv.field_size_limit(MAX_CELL_CHARS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = {"id", "text"} - set(reader.fieldnames or ())
            if missing:
                faults.append(Fault("line 1", f"needs the columns id and text; missing: {', '.join(sorted(missing))}"))
                return
            for row in reader:
                where = f"line {reader.line_num}"
                found = {name: (row.get(name) or default).strip() for name, default in OPTIONAL.items()}
                found |= {name: (row.get(name) or "").strip() for name in ("id", "text")}
                if what := _fault(row, found, seen):
                    faults.append(Fault(where, what))
                    if len(faults) >= MAX_FAULTS:
                        return
                    continue
                seen[found["id"]] = reader.line_num
                yield found
    except csv.Error as error:
        faults.append(Fault(f"line {reader.line_num}", str(error)))
    except UnicodeDecodeError as error:
        faults.append(Fault(f"byte {error.start}", "not UTF-8; save the file as UTF-8"))


def _fault(row: dict[str, str], found: dict[str, str], seen: dict[str, int]) -> str:
    if None in row:
        return "has more cells than the first line names"
    if not found["id"]:
        return "has no id"
    if len(found["id"]) > 80:
        return "has an id of more than 80 characters"
    if found["id"] in seen:
        return f"repeats the id of line {seen[found['id']]}"
    if any("\x00" in cell for cell in found.values()):
        return "holds a NUL character"
    return ""
