"""One cell as a form: what was typed becomes the cell of a Role document, and is judged by the lint of its kind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.kinds import API_VERSION, Change, Key, Overlay, get_kind
from aegis.core.visibility import Viewer
from orchestration.authority.grant_limits import DAYS
from orchestration.authority.matrix import CONDITION_VARIABLES

#: Form field -> its place in a cell. Numbers are told by NUMBERS.
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "when": ("when",),
    "policy": ("policy",),
    "reason": ("reason",),
    "rate_count": ("limits", "rate", "count"),
    "rate_per": ("limits", "rate", "per"),
    "rate_by": ("limits", "rate", "by"),
    "amount_of": ("limits", "amount", "of"),
    "amount_most": ("limits", "amount", "most"),
    "amount_per": ("limits", "amount", "per"),
    "amount_by": ("limits", "amount", "by"),
    "tokens_most": ("limits", "tokens", "most"),
    "tokens_per": ("limits", "tokens", "per"),
    "cost_most": ("limits", "cost", "most"),
    "cost_per": ("limits", "cost", "per"),
    "zone": ("during", "zone"),
    "from": ("during", "from"),
    "to": ("during", "to"),
    "valid_from": ("during", "valid_from"),
    "valid_until": ("during", "valid_until"),
    "beyond": ("beyond",),
}
NUMBERS: Final = frozenset({"rate_count", "amount_most", "tokens_most", "cost_most"})
_BY: Final = frozenset({"rate_by", "amount_by"})  # chosen by default, so alone they are no limit
EFFECTS: Final = ("empty", "deny", "gate", "allow")
_MAX_FIELD: Final = 4_000
_WHERE: Final = "/spec/grants/0"
_DECIMAL: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Typed:
    """The form as it came, or as a cell fills it. Nothing in it is trusted."""

    effect: str
    values: Mapping[str, str] = field(default_factory=dict)
    days: tuple[str, ...] = ()

    @property
    def has_limits(self) -> bool:
        return bool(self.days) or any(self.values.get(name) for name in PLACES if PLACES[name][0] in ("limits", "during"))


def read(posted: QueryDict) -> Typed:
    effect = posted.get("effect", "")
    values = {name: posted.get(name, "").replace("\r\n", "\n").strip()[:_MAX_FIELD] for name in PLACES}
    return Typed(effect if effect in EFFECTS else "empty", values, tuple(day for day in DAYS if day in posted.getlist("days")))


def fill(cell: Json | None) -> Typed:
    if cell is None:
        return Typed("empty")
    values = {name: _text(found) for name, place in PLACES.items() if (found := _at(cell, place)) is not None}
    return Typed(cell["effect"], values, tuple(cell.get("during", {}).get("days", ())))


def cell_of(typed: Typed, capability: str) -> dict[str, Any] | None:
    """The cell of a Role document; None for an empty one. What does not belong to an effect is left out of it."""
    if typed.effect == "empty":
        return None
    cell: dict[str, Any] = {"capability": capability, "effect": typed.effect}
    for name, place in PLACES.items():
        value = typed.values.get(name, "")
        if not value or (name == "policy" and typed.effect != "gate") or not _belongs(typed, name, place):
            continue
        node = cell
        for part in place[:-1]:
            node = node.setdefault(part, {})
        node[place[-1]] = _number(value) if name in NUMBERS else value
    if typed.days and typed.effect != "deny":
        cell.setdefault("during", {})["days"] = list(typed.days)
    return cell


def judge(role: str, cell: Json | None, reader: Viewer, *, is_for_people: bool) -> list[Fault]:
    """What speaks against the cell by itself, in words for the reader; `where` names its part ("limits rate per"). The whole
    set is judged at review."""
    if cell is None:
        return []
    return [Fault(_part(fault.where), fault.what, fault.remedy) for fault in _faults(_alone(role, cell, is_for_people), reader)]


def words(role: str, cell: Json | None, *, is_for_people: bool) -> str:
    """The cell in a sentence. Call it on one without faults."""
    if cell is None:
        return f"{role} has no say here: an empty cell is a deny."
    key = Key("Role", role)
    blank = _alone(role, None, is_for_people)
    return " ".join(get_kind("Role").diff(Change(key, blank, _alone(role, cell, is_for_people))))


def facts(parameters: Json) -> list[tuple[str, str]]:
    """(fact, what it is) that a condition of a capability may read, its declared parameters first.

    Args:
        parameters: the contract of the capability.
    """
    declared = parameters.get("properties", {}) if isinstance(parameters, Mapping) else {}
    found = [(f"parameters.{name}", _type(schema)) for name, schema in declared.items()]
    return [*found, *((name, kind) for name, kind in CONDITION_VARIABLES.items() if name != "parameters" or not declared)]


def _alone(role: str, cell: Json | None, is_for_people: bool) -> Json:
    spec: dict[str, Any] = {"grants": [cell] if cell is not None else []}
    if is_for_people:
        spec["people"] = True
    return {"apiVersion": API_VERSION, "kind": "Role", "metadata": {"name": role}, "spec": spec}


def _faults(document: Json, reader: Viewer) -> Iterator[Fault]:
    kind = get_kind("Role")
    found = list(kind.shape_faults(document))
    key = Key("Role", document["metadata"]["name"])
    yield from found or kind.lint(Change(key, None, document), Overlay({key: document}, reader))


def _part(where: str) -> str:
    return where.removeprefix(_WHERE).strip("/").replace("/", " ") or "cell"


def _belongs(typed: Typed, name: str, place: tuple[str, ...]) -> bool:
    if place[0] not in ("limits", "during", "beyond"):
        return True
    if typed.effect == "deny":
        return False
    if name in _BY:
        return any(typed.values.get(other) for other in PLACES if PLACES[other][:2] == place[:2] and other not in _BY)
    return True


def _at(cell: Json, place: tuple[str, ...]) -> Json | None:
    node = cell
    for part in place:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _text(value: Json) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _number(text: str) -> int | float | str:
    """A number where the text is one; else the text, which the schema then names."""
    plain = text.replace(",", "").replace(" ", "")
    if not _DECIMAL.fullmatch(plain):
        return text
    return float(plain) if "." in plain else int(plain)


def _type(schema: Json) -> str:
    kind = schema.get("type", "") if isinstance(schema, Mapping) else ""
    return kind if isinstance(kind, str) else " or ".join(map(str, kind))
