"""A schema without references and remarks: what is left decides which messages it takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.shape import target_of

LIST_WORDS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
MAP_WORDS: Final = ("dependentSchemas", "patternProperties", "properties")
NODE_WORDS: Final = (
    "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip
_REMARKS: Final = frozenset({
    "$comment", "$defs", "$schema", "contentEncoding", "contentMediaType", "contentSchema", "default", "definitions",
    "deprecated", "description", "examples", "readOnly", "title", "writeOnly",
})  # fmt: skip

#: Our own words in a plain schema: values its author gave as examples, and what the node is, for quick comparison.
EXAMPLES: Final = "§examples"
SAME: Final = "§same"


def plain(root: Json) -> Json:
    """The schema with every reference written out (`allOf`) and without remarks; each object carries `SAME` and `EXAMPLES`.

    Args:
        root: a schema that `checker.compile_schema` took: its references stay inside and do not recurse.
    """
    return _plain(root, root)


def is_same(one: Json, other: Json) -> bool:
    """Do two plain nodes read alike, but for remarks?"""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return SAME in one and one[SAME] == other.get(SAME)
    return one is other if isinstance(one, bool) or isinstance(other, bool) else one == other


def without(node: Mapping[str, Json], *words: str) -> dict[str, Json]:
    """A node less some keywords; it is another one then, so its mark goes too."""
    return {word: value for word, value in node.items() if word not in words and word != SAME}


def rules_of(node: Mapping[str, Json]) -> set[str]:
    """The keywords of a plain node that ask for something."""
    return {word for word in node if not word.startswith("§")}


def _plain(root: Json, node: Json) -> Json:
    if not isinstance(node, Mapping):
        return node
    found: dict[str, Json] = {}
    parts: list[Json] = []
    for word, value in node.items():
        if word == "$ref":
            parts.append(_plain(root, target_of(root, value)))
        elif word in LIST_WORDS and isinstance(value, Sequence):
            found[word] = [_plain(root, child) for child in value]
        elif word in MAP_WORDS and isinstance(value, Mapping):
            found[word] = {name: _plain(root, child) for name, child in value.items()}
        elif word in NODE_WORDS:
            found[word] = _plain(root, value)
        elif word not in _REMARKS and not word.startswith(("x-", "§")):
            found[word] = value
    if parts:
        found["allOf"] = [*found.get("allOf", ()), *parts]
    same = canonical.digest(repr(_bare(found)).encode())
    examples = [*(node.get("examples") or ()), *([node["default"]] if "default" in node else ())]
    return {**found, SAME: same, **({EXAMPLES: examples} if examples else {})}


def _bare(value: Json) -> Json:
    """Its rules in one order; below, the mark of a node stands for the node."""
    if isinstance(value, Mapping):
        return value.get(SAME) or sorted((word, _bare(child)) for word, child in value.items())
    return [_bare(child) for child in value] if isinstance(value, list) else (type(value).__name__, value)
