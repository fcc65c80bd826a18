"""Values that may keep some rules: what counterexamples are made from. Pure.

Nothing here is trusted: whoever shows a value has it checked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from aegis.core.canonical import Json
from orchestration.contracts.plain import EXAMPLES

MAX_SPECIMENS: Final = 12
_DEPTH: Final = 12
_TEXTS: Final = (
    "a", "A", "0", "A1", "A-1", "abc", "ABC", "EUR", "en", "DE", "P1", "a1", "12", "123", "1234", "12345", "T-104", "INV-1", "",
)  # fmt: skip
_FORMATS: Final[Mapping[str, Sequence[str]]] = {
    "date": ("2026-01-31",),
    "date-time": ("2026-01-31T08:00:00Z",),
    "duration": ("PT1H",),
    "email": ("a@example.org",),
    "hostname": ("example.org",),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1",),
    "time": ("08:00:00Z",),
    "uri": ("https://example.org/a",),
    "uri-reference": ("/a",),
    "uuid": ("6f1d2c3b-4a59-4e6f-8a7b-0c1d2e3f4a5b",),
}  # fmt: skip


def specimens(rules: Sequence[Json], depth: int = 0) -> list[Json]:
    """A few values that may keep all of `rules` (plain nodes)."""
    if depth > _DEPTH or any(rule is False for rule in rules):
        return []
    return list(islice(_specimens([rule for rule in rules if isinstance(rule, Mapping)], depth), MAX_SPECIMENS))


def around(bound: float, rules: Sequence[Json]) -> list[Json]:
    """Numbers on both sides of a bound, and the bounds that the rules have."""
    own = [rule[word] for rule in rules if isinstance(rule, Mapping) for word in _BOUNDS if word in rule]
    return [value for at in (bound, *own) for value in (at, at - 1, at + 1, at + 0.5, at - 0.5)]


def texts_of_length(length: int, rules: Sequence[Json]) -> list[Json]:
    """Texts of exactly that length."""
    seeds = [text for text in specimens([*rules, {"type": "string"}]) if isinstance(text, str)]
    return [(text * (length // max(len(text), 1) + 1))[:length] for text in ["a", "0", "A", *seeds] if text or not length]


def message(rules: Sequence[Json], key: str, value: Json) -> Json:
    """An object that may keep `rules` and has `value` in the field `key`."""
    found = _object([rule for rule in rules if isinstance(rule, Mapping)], 0)
    found[key] = value
    return found


def listing(rules: Sequence[Json], at: int, value: Json) -> Json:
    """A list that may keep `rules` and has `value` at a position."""
    found = _list([rule for rule in rules if isinstance(rule, Mapping)], at + 1, 0)
    if len(found) > at:
        found[at] = value
    return found


def lists_of_length(length: int, rules: Sequence[Json]) -> list[Json]:
    nodes = [rule for rule in rules if isinstance(rule, Mapping)]
    return [found] if len(found := _list(nodes, length, 0)[:length]) == length else []


def child_rules(rules: Sequence[Mapping[str, Json]], key: str) -> list[Json]:
    """What rules ask of a field, as far as they surely do (a pattern that may name it too is left out)."""
    found: list[Json] = []
    for rule in rules:
        if key in rule.get("properties", {}):
            found.append(rule["properties"][key])
        elif "additionalProperties" in rule and not rule.get("patternProperties"):
            found.append(rule["additionalProperties"])
    return found


def item_rules(rules: Sequence[Mapping[str, Json]], index: int) -> list[Json]:
    """What rules ask of the entry at a position."""
    found: list[Json] = []
    for rule in rules:
        prefix = rule.get("prefixItems", ())
        if index < len(prefix):
            found.append(prefix[index])
        elif "items" in rule:
            found.append(rule["items"])
    return found


_BOUNDS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")


def _specimens(rules: list[Mapping[str, Json]], depth: int) -> Iterator[Json]:
    for rule in rules:
        for part in ("allOf",):
            if part in rule:
                rest = [other for other in rules if other is not rule]
                bare = {word: value for word, value in rule.items() if word != part}
                yield from specimens([*rest, bare, *rule[part]], depth + 1)
                return
        for part in ("anyOf", "oneOf"):
            if part in rule:
                rest = [other for other in rules if other is not rule]
                bare = {word: value for word, value in rule.items() if word != part}
                for branch in rule[part]:
                    yield from specimens([*rest, bare, branch], depth + 1)[:2]
                return
    for rule in rules:
        yield from rule.get(EXAMPLES, ())
        if "const" in rule:
            yield rule["const"]
        yield from rule.get("enum", ())
    types = _types(rules)
    if "object" in types:
        yield _object(rules, depth)
    if "string" in types:
        yield from _texts(rules)
    if types & {"integer", "number"}:
        yield from (value for value in _numbers(rules) if "number" in types or value == int(value))
    if "array" in types:
        yield _list(rules, 0, depth)
    if "boolean" in types:
        yield from (True, False)
    if "null" in types:
        yield None


def _types(rules: Sequence[Mapping[str, Json]]) -> set[str]:
    found = {"object", "string", "integer", "number", "array", "boolean", "null"}
    for rule in rules:
        if "type" in rule:
            named = {rule["type"]} if isinstance(rule["type"], str) else set(rule["type"])
            found &= named | {"integer"} if "number" in named else named
    return found


def _texts(rules: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    for rule in rules:
        yield from _FORMATS.get(str(rule.get("format", "")), ())
    shortest = max((int(rule["minLength"]) for rule in rules if "minLength" in rule), default=0)
    if 0 < shortest <= 2_000:
        yield "a" * shortest
    yield from (text for text in _TEXTS if len(text) >= shortest)


def _numbers(rules: Sequence[Mapping[str, Json]]) -> Iterator[float]:
    for rule in rules:
        for word, step in zip(_BOUNDS, (0, 1, 0, -1), strict=True):
            if word in rule:
                yield rule[word] + step
                yield rule[word] + step / 2
        if "multipleOf" in rule:
            yield rule["multipleOf"]
    yield from (1, 0, 10, 0.5, -1)


def _object(rules: Sequence[Mapping[str, Json]], depth: int) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name in dict.fromkeys(name for rule in rules for name in rule.get("required", ())):
        values = specimens(child_rules(rules, name), depth + 1)
        if values:
            found[name] = values[0]
    return found


def _list(rules: Sequence[Mapping[str, Json]], length: int, depth: int) -> list[Json]:
    shortest = max([length, *(int(rule["minItems"]) for rule in rules if "minItems" in rule)])
    is_unique = any(rule.get("uniqueItems") for rule in rules)
    found: list[Json] = []
    for index in range(min(shortest, 60)):
        values = specimens(item_rules(rules, index), depth + 1)
        if not values:
            break
        found.append(next((value for value in values if value not in found), values[0]) if is_unique else values[0])
    return found
