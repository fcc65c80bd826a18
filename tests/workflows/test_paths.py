"""Which places an expression reads, and whether a contract has them."""

from __future__ import annotations

import pytest

from orchestration.workflows import contract_paths
from orchestration.workflows.paths import fields_of, output_path, paths_of, type_written
from tests.workflows.documents import closed


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("input.id", ["input.id"]),
        ("steps.a.output.b[0].c", ["steps.a.output.b[0].c"]),
        ("steps[\"sign-off\"].output['x']", ['steps["sign-off"].output.x']),
        ("has(input.a) ? input.b : 'input.c'", ["input.a", "input.b"]),
        ("input.items.exists(i, i.steps.x == 1)", ["input.items"]),
        ("other.input.a", []),
        ("steps[input.name].output", ["steps", "input.name"]),
        ("size(input.a) // input.b", ["input.a"]),
        (r'"\"input.a" + input.b', ["input.b"]),
        ("'''input.a'''", []),
        ("r'\\' + input.b", ["input.b"]),
        ("input . a\n  . b", ["input.a.b"]),
    ],
)
def test_places_are_found(source, places):
    assert [str(path) for path in paths_of(source)] == places


def test_places_carry_line_and_column():
    assert [path.place for path in paths_of("input.a +\n  steps.b.output")] == ["1:1", "2:3"]


@pytest.mark.parametrize(
    ("source", "step"),
    [
        ("steps.a.output.change", "a"),
        ("steps.a.output", "a"),
        ("steps.a.output.change == 1", None),
        ("(steps.a.output.change)", None),
        ("steps.a.case", None),
        ("input.change", None),
        ("steps.a.output.changes[0]", "a"),
    ],
)
def test_only_a_plain_place_in_an_output_can_be_carried_out(source, step):
    found = output_path(source)

    assert (found.step if found else None) == step


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "open": {"type": "object"},
        "lines": {"type": "array", "items": closed(sku={"type": "string"})},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
        "either": {"oneOf": [closed(a={"const": 1}), closed(b={"type": "integer"})]},
        "named": {"$ref": "#/$defs/person"},
        "strict": {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}], "unevaluatedProperties": False},
        "patterns": {"type": "object", "patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False},
        "nothing": False,
    },
    "$defs": {"person": closed(first={"type": "string"})},
}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (["name"], "yes"),
        (["nix"], "no"),
        (["name", "length"], "no"),
        (["open", "anything"], "open"),
        (["lines", 0, "sku"], "yes"),
        (["lines", 0, "nix"], "no"),
        (["lines", "sku"], "no"),
        (["pair", 0], "yes"),
        (["pair", 1], "no"),
        (["either", "a"], "yes"),
        (["either", "b"], "yes"),
        (["either", "c"], "no"),
        (["named", "first"], "yes"),
        (["named", "last"], "no"),
        (["strict", "a"], "yes"),
        (["strict", "c"], "no"),
        (["patterns", "x-ray"], "yes"),
        (["patterns", "ray"], "no"),
        (["nothing"], "no"),
    ],
)
def test_a_contract_says_whether_a_place_can_be_there(path, answer):
    assert contract_paths.has(SCHEMA, path) == answer


def test_the_first_missing_part_and_its_neighbours_are_named():
    assert contract_paths.first_missing(SCHEMA, ["named", "last", "x"]) == 1
    assert contract_paths.fields_at(SCHEMA, ["named"]) == ("first",)
    assert contract_paths.fields_at(SCHEMA, ["either"]) == ("a", "b")


def test_pinned_values_and_types_are_read_through_references():
    assert contract_paths.values_at(SCHEMA, ["name"]) is None
    assert contract_paths.values_at({"$ref": "#/$defs/a", "$defs": {"a": {"enum": ["x", "y"]}}}, []) == ("x", "y")
    assert contract_paths.types_at(SCHEMA, ["named", "first"]) == {"string"}
    assert contract_paths.types_at({"const": True}, []) == {"boolean"}


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("{}", {}),
        ('{"id": input.id, "all": [1, {"a": 2}], }', {"id": "input.id", "all": '[1, {"a": 2}]'}),
        ("{'sum': f(a, b) + {\"x\": 1}.x}", {"sum": 'f(a, b) + {"x": 1}.x'}),
        ('{"a": "}, \\" {"}', {"a": '"}, \\" {"'}),
        ("{input.id: 1}", None),
        ('{"a": 1, "a": 2}', None),
        ("[1]", None),
        ("input", None),
    ],
)
def test_a_map_that_is_written_out_has_its_entries(source, fields):
    found = fields_of(source)

    assert fields == (None if found is None else {name: field.source for name, field in found.items()})


def test_entries_of_a_map_carry_line_and_column():
    found = fields_of('{"a": 1,\n "b": input.id}')

    assert found is not None
    assert [found[name].place for name in ("a", "b")] == ["1:7", "2:7"]


def test_a_map_of_two_maps_is_not_read_as_one():
    """`{...}.a + {...}` begins and ends like a map that is written out."""
    assert fields_of('{"a": 1}.a + {"b": 2}.b + {"c": 3}') is None
    assert type_written('{"a": 1}.a + {"b": 2}') == ""


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ('"7"', "string"), ("b'7'", ""), ("7", "integer"), ("-7u", "integer"), ("0.5", "number"), ("true", "boolean"),
        ("null", "null"), ('{"a": 1}', "object"), ("input.id", ""), ("1 + 1", ""),
    ],
)  # fmt: skip
def test_what_is_written_out_has_a_type(source, kind):
    assert type_written(source) == kind
