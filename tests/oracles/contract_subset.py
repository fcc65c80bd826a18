"""Whether parameters keep their contract: JSON Schema 2020-12, for the keywords that capabilities use."""

import math
import re
from collections.abc import Mapping
from typing import Any

from tests.oracles.cel import CannotJudge

REMARKS = {"title", "description", "examples", "default", "$schema", "$comment"}
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(schema: Any, value: Any, at: str = "") -> list[str]:
    """Return a JSON pointer with a word for each fault, such as `/amount: minimum`; empty where the contract is kept.

    Raises:
        CannotJudge: the schema uses a keyword that is not in the subset (`$ref`, `format`, `oneOf`, ...).
    """
    if isinstance(schema, bool):
        return [] if schema else [f"{at}: nothing may stand here"]
    found: list[str] = []
    for keyword, rule in schema.items():
        if keyword in REMARKS or keyword.startswith("x-"):
            continue
        if keyword not in KEYWORDS:
            raise CannotJudge(f"the keyword {keyword!r} is not in the subset")
        found += KEYWORDS[keyword](rule, value, at, schema)
    return found


def same(left: Any, right: Any) -> bool:
    """JSON equality: 1 equals 1.0, true equals nothing but true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _is_type(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, TYPES[name])


def _type(rule: Any, value: Any, at: str, _schema: Mapping[str, Any]) -> list[str]:
    names = [rule] if isinstance(rule, str) else rule
    return [] if any(_is_type(name, value) for name in names) else [f"{at}: type"]


def _required(rule: Any, value: Any, at: str, _schema: Mapping[str, Any]) -> list[str]:
    return [f"{at}/{name}: required" for name in rule if name not in value] if isinstance(value, dict) else []


def _properties(rule: Any, value: Any, at: str, _schema: Mapping[str, Any]) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [fault for name, part in rule.items() if name in value for fault in faults(part, value[name], f"{at}/{name}")]


def _additional(rule: Any, value: Any, at: str, schema: Mapping[str, Any]) -> list[str]:
    if not isinstance(value, dict):
        return []
    others = [name for name in value if name not in schema.get("properties", {})]
    return [fault for name in others for fault in faults(rule, value[name], f"{at}/{name}")]


def _items(rule: Any, value: Any, at: str, _schema: Mapping[str, Any]) -> list[str]:
    if not isinstance(value, list):
        return []
    return [fault for place, item in enumerate(value) for fault in faults(rule, item, f"{at}/{place}")]


def _bound(name: str, kind: type | tuple[type, ...], breaks: Any) -> Any:
    def check(rule: Any, value: Any, at: str, _schema: Mapping[str, Any]) -> list[str]:
        applies = isinstance(value, kind) and not isinstance(value, bool)
        return [f"{at}: {name}"] if applies and breaks(rule, value) else []

    return check


def _pattern(rule: str) -> str:
    r"""A `$` at the end means the very end there, while Python's lets a line break follow; a `\$` stays what it is."""
    return rule[:-1] + r"\Z" if rule.endswith("$") and not rule.endswith(r"\$") else rule


def _unique(rule: Any, value: Any, at: str, _schema: Mapping[str, Any]) -> list[str]:
    if not rule or not isinstance(value, list):
        return []
    repeated = any(same(one, other) for place, one in enumerate(value) for other in value[:place])
    return [f"{at}: uniqueItems"] if repeated else []


KEYWORDS: dict[str, Any] = {
    "type": _type,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "uniqueItems": _unique,
    "enum": lambda rule, value, at, _: [] if any(same(value, one) for one in rule) else [f"{at}: enum"],
    "const": lambda rule, value, at, _: [] if same(value, rule) else [f"{at}: const"],
    "minimum": _bound("minimum", (int, float), lambda rule, value: value < rule),
    "maximum": _bound("maximum", (int, float), lambda rule, value: value > rule),
    "minLength": _bound("minLength", str, lambda rule, value: len(value) < rule),
    "maxLength": _bound("maxLength", str, lambda rule, value: len(value) > rule),
    "pattern": _bound("pattern", str, lambda rule, value: re.search(_pattern(rule), value) is None),
    "minItems": _bound("minItems", list, lambda rule, value: len(value) < rule),
    "maxItems": _bound("maxItems", list, lambda rule, value: len(value) > rule),
}
