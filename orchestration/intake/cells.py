"""From cells of a sheet to an item: each column is read as the contract's property of its name says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Malformed
from aegis.core.shape import resolved, type_of
from orchestration.intake.lines import Line, Sheet

_TRUTHS: Final = {"true": True, "false": False}


class Columns:
    """What each column holds. One the contract does not name is text: whether it may be there is for the contract to say."""

    def __init__(self, names: Sequence[str], schema: Json) -> None:
        properties = resolved(schema, schema).get("properties", {})
        self.types = {name: type_of(resolved(schema, properties.get(name)))[0] for name in names}

    def item(self, cells: dict[str, str]) -> tuple[Json, list[Fault]]:
        """The item of a row. An empty cell is a field that is not there."""
        item: dict[str, Json] = {}
        faults: list[Fault] = []
        for name, text in cells.items():
            if text == "":
                continue
            try:
                item[name] = _value(self.types.get(name, ""), text)
            except Malformed as error:
                faults.append(Fault(f"/{name}", error.detail))
        return item, faults


def rows_as_items(sheet: Sheet, schema: Json) -> Iterator[Line]:
    """
    Raises:
        Unreadable: as the sheet's own iteration.
    """
    columns = Columns(sheet.columns, schema)
    for row in sheet:
        if row.fault:
            yield Line(row.number, row.size, faults=(Fault("", row.fault),))
            continue
        item, faults = columns.item(row.cells)
        yield Line(row.number, row.size, item, tuple(faults))


def _value(type_: str, text: str) -> Json:
    """
    Raises:
        Malformed: the cell is nothing of the type.
    """
    plain = text.strip()
    if type_ == "boolean":
        if plain.lower() not in _TRUTHS:
            raise Malformed("is neither true nor false")
        return _TRUTHS[plain.lower()]
    if type_ in ("integer", "number"):
        value = _json(plain)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or (type_ == "integer" and not isinstance(value, int)):
            raise Malformed("is no whole number" if type_ == "integer" else "is no number")
        return value
    if type_ in ("object", "array"):
        value = _json(plain)
        if not isinstance(value, dict if type_ == "object" else list):
            raise Malformed(f"is no JSON {type_}")
        return value
    return text


def _json(text: str) -> Json:
    try:
        return canonical.parse(text)
    except Malformed:
        return None
