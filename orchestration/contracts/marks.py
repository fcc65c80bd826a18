"""What a contract says about its fields beside their form: who may see them, and who wrote them. Pure.

`x-aegis-sensitive: true` (or the name of a type) hides a field from everybody without the capability `<type>.reveal`; with
`true` the type is the message's own name. `x-aegis-source` says who wrote a field: what came from outside stays from outside,
whoever forwards it. `x-aegis-format` says as what its values are compared. To a checker all are
remarks; here they are rules, and an unknown word or value is refused when publishing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aegis.core.canonical import Json
from aegis.core.errors import Fault
from aegis.core.shape import target_of
from orchestration.contracts.wording import pointer

SENSITIVE: Final = "x-aegis-sensitive"
SOURCE: Final = "x-aegis-source"
SOURCES: Final = ("outside", "requester", "record", "agent")
FORMAT: Final = "x-aegis-format"
FORMATS: Final = ("money", "email", "iban", "id", "date")
_TYPE: Final = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_MASK: Final = re.compile(r"\[masked: needs [a-z][a-z0-9_-]*\.reveal\]")
_OURS: Final = "x-aegis-"
_DEPTH: Final = 60

_CHOICES: Final = ("allOf", "anyOf", "oneOf")
_BESIDE: Final = ("then", "else", "if", "not")


@dataclass(frozen=True, slots=True)
class Marked:
    """A schema whose marks count.

    Attributes:
        own: the type that `true` stands for ("customer" of customer@2).
    """

    schema: Mapping[str, Json]
    own: str


def capability_of(kind: str) -> str:
    """The reading right of a type."""
    return f"{kind}.reveal"


def masked_text(kind: str) -> str:
    """What stands in place of a hidden value; it names the right that is missing."""
    return f"[masked: needs {capability_of(kind)}]"


def is_mask(value: Json) -> bool:
    """Is it a mask, or a text with one in it?"""
    return isinstance(value, str) and _MASK.search(value) is not None


def faults(schema: Json) -> list[Fault]:
    """What is wrong with our own words in a schema."""
    return list(_faults(schema, ()))


def types_of(marked: Marked) -> frozenset[str]:
    """The types whose right some field of it asks for."""
    return frozenset(kind for _, kind in sensitive_fields(marked))


def sensitive_fields(marked: Marked) -> Iterator[tuple[str, str]]:
    """(name of the field, type) of every mark; "" is the name of what is no field by itself (an entry, the whole)."""
    for name, node in _named(marked.schema, ""):
        if kind := kind_of(node, marked.own):
            yield name, kind


def places(schema: Json, word: str) -> list[tuple[str, str]]:
    """(place, value) of every mark of a kind, for pages: "customer.iban", "lines[].text"."""
    return sorted({(place or "the whole", str(value)) for place, value in _places(schema, schema, word, "", 0)})


def kind_of(node: Json, own: str) -> str:
    """The type whose right a node asks for; "" if it is for all to see."""
    mark = node.get(SENSITIVE) if isinstance(node, Mapping) else None
    return own if mark is True else mark if isinstance(mark, str) else ""


def mask(marked: Marked, value: Json, hidden: Collection[str], *, is_broken: bool = False) -> Json:
    """`value` with what is hidden replaced by `masked_text`. Never raises; where a schema offers forms, any of them may hide.

    Args:
        hidden: types whose right the reader lacks.
        is_broken: the value breaks the schema, so a hidden field may stand under another name or in another form: what the
            schema does not know is masked too.
    """
    return _Mask(marked, frozenset(hidden), is_broken).value([marked.schema], value, 0)


def hidden_values(marked: Marked, value: Json, hidden: Collection[str], *, is_broken: bool = False) -> list[Json]:
    """The values that `mask` would take out."""
    walk = _Mask(marked, frozenset(hidden), is_broken)
    walk.value([marked.schema], value, 0)
    return walk.taken


def is_sensitive_at(schema: Mapping[str, Json], path: Sequence[str | int]) -> bool:
    """Is what stands at a place masked for anybody: by a mark there, above it, or (of an object or list) below it?"""
    nodes: list[Json] = [schema]
    for part in path:
        applied = [one for node in nodes for one in _parts(schema, node, 0)]
        if any(kind_of(one, "own") for one in applied):
            return True
        nodes = [below for one in applied for below in (_fields(one, part) if isinstance(part, str) else _entries(one, part))]
    return any(True for node in nodes for _ in _places(schema, node, SENSITIVE, "", 0))


def applied_below(
    root: Mapping[str, Json], nodes: Sequence[Json]
) -> tuple[list[Mapping[str, Json]], Callable[[str | int], list[Json]]]:
    """The parts of a schema that may apply where `nodes` stand, and those for a field or entry below.

    Args:
        root: the whole schema, for references.
    """
    applied = [part for node in nodes for part in _parts(root, node, 0)]

    def below(part: str | int) -> list[Json]:
        return [child for one in applied for child in (_fields(one, part) if isinstance(part, str) else _entries(one, part))]

    return applied, below


class _Mask:
    """One walk through a value beside its schema."""

    def __init__(self, marked: Marked, hidden: frozenset[str], is_broken: bool) -> None:
        self.marked, self.hidden, self.is_broken = marked, hidden, is_broken
        self.taken: list[Json] = []
        self.fallback = min(types_of(marked) & hidden, default="")

    def value(self, nodes: list[Json], value: Json, depth: int) -> Json:
        applied = [part for node in nodes for part in _parts(self.marked.schema, node, 0)]
        kinds = sorted({kind for part in applied if (kind := kind_of(part, self.marked.own)) in self.hidden})
        if kinds:
            return self.take(value, kinds[0])
        if depth > _DEPTH:
            return self.take(value, self.fallback) if self.fallback else value
        if isinstance(value, Mapping):
            return {name: self.field(applied, name, item, depth) for name, item in value.items()}
        if isinstance(value, list):
            return [self.entry(applied, index, item, depth) for index, item in enumerate(value)]
        return value

    def field(self, applied: list[Mapping[str, Json]], name: str, value: Json, depth: int) -> Json:
        below = [child for part in applied for child in _fields(part, name)]
        is_known = any(name in part.get("properties", {}) for part in applied)
        if self.is_broken and self.fallback and not (is_known and _fits(self.marked.schema, below, value)):
            return self.take(value, self.fallback)
        return self.value(below, value, depth + 1)

    def entry(self, applied: list[Mapping[str, Json]], index: int, value: Json, depth: int) -> Json:
        below = [child for part in applied for child in _entries(part, index)]
        if self.is_broken and self.fallback and not _fits(self.marked.schema, below, value):
            return self.take(value, self.fallback)
        return self.value(below, value, depth + 1)

    def take(self, value: Json, kind: str) -> Json:
        self.taken.append(value)
        return masked_text(kind)


def _fits(root: Json, nodes: list[Json], value: Json) -> bool:
    """May a value of this form stand here? What is known to have another form may be anything, a hidden field too."""
    form = "object" if isinstance(value, Mapping) else "array" if isinstance(value, list) else "scalar"
    for node in nodes:
        for part in _parts(root, node, 0):
            named = part.get("type")
            if named is None:
                continue
            kinds = [named] if isinstance(named, str) else named
            if form in {kind if kind in ("object", "array") else "scalar" for kind in kinds}:
                return True
    return False


def _parts(root: Json, node: Json, depth: int) -> Iterator[Mapping[str, Json]]:
    """A node and every node that may apply at the same place."""
    if not isinstance(node, Mapping) or depth > _DEPTH:
        return
    yield node
    if isinstance(node.get("$ref"), str):
        yield from _parts(root, target_of(root, node["$ref"]), depth + 1)
    for word in _CHOICES:
        for child in node.get(word, ()):
            yield from _parts(root, child, depth + 1)
    for word in _BESIDE:
        yield from _parts(root, node.get(word), depth + 1)
    for child in node.get("dependentSchemas", {}).values():
        yield from _parts(root, child, depth + 1)


def _fields(part: Mapping[str, Json], name: str) -> Iterator[Json]:
    if name in part.get("properties", {}):
        yield part["properties"][name]
    for pattern, child in part.get("patternProperties", {}).items():
        if _may_match(pattern, name):
            yield child
    if name not in part.get("properties", {}):
        yield from (part[word] for word in ("additionalProperties", "unevaluatedProperties") if word in part)


def _entries(part: Mapping[str, Json], index: int) -> Iterator[Json]:
    prefix = part.get("prefixItems", ())
    if index < len(prefix):
        yield prefix[index]
    elif "items" in part:
        yield part["items"]
    yield from (part[word] for word in ("contains", "unevaluatedItems") if word in part)


def _may_match(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:  # the checker's engine reads patterns that ours does not; then it may
        return True


def _faults(node: Json, path: tuple[str | int, ...]) -> Iterator[Fault]:
    for at, below in _nodes(node, path):
        for word in below:
            if not word.startswith(_OURS):
                continue
            value, where = below[word], pointer(at, word)
            if word == SENSITIVE:
                if value is not True and not (isinstance(value, str) and _TYPE.fullmatch(value)):
                    yield Fault(where, "is true or the name of a type, such as customer", "leave it out where all may see it")
            elif word == SOURCE:
                if value not in SOURCES:
                    yield Fault(where, f"must be one of {', '.join(SOURCES)}", "outside: written by others")
            elif word == FORMAT:
                if value not in FORMATS:
                    yield Fault(where, f"must be one of {', '.join(FORMATS)}", "how its values are compared")
            else:
                yield Fault(where, f"there is no {word}", f"known are {SENSITIVE}, {SOURCE} and {FORMAT}")


def _nodes(node: Json, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Json]]]:
    """Every subschema with its place in the schema."""
    if not isinstance(node, Mapping):
        return
    yield path, node
    for word, value in node.items():
        if word in ("properties", "patternProperties", "$defs", "dependentSchemas") and isinstance(value, Mapping):
            for name, child in value.items():
                yield from _nodes(child, (*path, word, name))
        elif isinstance(value, Mapping) and word not in ("const", "default") and not word.startswith("x-"):
            yield from _nodes(value, (*path, word))
        elif isinstance(value, list) and word in (*_CHOICES, "prefixItems"):
            for index, child in enumerate(value):
                yield from _nodes(child, (*path, word, index))


def _named(root: Json, name: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Every subschema with the name of the field it is about, read where it stands and where a reference uses it."""
    for at, below in _nodes(root, ()):
        fields = [str(part) for index, part in enumerate(at) if index and at[index - 1] == "properties"]
        yield from ((fields[-1] if fields else name, part) for part in _parts(root, below, 0))


def _places(root: Json, node: Json, word: str, place: str, depth: int) -> Iterator[tuple[str, Any]]:
    for part in _parts(root, node, depth):
        if word in part:
            yield place, part[word]
        for name, child in part.get("properties", {}).items():
            yield from _places(root, child, word, f"{place}.{name}" if place else name, depth + 1)
        for key in ("items", "additionalProperties", "contains"):
            if isinstance(part.get(key), Mapping):
                rest = "[]" if key != "additionalProperties" else ".*" if place else "*"
                yield from _places(root, part[key], word, f"{place}{rest}", depth + 1)
        for index, child in enumerate(part.get("prefixItems", ())):
            yield from _places(root, child, word, f"{place}[{index}]", depth + 1)
