"""Faults of a message in words for people. Pure.

Everything said comes from the contract, which its author wrote; of the message only its places are named, and those cut short.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from aegis.core.errors import Fault

MAX_POINTER_CHARS: Final = 200
MAX_RULE_CHARS: Final = 120
MAX_UNEXPECTED: Final = 5

TYPES: Final = {
    "array": "a list", "boolean": "true or false", "integer": "a whole number", "null": "null", "number": "a number",
    "object": "an object", "string": "text",
}  # fmt: skip
LIMITS: Final = {
    "exclusiveMaximum": "must be below {}",
    "exclusiveMinimum": "must be above {}",
    "maximum": "must be at most {}",
    "minimum": "must be at least {}",
    "maxItems": "must have at most {} entries",
    "minItems": "must have at least {} entries",
    "maxLength": "must have at most {} characters",
    "minLength": "must have at least {} characters",
    "maxProperties": "must have at most {} fields",
    "minProperties": "must have at least {} fields",
    "multipleOf": "must be a multiple of {}",
}
_PLAIN: Final = {
    "anyOf": "fits none of the allowed forms",
    "oneOf": "must fit exactly one of the allowed forms",
    "not": "has a form that is not allowed",
    "contains": "lacks an entry of the form asked for",
    "dependentRequired": "lacks a field that another field asks for",
    "falseSchema": "is not allowed here",
    "propertyNames": "has a field name that is not allowed",
    "unevaluatedItems": "has entries the contract does not know",
    "uniqueItems": "has an entry twice",
}


def pointer(path: Sequence[str | int], *more: str) -> str:
    """The JSON pointer of a place; names an agent chose may be huge, so it is cut."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in (*path, *more))
    text = "".join(f"/{part}" for part in parts)
    return text if len(text) <= MAX_POINTER_CHARS else f"{text[: MAX_POINTER_CHARS - 1]}…"


def sentence_of(error: Any) -> Iterator[Fault]:
    """One library error as faults: usually one, several for unexpected fields."""
    path, keyword, kind = error.instance_path, error.kind.name, error.kind
    if keyword == "required":
        yield Fault(pointer(path, kind.property), "is missing")
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        for name in kind.unexpected[:MAX_UNEXPECTED]:
            yield Fault(pointer(path, name), "is not a field of this contract")
        if (rest := len(kind.unexpected) - MAX_UNEXPECTED) > 0:
            yield Fault(pointer(path), f"has {rest} more fields that are not of this contract")
    else:
        yield Fault(pointer(path), _rule(keyword, kind))


def _rule(keyword: str, kind: Any) -> str:
    match keyword:
        case "type":
            return f"must be {' or '.join(sorted(TYPES.get(name, name) for name in kind.types))}"
        case "enum":
            return f"must be one of {literals(kind.options)}"
        case "const":
            return f"must be {_short(_literal(kind.expected_value))}"
        case "pattern":
            return f"must match the pattern {_short(kind.pattern)}"
        case "format":
            return f"must be a valid {kind.format}"
    if keyword in LIMITS:
        return LIMITS[keyword].format(next(iter(kind.as_dict().values()), kind.value))
    return _PLAIN.get(keyword, f"breaks the rule “{keyword}”")


def literals(values: Sequence[Any]) -> str:
    """Values of a contract, cut at a length for a sentence."""
    return _short(", ".join(_literal(value) for value in values))


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _short(text: str) -> str:
    return text if len(text) <= MAX_RULE_CHARS else f"{text[: MAX_RULE_CHARS - 1]}…"
