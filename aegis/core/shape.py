"""What the properties of a JSON Schema are, for whoever makes values from text: forms, columns of a sheet. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis.core.canonical import Json


def resolved(schema: Json, node: Json) -> Mapping[str, Json]:
    """A subschema with its reference followed (references stay inside a contract and never recurse)."""
    for _ in range(16):
        if not isinstance(node, Mapping):
            return {}
        ref = node.get("$ref")
        if not isinstance(ref, str):
            return node
        target = target_of(schema, ref)
        beside = {word: value for word, value in node.items() if word != "$ref"}
        node = {**target, **beside} if isinstance(target, Mapping) else {}
    return {}


def target_of(schema: Json, ref: str) -> Json | None:
    """The subschema a reference into the same schema points to; None if it points to nothing."""
    node: Json = schema
    for part in ref.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, Sequence) and not isinstance(node, str) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node if isinstance(node, Mapping | bool) else None


def named_in(spec: Mapping[str, Json]) -> list[str]:
    """The properties of an object in the order to read them: those that must be there, as its author wrote them, then the rest.

    A contract is kept as canonical JSON, which sorts the keys of an object: `required` alone still has its author's order.
    """
    properties = spec.get("properties", {})
    place = {key: number for number, key in enumerate(dict.fromkeys(map(str, spec.get("required", ()))))}
    return sorted(properties, key=lambda key: place.get(key, len(place)))  # stable


def arranged(schema: Json, value: Json, node: Json = None) -> Json:
    """A value with the keys of its objects in the order of a contract. Nothing is added or lost, whatever the value is.

    Args:
        node: the subschema that the value stands under; None = the whole.
    """
    spec = resolved(schema, schema if node is None else node)
    if isinstance(value, list):
        return [arranged(schema, item, spec.get("items", False)) for item in value]
    if not isinstance(value, Mapping):
        return value
    properties = spec.get("properties", {})
    return {
        key: arranged(schema, value[key], properties.get(key, False))
        for key in dict.fromkeys([*named_in(spec), *value])
        if key in value
    }


def type_of(spec: Mapping[str, Json]) -> tuple[str, bool]:
    """The one type besides null, and whether null is allowed; "" if there is no single one."""
    type_ = spec.get("type", "")
    if isinstance(type_, list):
        others = [name for name in type_ if name != "null"]
        return (others[0] if len(others) == 1 else ""), "null" in type_
    return str(type_), False
