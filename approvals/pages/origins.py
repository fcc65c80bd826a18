"""From where the values of a proposal are known, as rows for people. Pure.

Shown with a request, as it was when it was asked, and with a verdict and its effect on the run page. Rows say where a value
stands, never the value; of what is masked for the reader they say the right that is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aegis.core.canonical import Json
from approvals.pages import words


@dataclass(frozen=True, slots=True)
class Origin:
    """From where the value of one parameter is known.

    Attributes:
        is_named: the requester or a record named it; else nobody inside did.
        fields: which fields of which messages from outside it stands in, in words.
    """

    path: str
    words: str
    is_named: bool
    fields: tuple[str, ...] = ()


def rows(places: Json, outside: Json) -> list[Origin]:
    """What nobody inside named comes first.

    Args:
        places: path -> places, as recorded; outside: path -> [step, contract, field] of each field, where it was recorded.
    """
    if not isinstance(places, Mapping):
        return []
    spots = outside if isinstance(outside, Mapping) else {}
    found = [_row(str(path), told, spots.get(path)) for path, told in sorted(places.items())]
    return sorted(found, key=lambda origin: origin.is_named)


def _row(path: str, told: Json, spots: Json) -> Origin:
    if not isinstance(told, list):  # a mask in its place
        return Origin(path, str(told), is_named=False)
    named = [spot for spot in spots if isinstance(spot, list) and len(spot) == 3] if isinstance(spots, list) else []
    fields = tuple(_spot(*map(str, spot)) for spot in named)
    return Origin(path, words.origin(told), is_named="requester" in told or "record" in told, fields=fields)


def _spot(step: str, contract: str, field: str) -> str:
    message = f"what {step} said" if step else "the input"
    return f"{field or 'the whole'} of {message} ({contract})"
