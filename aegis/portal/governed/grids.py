"""A routing table as the grid form shows it, and the document that a posted grid stands for. Knows no request.

The form carries the whole draft as JSON beside the fields of its rows, so that what the grid does not show (tests, types, how
hits make a case) goes through unchanged, and every button works without JavaScript.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from orchestration.routing import hits
from orchestration.routing.rows import CASE
from orchestration.routing.sheets import as_output, as_text
from orchestration.routing.values import TYPES

MAX_FIELDS: Final = 3_500  # of a form; a longer table is edited as text


@dataclass(frozen=True, slots=True)
class Field:
    """One input of the form."""

    name: str
    label: str
    text: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class GridRow:
    """One row. `cells` is None where its condition is CEL, which `condition` then shows."""

    index: int
    number: int
    id: Field
    tier: Field
    cells: list[Field] | None
    condition: Field | None
    outputs: list[Field]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    inputs: list[tuple[str, str, str]]  # name, label, type
    outputs: list[tuple[str, str]]  # name, type
    rows: list[GridRow]
    default: list[Field] | None  # None: the table has none
    policy: str
    policies: list[tuple[str, str]]
    types: list[str]
    has_tiers: bool


def draw(document: Json, faults: Iterable[Fault]) -> Grid:
    """The form of a draft, each field with what speaks against it."""
    spec = document["spec"]
    marks = _by_place(faults)
    policy = spec.get("hit_policy", "First")
    given = _given(spec)
    fields = hits.default_fields(spec)
    default = spec.get("default")
    return Grid(
        inputs=[(name, _label(name, declared), _type(declared)) for name, declared in spec["inputs"].items()],
        outputs=list(given.items()),
        rows=[_row(index, rule, spec, marks) for index, rule in enumerate(spec["rules"])],
        default=None
        if default is None
        else [
            Field(f"d.out.{name}", f"default, {name}", as_text(default.get(name, "")), marks.get(f"/spec/default/{name}", ""))
            if name in fields
            else Field("", "", "")
            for name in given
        ],
        policy=policy,
        policies=[(name, hits.WORDS[name]) for name in hits.POLICIES],
        types=list(TYPES),
        has_tiers=policy in hits.TIERED or any("tier" in rule for rule in spec["rules"]),
    )


def fits(document: Json) -> bool:
    """Is the table small enough for a form?"""
    spec = document["spec"]
    return len(spec["rules"]) * (3 + len(spec["inputs"]) + len(spec["outputs"])) <= MAX_FIELDS


def read(document: Json, posted: Mapping[str, Any]) -> Json:
    """The draft as posted. Whatever was typed is taken as it is: lint says what is wrong with it, and where.

    Args:
        document: the draft that the form was drawn from.
        posted: field name -> text; fields that are missing leave their part of the draft alone.
    """
    found: Any = copy.deepcopy(document)
    spec = found["spec"]
    if posted.get("policy") in hits.POLICIES and posted["policy"] != spec.get("hit_policy", "First"):
        spec["hit_policy"] = posted["policy"]
    for index, rule in enumerate(spec["rules"]):
        _read_row(rule, f"r{index}", posted, spec)
    given = hits.default_fields(spec)
    if "default" in spec:
        for name, kind in given.items():
            if (text := posted.get(f"d.out.{name}")) is not None:
                spec["default"][name] = _kept(spec["default"].get(name), text, kind)
        spec["default"] = {name: value for name, value in spec["default"].items() if name in given}
    return found


def change(document: Json, verb: str, posted: Mapping[str, Any]) -> Json:
    """The draft after a button of the grid: "add", "remove", "up", "down", "cells" or "cel" with a row, or one of the table."""
    found: Any = copy.deepcopy(document)
    spec, rules = found["spec"], found["spec"]["rules"]
    word, _, place = verb.partition(":")
    index = int(place) if place.isascii() and place.isdigit() and int(place) < len(rules) else -1
    if word == "add":
        rules.insert(index + 1 if index >= 0 else len(rules), _new_row(spec))
    elif word == "default":
        given = {name: _blank(kind) for name, kind in hits.default_fields(spec).items()}
        spec["default"] = {**given, CASE: "unknown"}
    elif word == "no-default":
        spec.pop("default", None)
    elif word in ("input", "output") and (name := str(posted.get(f"new_{word}", "")).strip()):
        kind = str(posted.get(f"new_{word}_type"))
        known = spec[f"{word}s"]
        if name not in known and kind in TYPES:
            known[name] = kind
            for row in [*rules, *([spec["default"]] if "default" in spec else [])] if word == "output" else []:
                row.get("then", row).setdefault(name, _blank(kind))
    elif index >= 0:
        _change_row(rules, word, index)
    return found


def _change_row(rules: list[Json], word: str, index: int) -> None:
    if word == "remove":
        del rules[index]
    elif word == "up" and index > 0:
        rules[index - 1], rules[index] = rules[index], rules[index - 1]
    elif word == "down" and index < len(rules) - 1:
        rules[index + 1], rules[index] = rules[index], rules[index + 1]
    elif word == "cells" and isinstance(rules[index]["when"], str):
        rules[index]["when"] = {}
    elif word == "cel" and not isinstance(rules[index]["when"], str):
        rules[index]["when"] = "false"


def _new_row(spec: Json) -> Json:
    ids = {rule["id"] for rule in spec["rules"]}
    number = next(number for number in range(1, len(ids) + 2) if f"rule-{number}" not in ids)
    default = spec.get("default", {})  # a row begins as what it makes an exception from
    given = {name: default.get(name, _blank(kind)) for name, kind in _given(spec).items()}
    return {"id": f"rule-{number}", "when": {}, "then": given}


def _given(spec: Json) -> dict[str, str]:
    """Name -> type of what every row gives; the case first."""
    case = {} if spec.get("hit_policy") == "Collect" else {CASE: "string"}
    return {**case, **{name: kind for name, kind in sorted(spec["outputs"].items()) if name != CASE}}


def _row(index: int, rule: Json, spec: Json, marks: Mapping[str, str]) -> GridRow:
    place, name, number = f"/spec/rules/{index}", f"r{index}", index + 1
    when = rule["when"]
    is_cel = isinstance(when, str)

    def field(key: str, label: str, value: Json, pointer: str) -> Field:
        return Field(f"{name}.{key}", f"row {number}, {label}", as_text(value), marks.get(f"{place}/{pointer}", ""))

    return GridRow(
        index=index,
        number=number,
        id=field("id", "id", rule["id"], "id"),
        tier=field("tier", "tier", str(rule.get("tier", "")), "tier"),
        cells=None if is_cel else [field(f"in.{one}", f"if {one}", when.get(one, ""), f"when/{one}") for one in spec["inputs"]],
        condition=field("when", "condition", when, "when") if is_cel else None,
        outputs=[field(f"out.{one}", f"then {one}", rule["then"].get(one, ""), f"then/{one}") for one in _given(spec)],
        fault=marks.get(place, ""),
    )


def _read_row(rule: Any, name: str, posted: Mapping[str, Any], spec: Json) -> None:
    if (text := posted.get(f"{name}.id")) is not None:
        rule["id"] = text.strip()
    if (text := posted.get(f"{name}.tier")) is not None:
        rule.pop("tier", None)
        if text.strip():
            rule["tier"] = as_output("int", text)
    if isinstance(rule["when"], str):
        rule["when"] = posted.get(f"{name}.when", rule["when"]).replace("\r\n", "\n")
    else:
        for one in spec["inputs"]:
            text = posted.get(f"{name}.in.{one}")
            if text is None or text == as_text(rule["when"].get(one, "")):
                continue
            rule["when"].pop(one, None)
            if text.strip() not in ("", "-"):
                rule["when"][one] = text.strip()
    given = _given(spec)
    for one, kind in given.items():
        if (text := posted.get(f"{name}.out.{one}")) is not None:
            rule["then"][one] = _kept(rule["then"].get(one), text, kind)
    rule["then"] = {one: value for one, value in rule["then"].items() if one in given}


def _kept(value: Json, text: str, kind: str) -> Json:
    """The value that stands if the text still shows it, else what was typed."""
    return value if value is not None and as_text(value) == text else as_output(kind, text)


def _by_place(faults: Iterable[Fault]) -> dict[str, str]:
    """What speaks against each place; "line:column" behind a pointer is told in the words."""
    found: dict[str, str] = {}
    for fault in faults:
        pointer, _, inside = fault.where.partition(" ")
        text = f"{fault.what}{f' (at {inside})' if inside else ''}{f': {fault.remedy}' if fault.remedy else ''}"
        found.setdefault(pointer, text)
    return found


def _label(name: str, declared: Json) -> str:
    return name if isinstance(declared, str) else declared.get("label") or name


def _type(declared: Json) -> str:
    return declared if isinstance(declared, str) else str(declared["type"])


def _blank(kind: str) -> Json:
    blanks: dict[str, Json] = {"int": 0, "number": 0, "bool": False, "list": [], "map": {}}
    return blanks.get(kind, "")
