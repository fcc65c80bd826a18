"""What breaks a kind's schema is told with what could stand there instead."""

from __future__ import annotations

import pytest

from approvals import shapes

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["risk"],
    "properties": {
        "risk": {"enum": ["low", "high"]},
        "kind": {"const": "Case"},
        "name": {"type": "string", "minLength": 2, "description": "What it is called."},
        "inner": {"$ref": "#/$defs/inner"},
    },
    "$defs": {"inner": {"type": "object", "additionalProperties": False, "required": ["deep"], "properties": {"deep": {}}}},
}


@pytest.mark.parametrize(
    ("document", "where", "what", "remedy"),
    [
        ({}, "/risk", "is missing", "add risk: one of low, high"),
        ({"risk": "hihg"}, "/risk", "is not an allowed value", "did you mean high? allowed are low, high"),
        ({"risk": 7}, "/risk", "is not an allowed value", "allowed are low, high"),
        ({"risk": "low", "nam": "x"}, "/nam", "is not a field here", "did you mean name? fields are inner, kind, name, risk"),
        ({"risk": "low", "kind": "case"}, "/kind", "is not the allowed value", "write Case"),
        ({"risk": "low", "name": 1}, "/name", "must be text", "write text: What it is called"),
        ({"risk": "low", "inner": {}}, "/inner/deep", "is missing", "add deep: a value"),
        ({"risk": "low", "inner": {"deep": 1, "a/b": 2}}, "/inner/a~1b", "is not a field here", "fields are deep"),
    ],
)
def test_a_broken_shape_names_the_field_or_the_value_that_could_stand_there(document, where, what, remedy):
    (fault,) = shapes.faults_of("Case", SCHEMA, document)

    assert (fault.where, fault.what, fault.remedy, fault.code) == (where, what, remedy, "schema")


def test_a_document_of_many_faults_is_not_told_without_end():
    found = shapes.faults_of("Case", SCHEMA, {"risk": "low", **{f"x{number}": 1 for number in range(100)}})

    assert len(found) == shapes.MAX_FAULTS
