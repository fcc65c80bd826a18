"""Does one schema take every message that another takes? Pure; sound, not complete.

`gaps(wide, narrow)` walks both side by side. No gap is a proof: every rule of `wide` follows from rules of `narrow`. A gap is a
rule that does not follow, with values to try; whoever asks has them checked by the real checker, because only a message that
one takes and the other refuses proves a difference. What the walk cannot judge is a gap that says so.

The narrow side is a list of nodes that all hold (allOf, a reference and what stands beside it, the branch of a choice):
dropping one of them only makes it take more, so a proof from some of them stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count as count_from
from typing import Final

from aegis.core.canonical import Json
from orchestration.contracts import plain, specimens
from orchestration.contracts.checker import SchemaInvalid, compile_schema
from orchestration.contracts.scalars import Gap, Nodes, least, most, numbers, texts
from orchestration.contracts.wording import LIMITS, TYPES, literals

MAX_STEPS: Final = 20_000
MAX_GAPS: Final = 50
_KINDS: Final = ("object", "array", "string", "integer", "fraction", "boolean", "null")
_OTHER_NAME: Final = "any-other-field"

#: Rules that are only compared as they are written: word -> (the kinds of value it speaks of, the words it is read with).
_AS_WRITTEN: Final[Mapping[str, tuple[frozenset[str], tuple[str, ...]]]] = {
    "not": (frozenset(_KINDS), ()),
    "if": (frozenset(_KINDS), ("then", "else")),
    "contains": (frozenset({"array"}), ("minContains", "maxContains")),
    "unevaluatedItems": (frozenset({"array"}), ("*",)),
    "dependentRequired": (frozenset({"object"}), ()),
    "dependentSchemas": (frozenset({"object"}), ()),
    "propertyNames": (frozenset({"object"}), ()),
    "unevaluatedProperties": (frozenset({"object"}), ("*",)),
}
_JUDGED: Final = frozenset({
    "additionalProperties", "allOf", "anyOf", "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "items",
    "maxItems", "maxLength", "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf",
    "oneOf", "pattern", "patternProperties", "prefixItems", "properties", "required", "type", "uniqueItems", *_AS_WRITTEN,
    "then", "else", "minContains", "maxContains",
})  # fmt: skip


class _TooLarge(Exception):
    """More steps than a comparison may take."""


def gaps(wide: Json, narrow: Json) -> list[Gap]:
    """Empty: every message that keeps `narrow` keeps `wide`.

    Args:
        wide, narrow: schemas that `compile_schema` took.
    """
    walk = _Walk()
    try:
        found = walk.gaps((plain.plain(narrow),), plain.plain(wide))
    except (_TooLarge, RecursionError):
        return [Gap((), "the whole is too large", is_open=True)]
    unique = {(gap.path, gap.rule, gap.is_open): gap for gap in reversed(found)}
    return list(reversed(unique.values()))[:MAX_GAPS]


class _Walk:
    """One comparison; counts its steps."""

    def __init__(self) -> None:
        self.steps = 0

    def gaps(self, narrow: Sequence[Json], wide: Json) -> list[Gap]:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise _TooLarge
        nodes = _flat(narrow)
        if nodes is None or wide is True or (isinstance(wide, Mapping) and not plain.rules_of(wide)):
            return []
        if isinstance(wide, Mapping):
            if any(plain.is_same(node, wide) for node in nodes):
                return []
            for word in ("anyOf", "oneOf"):
                if word in wide and any(_is_one_of(node, wide[word], word) for node in nodes):
                    return self.gaps(nodes, plain.without(wide, word))
            if "allOf" in wide:
                parts = [plain.without(wide, "allOf"), *wide["allOf"]]
                return [gap for part in parts for gap in self.gaps(nodes, part)]
        if (finite := _finite(nodes)) is not None:
            refused = [value for value in finite if not _accepts(wide, value)]
            return [Gap((), f"not {literals(refused)}", tuple(refused))] if refused else []
        if split := _choice(nodes):
            rest, branches = split
            return [gap for branch in branches for gap in self.gaps((*rest, branch), wide)]
        if not isinstance(wide, Mapping):
            return [Gap((), "nothing is taken", tuple(specimens.specimens(nodes)))]
        return [*self._own(nodes, wide), *self._choices(nodes, wide)]

    def _own(self, nodes: Nodes, wide: Mapping[str, Json]) -> Iterator[Gap]:
        """The rules of one node beside its choices."""
        if unknown := plain.rules_of(wide) - _JUDGED:
            yield Gap((), f"rules that are not known here ({', '.join(sorted(unknown))})", is_open=True)
        for word in ("enum", "const"):
            if word in wide:
                allowed = wide["enum"] if word == "enum" else [wide["const"]]
                yield Gap((), f"must be one of {literals(allowed)}", tuple(specimens.specimens(nodes)))
        kinds = _kinds(nodes)
        if lost := kinds - _kinds((wide,)):
            tries = [value for kind in sorted(lost) for value in specimens.specimens([*nodes, _of(kind)])]
            yield Gap((), f"must be {_named(_kinds((wide,)))}", tuple(tries))
        kinds &= _kinds((wide,))
        for word, (about, beside) in _AS_WRITTEN.items():
            if word in wide and kinds & about and not _is_kept_as_written(nodes, wide, word, beside):
                rule = f"a rule that is only compared as it is written ({word})"
                yield Gap((), rule, tuple(specimens.specimens(nodes)), is_open=True)
        if "string" in kinds:
            yield from texts(nodes, wide)
        for kind in ("integer", "fraction"):
            if kind in kinds:
                yield from numbers(nodes, wide, is_whole=kind == "integer")
        if "array" in kinds:
            yield from self._arrays((*nodes, _of("array")), wide)
        if "object" in kinds:
            yield from self._objects((*nodes, _of("object")), wide)

    def _choices(self, nodes: Nodes, wide: Mapping[str, Json]) -> Iterator[Gap]:
        for word in ("anyOf", "oneOf"):
            for kind in [kind for kind in _KINDS if word in wide and kind in _kinds(nodes)]:
                part = (*nodes, _of(kind))
                fitting = [branch for branch in wide[word] if kind in _kinds_of(branch)]
                tried = [self.gaps(part, branch) for branch in fitting]
                if not any(not found for found in tried):
                    tries = [value for found in tried for gap in found for value in gap.tries]
                    tries += specimens.specimens(part)
                    yield self._unfit(tried, tries)
                elif word == "oneOf" and not _is_alone(fitting, tried):
                    tries = specimens.specimens([*part, *fitting[:2]])
                    yield Gap((), "must fit exactly one form; two may fit at once", tuple(tries), is_open=True)

    def _unfit(self, tried: list[list[Gap]], tries: list[Json]) -> Gap:
        if len(tried) == 1:  # the one form that can be meant says more than "none fits"
            return replace(tried[0][0], tries=tuple(tries))
        return Gap((), "must fit one of its forms", tuple(tries[:20]))

    def _arrays(self, nodes: Nodes, wide: Mapping[str, Json]) -> Iterator[Gap]:
        prefixes = [len(node.get("prefixItems", ())) for node in (*nodes, wide)]
        longest = _longest(nodes)
        if "maxItems" in wide and longest > wide["maxItems"]:
            tries = specimens.lists_of_length(int(wide["maxItems"]) + 1, nodes) if wide["maxItems"] < 200 else []
            yield Gap((), LIMITS["maxItems"].format(wide["maxItems"]), tuple(tries))
        if "minItems" in wide and most(nodes, "minItems") < wide["minItems"]:
            tries = specimens.lists_of_length(int(most(nodes, "minItems")), nodes)
            yield Gap((), LIMITS["minItems"].format(wide["minItems"]), tuple(tries))
        if wide.get("uniqueItems") and longest > 1 and not any(node.get("uniqueItems") for node in nodes):
            twice = [[value, value] for value in specimens.specimens(specimens.item_rules(nodes, 0))]
            yield Gap((), "must have no entry twice", tuple(twice))
        for index in range(max(prefixes) + 1):
            asked = specimens.item_rules((wide,), index)
            if not asked or index >= longest:
                continue
            found = self.gaps(specimens.item_rules(nodes, index), asked[0])
            yield from _below(found, index, partial(specimens.listing, nodes, index))

    def _objects(self, nodes: Nodes, wide: Mapping[str, Json]) -> Iterator[Gap]:
        required = {name for node in nodes for name in node.get("required", ())}
        plainest = specimens.specimens(nodes)
        for name in wide.get("required", ()):
            if name not in required:
                bare = [{key: item for key, item in one.items() if key != name} for one in plainest if isinstance(one, Mapping)]
                yield Gap((name,), "must be there", tuple(bare))
        names = dict.fromkeys(
            name for node in (*nodes, wide) for name in (*node.get("properties", ()), *node.get("required", ()))
        )
        if "maxProperties" in wide and _most_fields(nodes) > wide["maxProperties"]:
            yield Gap((), LIMITS["maxProperties"].format(wide["maxProperties"]), tuple(plainest))
        if "minProperties" in wide and max(most(nodes, "minProperties"), len(required)) < wide["minProperties"]:
            yield Gap((), LIMITS["minProperties"].format(wide["minProperties"]), tuple(plainest))
        if wide.get("patternProperties"):
            words = ("properties", "patternProperties", "additionalProperties")
            if not any(all(_alike(node.get(word), wide.get(word)) for word in words) for node in nodes):
                rule = "rules by field name, only compared as they are written (patternProperties)"
                yield Gap((), rule, tuple(plainest), is_open=True)
            return
        other = next(name for count in count_from(0) if (name := _OTHER_NAME + "-" * count) not in names)
        for name in (*names, other):
            if asked := specimens.child_rules((wide,), name):
                found = self.gaps(specimens.child_rules(nodes, name), asked[0])
                if asked[0] is False and found:
                    found = [replace(found[0], rule="no such field" if name in names else "no fields beside the named ones")]
                yield from _below(found, name, partial(specimens.message, nodes, name))


def _below(found: Sequence[Gap], part: str | int, wrap: Callable[[Json], Json]) -> Iterator[Gap]:
    """Gaps of a field or entry, told at the level above.

    A gap whose tries lie at `()` of the level below is about the field itself; what it tries becomes a value of the field.
    """
    for gap in found:
        yield replace(gap, path=(part, *gap.path), tries=tuple(wrap(value) for value in gap.tries[:8]))


def _flat(nodes: Sequence[Json]) -> Nodes | None:
    """What must hold, one by one; None: nothing can."""
    found: list[Mapping[str, Json]] = []
    for node in nodes:
        if node is False:
            return None
        if not isinstance(node, Mapping):
            continue
        if "allOf" in node:
            below = _flat([_rest(node, "allOf"), *node["allOf"]])
            if below is None:
                return None
            found += [node, *below]  # the whole too: it may be the very one that is asked for
        elif plain.rules_of(node):
            found.append(node)
    return tuple(found)


def _finite(nodes: Nodes) -> list[Json] | None:
    """Every value that keeps the nodes, if they name them one by one."""
    named = next(
        (node["enum"] if "enum" in node else [node["const"]] for node in nodes if {"enum", "const"} & node.keys()), None
    )
    if named is None and _kinds(nodes) <= {"boolean", "null"}:
        named = [True, False, None]
    if named is None:
        return None
    return [value for value in named if all(_accepts(node, value, unknown=True) for node in nodes)]


def _choice(nodes: Nodes) -> tuple[Nodes, Sequence[Json]] | None:
    """The first choice among the nodes: what holds beside it, and its branches. (Exactly one is taken as at least one.)"""
    for index, node in enumerate(nodes):
        for word in ("anyOf", "oneOf"):
            if word in node and "allOf" not in node:
                rest = _rest(node, word)
                return (*nodes[:index], *([rest] if plain.rules_of(rest) else ()), *nodes[index + 1 :]), node[word]
    return None


def _rest(node: Mapping[str, Json], word: str) -> dict[str, Json]:
    """What else a node of the narrow side asks; words that speak of what the others leave over mean nothing alone."""
    return plain.without(node, word, "unevaluatedItems", "unevaluatedProperties")


def _accepts(node: Json, value: Json, *, unknown: bool = False) -> bool:
    """By the real checker; `unknown` for a node that it cannot compile by itself (written out it may be too large)."""
    try:
        return compile_schema({"allOf": [_clean(node)]}).accepts(value)
    except SchemaInvalid:
        return unknown


def _clean(node: Json) -> Json:
    if isinstance(node, Mapping):
        return {word: _clean(value) for word, value in node.items() if not word.startswith("§")}
    return [_clean(value) for value in node] if isinstance(node, list) else node


def _kinds(nodes: Sequence[Json]) -> frozenset[str]:
    found = frozenset(_KINDS)
    for node in nodes:
        found &= _kinds_of(node)
    return found


def _kinds_of(node: Json) -> frozenset[str]:
    if not isinstance(node, Mapping):
        return frozenset() if node is False else frozenset(_KINDS)
    if "type" not in node:
        return frozenset(_KINDS)
    named = {node["type"]} if isinstance(node["type"], str) else set(node["type"])
    return frozenset(named - {"number"} | ({"integer", "fraction"} if "number" in named else set()))


def _of(kind: str) -> Mapping[str, Json]:
    return {"type": "number" if kind == "fraction" else kind}


def _named(kinds: frozenset[str]) -> str:
    shown = kinds - {"integer"} if "fraction" in kinds else kinds
    return " or ".join(TYPES["number" if kind == "fraction" else kind] for kind in sorted(shown)) or "nothing"


def _longest(nodes: Nodes) -> float:
    closed = [len(node.get("prefixItems", ())) for node in nodes if node.get("items") is False]
    return min([least(nodes, "maxItems"), *closed])


def _most_fields(nodes: Nodes) -> float:
    closed = [
        len(node.get("properties", ()))
        for node in nodes
        if node.get("additionalProperties") is False and not node.get("patternProperties")
    ]
    return min([least(nodes, "maxProperties"), *closed])


def _is_kept_as_written(nodes: Nodes, wide: Mapping[str, Json], word: str, beside: Sequence[str]) -> bool:
    if "*" in beside:  # it speaks of what all the other words leave over, so only the same node keeps it
        return any(plain.is_same(node, wide) for node in nodes)
    return any(all(_alike(node.get(key), wide.get(key)) for key in (word, *beside)) for node in nodes)


def _alike(one: Json, other: Json) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping) and plain.SAME not in one:
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return plain.is_same(one, other)


def _is_alone(fitting: Sequence[Json], tried: Sequence[Sequence[Gap]]) -> bool:
    """Does a branch that takes all exclude each other one, by a field that must have another value in it?"""
    chosen = next(branch for branch, found in zip(fitting, tried, strict=True) if not found)
    return all(branch is chosen or _are_apart(chosen, branch) for branch in fitting)


def _are_apart(one: Json, other: Json) -> bool:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return one is False or other is False
    if _kinds_of(one) != {"object"} or _kinds_of(other) != {"object"}:
        return False
    for name in set(one.get("required", ())) & set(other.get("required", ())):
        values = _finite(tuple(node for node in (one.get("properties", {}).get(name),) if isinstance(node, Mapping)))
        field = other.get("properties", {}).get(name, True)
        is_named = isinstance(field, Mapping) and bool({"const", "enum"} & field.keys())
        if is_named and values is not None and not any(_accepts(field, value, unknown=True) for value in values):
            return True
    return False


def _is_one_of(node: Mapping[str, Json], branches: Sequence[Json], word: str) -> bool:
    """Does the node make the same choice?"""
    own = node.get(word)
    return own is not None and len(own) == len(branches) and all(map(plain.is_same, own, branches))
