"""The rows of a routing table as CSV, out and in again. Pure.

Columns: rule, tier, title, condition (`when`, CEL), `if NAME` per input (cells), `then NAME` per output. A row whose rule is
`(default)` is the default. What a spreadsheet would take for a formula gets a leading apostrophe, which reading takes off
again, so every table comes back as it was. Reading is strict: whatever cannot be read is named by line and column, and nothing
of the sheet is used.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Invalid, Malformed, TooLarge
from orchestration.intake.lines import Row, Sheet
from orchestration.routing import hits
from orchestration.routing.reading import MAX_RULES
from orchestration.routing.rows import CASE

DEFAULT: Final = "(default)"
MAX_BYTES: Final = 1_000_000
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n]")
_GUARDED: Final = re.compile(r"'+[=+\-@\t\r\n]")
_ID: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class SheetInvalid(Invalid):
    """A sheet that is no set of rows of this table; `where` is "line 3, column if amount"."""

    code, title = "sheet_invalid", "The sheet cannot be used"


def write(document: Json) -> str:
    """The rows of a document, in their order."""
    spec = document["spec"]
    outputs = _outputs(spec)
    names = [*(f"if {name}" for name in spec["inputs"]), "when", *(f"then {name}" for name in outputs)]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_guarded(name) for name in ("rule", "tier", "title", *names)])
    for rule in spec["rules"]:
        when = rule["when"]
        cells = [] if isinstance(when, str) else [as_text(when.get(name, "")) for name in spec["inputs"]]
        known = {"tier": str(rule.get("tier", "")), "title": rule.get("title", "")}
        row = [rule["id"], known["tier"], known["title"], *(cells or [""] * len(spec["inputs"]))]
        row += [when if isinstance(when, str) else "", *(as_text(rule["then"].get(name, "")) for name in outputs)]
        writer.writerow([_guarded(cell) for cell in row])
    if (default := spec.get("default")) is not None:
        row = [DEFAULT, "", "", *([""] * len(spec["inputs"])), "", *(as_text(default.get(name, "")) for name in outputs)]
        writer.writerow([_guarded(cell) for cell in row])
    return text.getvalue()


def read(raw: bytes, document: Json) -> Json:
    """The document with its rows, and its default, as the sheet has them.

    Raises:
        SheetInvalid: every cell that cannot be read. Malformed, TooLarge: it is no CSV at all.
    """
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"The sheet has {len(raw):,} bytes; at most {MAX_BYTES:,} are accepted")
    spec = document["spec"]
    sheet = Sheet(BytesIO(raw))
    sheet.columns = [_bare(name) for name in sheet.columns]
    if faults := list(_header_faults(sheet.columns, spec)):
        raise SheetInvalid(f"The sheet cannot be used: {faults[0]}", faults=faults)
    rules: list[Json] = []
    default: Json = None
    for row in sheet:
        if len(rules) >= MAX_RULES:
            raise SheetInvalid(
                f"The sheet has more than {MAX_RULES:,} rules", faults=[Fault(f"line {row.number}", "is too many")]
            )
        rule = _rule(row, spec, faults)
        if rule["id"] != DEFAULT:
            rules.append(rule)
            continue
        if default is not None:
            faults.append(Fault(f"line {row.number}, column rule", "is a second default", "leave one of them out"))
        default = rule["then"]
    if faults:
        raise SheetInvalid(f"The sheet cannot be used: {faults[0]}", faults=faults)
    changed = {name: value for name, value in spec.items() if name != "default"}
    return {**document, "spec": {**changed, "rules": rules, **({} if default is None else {"default": default})}}


def as_text(value: Json) -> str:
    """A cell or output as a sheet, and the editor, show it."""
    return value if isinstance(value, str) else canonical.dump(value).decode()


def as_output(kind: str, text: str) -> Json:
    """What was typed for an output of a type; the text itself where it is none of it, for lint to name."""
    if kind in ("string", "date", "datetime", "duration"):
        return text
    try:
        value = canonical.parse(text.strip() or '""')
    except Malformed:
        return text
    return text if isinstance(value, str) and kind != "any" else value


def _outputs(spec: Json) -> list[str]:
    """Names of what rows, or the default, give; the case first."""
    return list(dict.fromkeys([CASE, *sorted(spec["outputs"])]))


def _header_faults(columns: list[str], spec: Json) -> Iterator[Fault]:
    ifs = {f"if {name}" for name in spec["inputs"]}
    thens = {f"then {name}" for name in _outputs(spec)}
    known = {"rule", "tier", "title", "when", *ifs, *thens}
    for name in columns:
        if name not in known:
            yield Fault(
                f"line 1, column {name[:60]}", "is no column of this table", f"its columns are {', '.join(sorted(known))}"
            )
    if "rule" not in columns:
        yield Fault("line 1", "has no column rule", "write the ids of the rules under rule")
    for name in sorted(thens - set(columns)):
        yield Fault("line 1", f"has no column {name}", "every row gives every output")


def _rule(row: Row, spec: Json, faults: list[Fault]) -> Json:
    where = f"line {row.number}"
    if row.fault:
        faults.append(Fault(where, row.fault))
    cells = {name: _bare(text) for name, text in row.cells.items()}
    rule: dict[str, Json] = {"id": cells.get("rule", "").strip()}
    is_default = rule["id"] == DEFAULT
    if not is_default and not _ID.fullmatch(rule["id"]):
        what = f"{rule['id'][:40]!r} is no id" if rule["id"] else "is empty"
        faults.append(Fault(f"{where}, column rule", what, "write letters, digits, dots and dashes, or (default)"))
    if title := cells.get("title", "").strip():
        rule["title"] = title
    if tier := cells.get("tier", "").strip():
        if tier.isascii() and tier.isdigit() and 1 <= int(tier) <= 99:
            rule["tier"] = int(tier)
        else:
            faults.append(Fault(f"{where}, column tier", f"{tier[:20]!r} is no tier", "write 1 to 99, or nothing"))
    tested = {name: cells.get(f"if {name}", "").strip() for name in spec["inputs"]}
    tested = {name: cell for name, cell in tested.items() if cell not in ("", "-")}
    when = cells.get("when", "").strip()
    if when and tested:
        faults.append(Fault(f"{where}, column when", "there are cells in this row too", "write CEL or cells, not both"))
    if is_default and (when or tested):
        faults.append(Fault(f"{where}, column rule", "the default tests nothing", "empty its cells"))
    rule["when"] = when or tested
    rule["then"] = {}
    given = hits.default_fields(spec) if is_default else {CASE: "string", **spec["outputs"]}
    for name, kind in given.items():
        text = cells.get(f"then {name}", "")
        if text == "" and name == CASE:
            continue  # for lint to judge: under Collect rows have none
        value = as_output(kind, text)
        if kind in ("int", "number", "bool", "list", "map") and isinstance(value, str):
            what = f"{text[:40]!r} is not of type {kind}"
            faults.append(Fault(f"{where}, column then {name}", what, f"write a value of type {kind}"))
        rule["then"][name] = value
    return rule


def _guarded(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _bare(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell
