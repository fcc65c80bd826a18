"""What the properties of a contract are, for whoever makes values from text: forms, columns of a sheet. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from aegis.core.canonical import Json


def resolved(schema: Json, node: Json) -> Mapping[str, Json]:
    """A subschema with its reference followed (references stay inside a contract and never recurse)."""
    for _ in range(16):
        if not isinstance(node, Mapping):
            return {}
        ref = node.get("$ref")
        if not isinstance(ref, str):
            return node
        target: Json = schema
        for part in ref.removeprefix("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, Mapping) else None
        beside = {word: value for word, value in node.items() if word != "$ref"}
        node = {**target, **beside} if isinstance(target, Mapping) else {}
    return {}


def type_of(spec: Mapping[str, Json]) -> tuple[str, bool]:
    """The one type besides null, and whether null is allowed; "" if there is no single one."""
    type_ = spec.get("type", "")
    if isinstance(type_, list):
        others = [name for name in type_ if name != "null"]
        return (others[0] if len(others) == 1 else ""), "null" in type_
    return str(type_), False
