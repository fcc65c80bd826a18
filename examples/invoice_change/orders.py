"""Purchase orders as files: what was ordered, to hold a changed invoice against. One file per order, named by its number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from aegis.core import canonical
from aegis.core.errors import Malformed

FOLDER: Final = Path(__file__).resolve().parent / "orders"
MAX_BYTES: Final = 64 * 1024
_NUMBER: Final = re.compile(r"PO-[0-9]{1,10}\Z")


def read_order(number: str, *, folder: Path = FOLDER) -> Mapping[str, Any] | None:
    """{order, supplier, lines: [{article, count, unit_cents}]}, or None where there is no such order.

    Raises:
        Malformed: the file is damaged.
    """
    if not _NUMBER.match(number):
        return None
    path = folder / f"{number}.json"
    if path.is_symlink() or not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise Malformed(f"{path.name} is larger than {MAX_BYTES:,} bytes")
    try:
        found = canonical.parse(path.read_bytes())
    except Malformed as error:
        raise Malformed(f"{path.name} is damaged: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("lines"), list):
        raise Malformed(f"{path.name} is no purchase order")
    return found


def differences(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """In what the lines of an invoice differ from the order, in sentences for people; empty if they agree."""
    ordered = {line["article"]: line for line in order["lines"]}
    found = []
    for line in lines:
        was = ordered.pop(line["article"], None)
        if was is None:
            found.append(f"{line['article']} was never ordered")
            continue
        if line["count"] != was["count"]:
            found.append(f"{line['article']}: {line['count']} invoiced, {was['count']} ordered")
        if line["unit_cents"] > was["unit_cents"]:
            found.append(f"{line['article']}: dearer than ordered ({line['unit_cents']} instead of {was['unit_cents']} cents)")
    return found
