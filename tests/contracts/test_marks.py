"""What contracts say about fields: masks by schema, by value and by name; words of ours that are wrong are refused."""

from __future__ import annotations

import random
from typing import Any

import pytest

from orchestration.contracts import marks
from orchestration.contracts.marks import Marked, hidden_values, is_mask, mask, sensitive_fields, types_of
from orchestration.contracts.taint import Taint
from orchestration.workflows import parse
from orchestration.workflows.lint_marks import exposed_faults

SECRET = {"type": "string", "x-aegis-sensitive": True}
HIDDEN = frozenset({"customer"})
MASK = "[masked: needs customer.reveal]"


def marked(properties: dict[str, Any], **rest: Any) -> Marked:
    return Marked({"type": "object", "properties": properties, **rest}, "customer")


@pytest.mark.parametrize(
    ("node", "value", "masked"),
    [
        (SECRET, "x", MASK),
        ({"type": "object", "x-aegis-sensitive": True}, {"a": {"b": 1}}, MASK),
        ({"type": "array", "items": SECRET}, ["a", "b"], [MASK, MASK]),
        ({"prefixItems": [{"type": "integer"}, SECRET]}, [1, "b", "c"], [1, MASK, "c"]),
        ({"anyOf": [{"type": "null"}, SECRET]}, "x", MASK),
        ({"allOf": [{"maxLength": 9}, SECRET]}, "x", MASK),
        ({"if": {"minLength": 3}, "then": SECRET}, "abc", MASK),
        ({"$ref": "#/$defs/secret"}, "x", MASK),
        ({"additionalProperties": SECRET}, {"any": "x"}, {"any": MASK}),
        ({"patternProperties": {"^s_": SECRET}}, {"s_a": "x", "t": "y"}, {"s_a": MASK, "t": "y"}),
        ({"patternProperties": {"\\p{L}": SECRET}}, {"a": "x"}, {"a": MASK}),
        ({"properties": {"a": {"properties": {"b": SECRET}}}}, {"a": {"b": "x", "c": 1}}, {"a": {"b": MASK, "c": 1}}),
        ({"type": "string"}, "x", "x"),
    ],
)  # fmt: skip
def test_a_field_is_masked_however_its_schema_says_so(node, value, masked):
    contract = marked({"f": node}, **{"$defs": {"secret": SECRET}})

    assert mask(contract, {"f": value, "other": 1}, HIDDEN) == {"f": masked, "other": 1}


def test_a_field_of_another_type_is_shown_to_who_may_see_that_type():
    contract = marked({"a": {"x-aegis-sensitive": "patient"}, "b": SECRET})

    assert types_of(contract) == {"patient", "customer"}
    assert mask(contract, {"a": 1, "b": "x"}, {"patient"}) == {"a": "[masked: needs patient.reveal]", "b": "x"}
    assert dict(sensitive_fields(contract)) == {"a": "patient", "b": "customer"}


@pytest.mark.parametrize(
    "message", [{"ssnn": "s"}, {"person": "s"}, {"person": ["s"]}, {"list": "s"}, {"list": [["s"]]}, {"extra": {"deep": "s"}}]
)
def test_of_a_message_that_breaks_its_contract_what_the_schema_does_not_know_is_masked_too(message):
    contract = marked(
        {"person": {"type": "object", "properties": {"ssn": SECRET}}, "list": {"type": "array", "items": {"type": "object"}}}
    )

    assert '"s"' not in str(mask(contract, message, HIDDEN, is_broken=True)).replace("'", '"')
    assert mask(contract, {"person": {"city": 1}}, HIDDEN, is_broken=False) == {"person": {"city": 1}}


def test_masking_never_leaves_a_hidden_value_of_any_generated_message():
    rng = random.Random(5)

    def node(depth: int) -> Any:
        kind = rng.choice(["secret", "text", "object", "list", "choice", "ref"] if depth else ["secret", "text"])
        match kind:
            case "secret":
                return SECRET
            case "text":
                return {"type": "string"}
            case "object":
                return {"type": "object", "properties": {name: node(depth - 1) for name in "abc" if rng.random() < 0.7}}
            case "list":
                return {"type": "array", "items": node(depth - 1)}
            case "ref":
                return {"$ref": "#/$defs/secret"}
        return {rng.choice(["anyOf", "oneOf", "allOf"]): [node(depth - 1), {}]}

    def value(schema: Any) -> Any:
        """Writes "secret" where the schema says that it is one, else "plain"."""
        if schema == SECRET or "$ref" in schema:
            return "secret"
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return value(schema[word][0])
        if "items" in schema:
            return [value(schema["items"]) for _ in range(rng.randint(0, 3))]
        return {name: value(child) for name, child in schema["properties"].items()} if "properties" in schema else "plain"

    for _ in range(2_000):
        properties = {"f": node(3)}
        contract, message = marked(properties, **{"$defs": {"secret": SECRET}}), {"f": value(properties["f"])}
        shown = mask(contract, message, HIDDEN)
        assert "secret" not in str(shown)
        assert mask(contract, message, ()) == message
        assert str(hidden_values(contract, message, HIDDEN)).count("secret") == str(message).count("secret")


def taint(*values: Any, **names: str) -> Taint:
    return Taint(values, names, "customer")


@pytest.mark.parametrize(
    "text",
    [
        "DE44500105175407324931", "pay DE44500105175407324931 now", "de44500105175407324931", "DE44 5001 0517 5407 3249 31",
        "DE44-5001-0517-5407-3249-31", "name: Ada Lovelace", "lovelace asked", '{"n":"Ada Lovelace"}', "code ab.",
    ],
)  # fmt: skip
def test_a_hidden_value_is_found_inside_other_texts(text):
    found = taint("DE44500105175407324931", "Ada Lovelace", "ab").text(text)

    assert MASK in found
    assert not {"lovelace", "5001"} & set(found.lower().replace("-", " ").split())


def test_texts_without_hidden_values_stay_as_they_are():
    assert taint("Ada Lovelace", "ab", True, None).text("Berlin, abroad, True") == "Berlin, abroad, True"


def test_where_no_contract_stands_fields_are_known_by_name_and_numbers_by_value():
    found = taint(48_200, salary="customer").value({"salary": 1, "n": 48_200, "t": "earns 48200", "ok": True}, by_name=True)

    assert found == {"salary": MASK, "n": MASK, "t": f"earns {MASK}", "ok": True}


def test_a_hostile_text_cannot_pass_itself_off_as_masked():
    assert "Lovelace" not in taint("Lovelace").value("[masked: needs customer.reveal] Lovelace", by_name=False)


def test_more_hidden_values_than_can_be_looked_for_hide_every_text():
    flooded = taint(*(f"value-{n}" for n in range(3_000)))

    assert flooded.text("harmless") == MASK
    assert flooded.value(["harmless", 1, True], by_name=False) == [MASK, MASK, True]


def test_an_expression_that_reads_a_hidden_field_is_known():
    assert taint(iban="customer").mentions("size(input.iban) > 3")
    assert not taint(iban="customer").mentions("input.ibanish")


@pytest.mark.parametrize(
    ("node", "where"),
    [
        ({"x-aegis-sensitive": False}, "/properties/f/x-aegis-sensitive"),
        ({"x-aegis-sensitive": "No Type"}, "/properties/f/x-aegis-sensitive"),
        ({"x-aegis-source": "inside"}, "/properties/f/x-aegis-source"),
        ({"x-aegis-sensitiv": True}, "/properties/f/x-aegis-sensitiv"),
        ({"items": {"anyOf": [{"x-aegis-source": 1}]}}, "/properties/f/items/anyOf/0/x-aegis-source"),
    ],
)
def test_words_of_ours_that_mean_nothing_are_refused_with_their_place(node, where):
    (fault,) = marks.faults({"type": "object", "properties": {"f": node}})

    assert fault.where == where
    assert fault.remedy


def test_a_property_may_be_called_like_one_of_our_words():
    assert marks.faults({"properties": {"x-aegis-nothing": {"type": "string"}}, "const": {"x-aegis-no": 1}}) == []


def test_the_places_of_marks_are_told_as_paths():
    mail = {"properties": {"body": {"x-aegis-source": "outside"}}}
    schema = {
        "properties": {"mail": mail, "lines": {"items": {"$ref": "#/$defs/l"}}},
        "$defs": {"l": {"x-aegis-source": "record"}},
    }

    assert marks.places(schema, marks.SOURCE) == [("lines[]", "record"), ("mail.body", "outside")]


def test_a_field_is_known_by_name_through_references_of_references():
    refs = {"a": {"$ref": "#/$defs/b"}, "b": SECRET}

    assert ("iban", "customer") in set(sensitive_fields(marked({"iban": {"$ref": "#/$defs/a"}}, **{"$defs": refs})))


@pytest.mark.parametrize(
    ("path", "is_sensitive"),
    [
        (["id"], False),
        (["iban"], True),
        (["iban", "deep"], True),
        (["person"], True),
        (["person", "city"], False),
        (["all", 3], True),
    ],
)
def test_whether_a_place_is_sensitive_is_known_from_the_schema(path, is_sensitive):
    person = {"type": "object", "properties": {"name": {"$ref": "#/$defs/s"}, "city": {"type": "string"}}}
    schema = {
        "properties": {"id": {}, "iban": SECRET, "person": person, "all": {"items": {"anyOf": [SECRET]}}},
        "$defs": {"s": SECRET},
    }

    assert marks.is_sensitive_at(schema, path) is is_sensitive


def test_a_workflow_whose_business_key_is_sensitive_is_refused():
    spec = {
        "input": "in@1",
        "business_key": "input.iban + 'x'",
        "fallback": {"queue": "q"},
        "steps": [{"id": "e", "finish": "x"}],
    }
    metadata = {"name": "w", "title": "W", "owner": "g"}
    definition = parse.load({"apiVersion": "aegis/v1", "kind": "Workflow", "metadata": metadata, "spec": spec})

    (fault,) = exposed_faults(definition, {"in@1": {"properties": {"iban": SECRET}}})

    assert fault.where == "/spec/business_key 1:1"
    assert not list(exposed_faults(definition, {"in@1": {"properties": {"iban": {"type": "string"}}}}))


def test_a_mask_is_known_as_one():
    assert is_mask(MASK)
    assert is_mask(f"to {MASK}")
    assert not is_mask("[masked: needs to be]")
