"""Promise 11: a message that breaks its contract stops, with the place of each fault and nothing of its content."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestration.contracts.checker import (
    MAX_FAULTS,
    ContractBroken,
    SchemaInvalid,
    compile_schema,
    schema_faults,
)

TICKET = {
    "type": "object", "additionalProperties": False, "required": ["id", "text"],
    "properties": {
        "id": {"type": "string", "pattern": "^T-[0-9]+$"},
        "text": {"type": "string", "maxLength": 20, "x-aegis-source": "outside"},
        "urgency": {"enum": ["low", "high"]},
        "people": {"type": "array", "items": {"$ref": "#/$defs/person"}},
    },
    "$defs": {"person": {"type": "object", "required": ["mail"], "properties": {"mail": {"format": "email"}}}},
}  # fmt: skip


def test_a_message_that_keeps_its_contract_has_no_faults():
    assert compile_schema(TICKET).faults({"id": "T-1", "text": "hi", "people": [{"mail": "a@example.org"}]}) == []


def test_every_fault_names_its_place_and_its_rule():
    value = {"id": "X", "urgency": "mid", "people": [{"mail": "a@example.org"}, {"mail": "nope"}], "a/b~c": 1}

    faults = {fault.where: fault.what for fault in compile_schema(TICKET).faults(value)}

    assert faults == {
        "/text": "is missing",
        "/a~1b~0c": "is not a field of this contract",
        "/id": "must match the pattern ^T-[0-9]+$",
        "/urgency": "must be one of low, high",
        "/people/1/mail": "must be a valid email",
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer"}, {"const": 1}, {"enum": ["a"]}, {"pattern": "^a$"}, {"format": "uuid"}, {"maxLength": 3},
        {"not": {}}, False, {"anyOf": [{"type": "integer"}]}, {"oneOf": [{"type": "integer"}]}, {"allOf": [{"const": 2}]},
    ],
)  # fmt: skip
def test_a_fault_never_shows_the_value(schema: Any):
    checker = compile_schema({"type": "object", "properties": {"card": schema}})

    faults = checker.faults({"card": "4111-1111-SECRET"})

    assert faults
    assert "SECRET" not in str(faults)


def test_there_are_at_most_twenty_faults_and_the_last_says_there_are_more():
    faults = compile_schema({"type": "array", "items": {"type": "string"}}).faults(list(range(500)))

    assert len(faults) == MAX_FAULTS
    assert "more faults" in faults[-1].what


def test_names_chosen_by_the_sender_are_cut():
    faults = compile_schema(TICKET).faults({"id": "T-1", "text": "", **{f"{'k' * 5_000}{i}": 1 for i in range(50)}})

    assert sum(len(str(fault)) for fault in faults) < 2_000


@pytest.mark.parametrize("value", [{"id": float("nan")}, {"id": "\ud800"}, {1: 2}, object(), {"id": {1}}, {"id": (1,)}, b"x"])
def test_what_is_no_json_value_is_a_fault_and_not_an_exception(value: Any):
    checker = compile_schema(TICKET)

    assert checker.faults(value)
    assert not checker.accepts(value)


def test_requiring_raises_with_every_fault():
    with pytest.raises(ContractBroken, match=r"The reply breaks its contract: /text: is missing") as caught:
        compile_schema(TICKET).require({"id": "T-1"}, what="The reply")
    assert [fault.where for fault in caught.value.faults] == ["/text"]


def nested(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "where", "what"),
    [
        ([], "", "a schema is an object"),
        ({"type": "objekt"}, "/type", "objekt"),
        ({"properties": {"a": {"minimum": "x"}}}, "/properties/a/minimum", "not of type"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema", "2020-12"),
        ({"$ref": "http://127.0.0.1:1/x"}, "/$ref", "same schema"),
        ({"$ref": "file:///etc/passwd"}, "/$ref", "same schema"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "/properties/a/$ref", "same schema"),
        ({"$ref": "#/$defs/none"}, "/$ref", "points to nothing"),
        ({"$id": "http://x/", "type": "object"}, "/$id", "not supported"),
        ({"properties": {"a": {"$dynamicRef": "#x"}}}, "/properties/a/$dynamicRef", "not supported"),
        ({"$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}, "/$defs/t/items/$ref", "recursive"),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, "/properties/a/pattern", "regex"),
        ({"properties": {"a": {"pattern": "(a{1000}){1000}"}}}, "/properties/a/pattern", "regex"),
        ({"format": "no-such-format"}, "/format", "Unknown format"),
        ({"title": "\x00"}, "/title", "NUL"),
        (nested(70), "", "nested deeper"),
        ({"description": "x" * 70_000}, "", "bytes"),
    ],
)  # fmt: skip
def test_a_schema_we_cannot_hold_to_its_word_is_refused_at_its_place(schema: Any, where: str, what: str):
    faults = schema_faults(schema)

    assert len(faults) == 1
    assert where in faults[0].where
    assert what in str(faults[0])
    with pytest.raises(SchemaInvalid):
        compile_schema(schema)


def test_a_schema_that_doubles_with_every_reference_is_refused():
    levels = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}

    started = time.perf_counter()

    assert "expands" in str(schema_faults({"$defs": {**levels, "d40": {}}, "$ref": "#/$defs/d0"}))
    assert time.perf_counter() - started < 1


def test_a_pattern_made_to_explode_is_linear():
    checker = compile_schema({"type": "string", "pattern": "^(a+)+$"})

    started = time.perf_counter()

    assert checker.faults("a" * 50_000 + "!")
    assert time.perf_counter() - started < 1


def test_the_same_schema_is_compiled_once_whatever_its_key_order():
    first = compile_schema({"type": "object", "maxProperties": 3})

    assert compile_schema({"maxProperties": 3, "type": "object"}) is first
    assert len(first.digest) == 64
