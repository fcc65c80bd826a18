"""A new version of a contract follows the old one only where that is proven; what would be lost is shown with a message."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.contracts.checker import compile_schema
from orchestration.contracts.compatibility import check, losses, relation

Schema = dict[str, Any]
TEXT, WHOLE, NUMBER, LIST = ({"type": kind} for kind in ("string", "integer", "number", "array"))
PAIRS, MESSAGES = 2_000, 25


def message(properties: Schema, *required: str, extra: Any = False, **rest: Any) -> Schema:
    return {"type": "object", "additionalProperties": extra, "properties": properties, "required": list(required), **rest}


def rule_of(old: Schema, new: Schema) -> str:
    return relation(("old", old), ("new", new))[0]


def places(old: Schema, new: Schema) -> dict[str, Any]:
    """What the new version would refuse of the old one's messages: pointer -> example."""
    return {loss.where: loss.example for loss in check("backward", ("old", old), ("new", new))}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (message({"a": TEXT}), message({"a": TEXT}), "full"),
        (message({"a": {**TEXT, "title": "A"}}), message({"a": {**TEXT, "x-aegis-source": "outside"}}), "full"),
        (message({"a": TEXT}), message({"a": TEXT, "b": TEXT}), "backward"),
        (message({"a": TEXT}), message({"a": TEXT, "b": TEXT}, "b"), "none"),
        (message({"a": TEXT}), message({"a": TEXT}, "a"), "forward"),
        (message({"a": {"enum": ["x"]}}), message({"a": {"enum": ["x", "y"]}}), "backward"),
        (message({"a": {"const": 1}}), message({"a": WHOLE}), "backward"),
        (message({"a": {"type": "boolean"}}), message({"a": {"enum": [True, False]}}), "full"),
        (message({"a": WHOLE}), message({"a": NUMBER}), "backward"),
        (message({"a": {**WHOLE, "exclusiveMinimum": 2}}), message({"a": {**WHOLE, "minimum": 3}}), "full"),
        (message({"a": {**NUMBER, "exclusiveMinimum": 2}}), message({"a": {**NUMBER, "minimum": 3}}), "forward"),
        (message({"a": {**WHOLE, "multipleOf": 6}}), message({"a": {**WHOLE, "multipleOf": 3}}), "backward"),
        (message({"a": {**TEXT, "maxLength": 5}}), message({"a": {**TEXT, "maxLength": 9}}), "backward"),
        (message({"a": {**TEXT, "format": "email"}}), message({"a": TEXT}), "backward"),
        (message({"a": {**TEXT, "pattern": "^a"}}), message({"a": TEXT}), "backward"),
        (message({"a": TEXT}), message({"a": {"type": ["string", "null"]}}), "backward"),
        (message({"a": {"type": ["string", "null"]}}), message({"a": {"anyOf": [{"type": "null"}, TEXT]}}), "full"),
        (message({"a": {"oneOf": [TEXT, {"type": "null"}]}}), message({"a": {"anyOf": [{"type": "null"}, TEXT]}}), "full"),
        (message({"a": {**LIST, "items": TEXT, "maxItems": 2}}), message({"a": {**LIST, "maxItems": 3}}), "backward"),
        (message({"a": {"$ref": "#/$defs/t"}}, **{"$defs": {"t": TEXT}}), message({"a": TEXT}), "full"),
        (message({"a": {"allOf": [TEXT, {"maxLength": 3}]}}), message({"a": {**TEXT, "maxLength": 3}}), "full"),
        (message({"a": TEXT}, extra=True), message({"a": TEXT}, extra=False), "forward"),
        (message({"a": TEXT}, extra=TEXT), message({"a": TEXT, "b": TEXT}, extra=TEXT), "full"),
        (message({"a": {"not": {"const": 1}}}), message({"a": {"not": {"const": 1}}, "b": TEXT}), "backward"),
    ],
)  # fmt: skip
def test_the_strictest_rule_between_two_versions_is_found(old, new, rule):
    assert rule_of(old, new) == rule


def test_a_union_told_apart_by_a_field_may_gain_a_form():
    card = message({"kind": {"const": "card"}, "number": TEXT}, "kind")
    bank = message({"kind": {"const": "bank"}, "iban": TEXT}, "kind")
    old, new = message({"pay": {"oneOf": [card]}}), message({"pay": {"oneOf": [bank, card]}})

    assert rule_of(old, new) == "backward"


def test_what_would_be_lost_is_told_in_words_with_the_place_and_a_message():
    old = message({"lines": {**LIST, "items": message({"text": TEXT}, "text")}}, "lines")
    new = message({"lines": {**LIST, "items": message({"text": {**TEXT, "maxLength": 2}}, "text")}}, "lines")

    (loss,) = check("backward", ("bill@1", old), ("bill@2", new))

    assert (loss.where, loss.rule) == ("/lines/0/text", "must have at most 2 characters")
    assert loss.sentence == (
        "at /lines/0/text, bill@2 asks: must have at most 2 characters; bill@1 does not, "
        'so messages such as {"lines":[{"text":"aaa"}]} would be lost'
    )


def test_every_place_is_told_not_only_the_first():
    old = message({"a": TEXT, "b": NUMBER, "c": TEXT})
    new = message({"a": WHOLE, "b": {**NUMBER, "minimum": 0}}, "b")

    assert places(old, new).keys() == {"/a", "/b", "/c"}


@pytest.mark.parametrize(
    "rest",
    [
        {"not": {"required": ["b"]}}, {"if": {"required": ["b"]}, "then": {"required": ["a"]}}, {"aRuleOfTomorrow": 1},
        {"propertyNames": {"maxLength": 40}}, {"patternProperties": {"^x-": {"type": "string"}}},
        {"dependentRequired": {"b": ["a"]}}, {"unevaluatedProperties": False},
    ],
)  # fmt: skip
def test_what_it_cannot_judge_it_says_and_never_calls_compatible(rest):
    found = losses(("new", message({"a": TEXT}, extra=True, **rest)), ("old", message({"a": TEXT}, extra=True)))

    assert found
    assert all(loss.is_proven or loss.sentence.startswith("cannot be compared: ") for loss in found)


def test_a_comparison_too_large_is_refused_in_bounded_time():
    choice = {"anyOf": [message({"a": {"const": n}}, extra=True) for n in range(6)]}
    old = message({}, extra=True, allOf=[choice] * 12)

    (loss, *_) = losses(("new", message({"b": TEXT}, extra=True)), ("old", old))

    assert not loss.is_proven


# --- generated pairs and messages ---


def schemas(rng: random.Random, depth: int = 2) -> Schema | bool:
    """Any node of the subset that contracts use."""
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "types", "choice", "all"]
    kind = rng.choice([*kinds, "object", "object", "array"] if depth else kinds[:7])
    bounds = {
        word: rng.randint(0, 4) for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if rng.random() < 0.3
    }
    match kind:
        case "string":
            words: Schema = {
                "minLength": rng.randint(0, 3),
                "maxLength": rng.randint(0, 4),
                "pattern": rng.choice(["^a", "b$", "^$"]),
            }
            words["format"] = rng.choice(["email", "date"])
            return {"type": "string"} | {word: value for word, value in words.items() if rng.random() < 0.3}
        case "integer" | "number":
            return {"type": kind} | bounds | ({"multipleOf": rng.choice([1, 2, 3, 6])} if rng.random() < 0.2 else {})
        case "boolean" | "null":
            return {"type": kind}
        case "enum":
            values = rng.sample(["a", "ab", 0, 1, 2.5, True, None, "2026-01-31"], rng.randint(1, 4))
            return {"enum": values} if rng.random() < 0.8 else {"const": values[0]}
        case "types":
            return {"type": rng.sample(["string", "integer", "number", "null", "boolean"], 2)} | bounds
        case "choice":
            return {rng.choice(["anyOf", "oneOf"]): [schemas(rng, max(depth - 1, 0)) for _ in range(rng.randint(1, 3))]}
        case "all":
            return {"allOf": [schemas(rng, max(depth - 1, 0)) for _ in range(2)]} | bounds
        case "array":
            found: Schema = dict(LIST)
            if rng.random() < 0.8:
                found["items"] = schemas(rng, depth - 1)
            if rng.random() < 0.2:
                found["prefixItems"] = [schemas(rng, depth - 1)]
            for word in ("minItems", "maxItems"):
                if rng.random() < 0.3:
                    found[word] = rng.randint(0, 3)
            return found | ({"uniqueItems": True} if rng.random() < 0.2 else {})
    names = rng.sample(["a", "b", "c"], rng.randint(0, 3))
    found = {"type": "object", "properties": {name: schemas(rng, depth - 1) for name in names}}
    found["required"] = [name for name in ("a", "b", "c") if rng.random() < 0.25]
    found["additionalProperties"] = rng.choice([True, False, False, WHOLE])
    for word in ("minProperties", "maxProperties"):
        if rng.random() < 0.15:
            found[word] = rng.randint(0, 3)
    if rng.random() < 0.1:
        found["patternProperties"] = {"^b": {"type": "string"}}
    if rng.random() < 0.1:
        found["not"] = {"required": ["c"]}
    return found if rng.random() < 0.95 else rng.random() < 0.7


def changed(rng: random.Random, node: Any) -> Any:
    """The same with small changes: most pairs of versions are close to each other."""
    if not isinstance(node, dict) or rng.random() < 0.1:
        return schemas(rng, 1) if rng.random() < 0.3 else node
    found = dict(node)
    for word in list(found):
        value = found[word]
        if word == "properties":
            found[word] = {name: changed(rng, child) for name, child in value.items() if rng.random() < 0.95}
            if rng.random() < 0.2:
                found[word]["c"] = schemas(rng, 0)
        elif word in ("items", "additionalProperties") and isinstance(value, dict):
            found[word] = changed(rng, value)
        elif word in ("anyOf", "oneOf", "allOf"):
            found[word] = [changed(rng, child) for child in value] + ([schemas(rng, 0)] if rng.random() < 0.3 else [])
        elif rng.random() < 0.12 and word != "type":
            del found[word]
        elif isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.3 and word != "multipleOf":
            found[word] = max(value + rng.choice([-1, 1]), 0)
        elif word == "type" and rng.random() < 0.2:
            found[word] = (
                {"integer": "number", "string": ["string", "null"]}.get(value, value) if isinstance(value, str) else value
            )
    return found


def values(rng: random.Random, node: Any, depth: int = 4) -> Any:
    """Mostly what a node asks for, made without the code under test."""
    if not isinstance(node, dict) or depth == 0 or rng.random() < 0.08:
        return rng.choice(
            ["a", "ab", "b", "", "aab", 0, 1, 2, 3, 4, 6, 2.5, -1, True, False, None, [], {}, "2026-01-31", "a@b.co"]
        )
    if "enum" in node or "const" in node:
        return rng.choice(node.get("enum") or [node.get("const")])
    for word in ("anyOf", "oneOf", "allOf"):
        if node.get(word):
            return values(rng, rng.choice(node[word]), depth - 1)
    kind = node.get("type", "object")
    kind = rng.choice(kind) if isinstance(kind, list) else kind
    match kind:
        case "object":
            named = node.get("properties", {})
            keys = [key for key in (*named, "b", "c", "zz") if rng.random() < 0.5 or key in node.get("required", ())]
            return {key: values(rng, named.get(key, node.get("additionalProperties")), depth - 1) for key in keys}
        case "array":
            return [values(rng, node.get("items"), depth - 1) for _ in range(rng.randint(0, 4))]
        case "string":
            return rng.choice(["", "a", "b", "ab", "abb", "aab", "abab", "aaaab", "2026-01-31", "a@b.co"])
        case "integer":
            return rng.randint(-1, 7)
        case "number":
            return rng.choice([0, 1, 2, 3, 4, 5, 6, 0.5, 1.5, 2.5, 3.5, -1])
    return {"boolean": rng.random() < 0.5}.get(kind)


def pairs(seed: int, count: int) -> Iterator[tuple[random.Random, Schema, Schema]]:
    rng = random.Random(seed)
    for _ in range(count):
        one, other = {"allOf": [schemas(rng)]}, {"allOf": [schemas(rng)]}
        old = message({"f": one["allOf"][0]}, *(["f"] if rng.random() < 0.5 else []), extra=rng.random() < 0.2)
        new = changed(rng, old) if rng.random() < 0.75 else message({"f": other["allOf"][0]})
        yield rng, old, new if isinstance(new, dict) and new.get("type") == "object" else message({"f": other})


def test_no_generated_message_contradicts_an_answer_compatible():
    proven = told = 0
    for rng, old, new in pairs(7, PAIRS):
        found = losses(("new", new), ("old", old))
        taking, giving = compile_schema(new), compile_schema(old)
        told += len(found)
        if found:
            continue
        proven += 1
        for _ in range(MESSAGES):
            value = values(rng, old if rng.random() < 0.6 else new)
            assert taking.accepts(value) or not giving.accepts(value), (old, new, value)

    assert proven > PAIRS / 10, "the pairs are too far apart to show anything"
    assert told > PAIRS / 10


def test_every_counterexample_is_taken_by_one_and_refused_by_the_other():
    shown = open_ = 0
    for _, old, new in pairs(11, PAIRS):
        for loss in losses(("new", new), ("old", old)):
            if loss.is_proven:
                shown += 1
                assert compile_schema(old).accepts(loss.example), (old, loss)
                assert not compile_schema(new).accepts(loss.example), (new, loss)
            else:
                open_ += 1

    assert shown > open_, f"{shown} counterexamples, {open_} open"


def test_a_message_that_shows_a_difference_means_that_it_is_not_called_compatible():
    missed = 0
    for rng, old, new in pairs(13, PAIRS):
        taking, giving = compile_schema(new), compile_schema(old)
        lost = [value for _ in range(MESSAGES) if giving.accepts(value := values(rng, old)) and not taking.accepts(value)]
        if lost:
            missed += not losses(("new", new), ("old", old))

    assert missed == 0
