"""Does a contract have this place? Pure: walks a JSON Schema along a path.

The answer has three values, because a schema may leave a place open. Only a "no" is a fault: no message that keeps the contract
can have anything there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from aegis.core.canonical import Json
from aegis.core.shape import target_of

Answer = Literal["yes", "open", "no"]
Part = str | int

_DEPTH: Final = 50  # contracts have no recursive references (contracts.checker), so this only guards against hand-made ones


def has(schema: Json, path: Sequence[Part]) -> Answer:
    """Can a message that keeps `schema` have a value at `path`?

    Args:
        path: field names and list positions from the root.
    """
    return _has(schema, schema, tuple(path), 0)


def first_missing(schema: Json, path: Sequence[Part]) -> int | None:
    """Position of the first part of `path` that no message can have; None if there is none."""
    return next((index for index in range(len(path)) if has(schema, path[: index + 1]) == "no"), None)


def fields_at(schema: Json, path: Sequence[Part]) -> tuple[str, ...]:
    """Names of the fields that the schema declares at `path`, sorted: what somebody may have meant."""
    found: set[str] = set()
    for node in _nodes(schema, path, through_choices=True):
        found.update(node.get("properties", {}))
    return tuple(sorted(found))


def values_at(schema: Json, path: Sequence[Part]) -> tuple[Json, ...] | None:
    """The values that `const` or `enum` leave at `path`; None when the contract does not pin them."""
    pinned: list[tuple[Json, ...]] = []
    for node in _nodes(schema, path, through_choices=False):
        if "const" in node:
            pinned.append((node["const"],))
        elif "enum" in node:
            pinned.append(tuple(node["enum"]))
    return min(pinned, key=len) if pinned else None


def types_at(schema: Json, path: Sequence[Part]) -> frozenset[str]:
    """JSON Schema types that the contract states at `path`; empty when it does not say."""
    stated: list[frozenset[str]] = []
    for node in _nodes(schema, path, through_choices=False):
        if "type" in node:
            kind = node["type"]
            stated.append(frozenset([kind] if isinstance(kind, str) else kind))
        elif "const" in node or "enum" in node:
            stated.append(frozenset(_type_of(value) for value in (node.get("enum") or [node.get("const")])))
    return min(stated, key=len) if stated else frozenset()


def required_at(schema: Json, path: Sequence[Part]) -> frozenset[str]:
    """Names of the fields that every message has at `path`."""
    return frozenset(name for node in _nodes(schema, path, through_choices=False) for name in node.get("required", ()))


def subschema(schema: Json, path: Sequence[Part]) -> Json:
    """What the contract says about the value at `path`, as a schema of its own; {} (anything) where it does not say."""
    if not path:
        return schema
    whole: dict[str, Json] = {"$defs": {"whole": moved(schema, "/$defs/whole")}}
    nodes = list(_nodes({**whole, "$ref": "#/$defs/whole"}, path, through_choices=False))
    return {**whole, "allOf": nodes} if nodes else {}


def moved(schema: Json, where: str) -> Json:
    """The schema as it must read when it stands at `where` (a JSON pointer) of another one: its references go along."""
    match schema:
        case dict():
            return {key: _moved(key, value, where) for key, value in schema.items()}
        case list():
            return [moved(item, where) for item in schema]
        case _:
            return schema


def _moved(key: str, value: Json, where: str) -> Json:
    if key == "$ref" and isinstance(value, str):
        return f"#{where}{value.removeprefix('#')}"
    return value if key in ("const", "enum", "default", "examples") else moved(value, where)


def _type_of(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _has(root: Json, schema: Json, path: tuple[Part, ...], depth: int) -> Answer:
    if not path:
        return "no" if schema is False else "yes"
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return "no" if schema is False else "open"
    answers = [_own(root, schema, path, depth)]
    if "$ref" in schema:
        answers.append(_has(root, resolve(root, schema["$ref"]), path, depth + 1))
    answers += [_has(root, branch, path, depth + 1) for branch in schema.get("allOf", ())]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            answers.append(_any(_has(root, branch, path, depth + 1) for branch in schema[choice]))
    if "then" in schema or "else" in schema:
        branches = (schema.get("then", True), schema.get("else", True))
        answers.append(_any(_has(root, branch, path, depth + 1) for branch in branches))
    answer = _all(answers)
    if answer == "open" and isinstance(path[0], str) and schema.get("unevaluatedProperties") is False:
        return "no"
    return answer


def _own(root: Json, schema: Mapping[str, Json], path: tuple[Part, ...], depth: int) -> Answer:
    """What the keywords beside the composing ones say."""
    part, rest = path[0], path[1:]
    kinds = schema.get("type", ("object", "array"))
    if ("object" if isinstance(part, str) else "array") not in ([kinds] if isinstance(kinds, str) else kinds):
        return "no"
    child = _child(schema, part)
    if child is None:
        return "open"
    return _has(root, child, rest, depth + 1)


def _child(schema: Mapping[str, Json], part: Part) -> Json | None:
    """The subschema for one part, False if nothing may stand there, None if the schema does not say."""
    if isinstance(part, int):
        prefix = schema.get("prefixItems", ())
        return prefix[part] if part < len(prefix) else schema.get("items")
    if part in schema.get("properties", {}):
        return schema["properties"][part]
    for pattern, child in schema.get("patternProperties", {}).items():
        try:
            if re.search(pattern, part):
                return child
        except re.error:  # the contract's engine and ours differ; then nothing can be said
            return None
    return schema.get("additionalProperties")


def _all(answers: Iterable[Answer]) -> Answer:
    found = list(answers)
    if "no" in found:
        return "no"
    return "yes" if "yes" in found else "open"


def _any(answers: Iterable[Answer]) -> Answer:
    found = list(answers)
    if "yes" in found:
        return "yes"
    return "open" if "open" in found else "no"


def _nodes(schema: Json, path: Sequence[Part], *, through_choices: bool) -> Iterator[Mapping[str, Json]]:
    """Every subschema that applies at `path` (or, through choices, may apply)."""
    level = list(_parts_of(schema, schema, through_choices, 0))
    for part in path:
        children = [child for node in level if (child := _child(node, part)) is not None]
        level = [node for child in children for node in _parts_of(schema, child, through_choices, 0)]
    yield from level


def _parts_of(root: Json, schema: Json, through_choices: bool, depth: int) -> Iterator[Mapping[str, Json]]:
    """A subschema and what it is composed of."""
    if not isinstance(schema, Mapping) or depth > _DEPTH:
        return
    yield schema
    below = [*schema.get("allOf", ())]
    if "$ref" in schema:
        below.append(resolve(root, schema["$ref"]))
    if through_choices:
        below += [*schema.get("anyOf", ()), *schema.get("oneOf", ()), schema.get("then"), schema.get("else")]
    for child in below:
        yield from _parts_of(root, child, through_choices, depth + 1)


def resolve(root: Json, ref: Json) -> Json:
    """What a reference points to; True (anything) if it points nowhere: the contract's own lint has said so."""
    target = target_of(root, ref) if isinstance(ref, str) and ref.startswith("#") else None
    return True if target is None else target
