"""The form made from a contract: what is drawn, and what posted text means. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from aegis.core import canonical
from aegis.core.errors import Fault
from approvals.pages.contractform import ContractForm, build
from orchestration.contracts.checker import compile_schema
from tests.pages.conftest import ANSWER


def posted(form: ContractForm, **texts: str | list[str]) -> ContractForm:
    data = QueryDict(mutable=True)
    for key, text in texts.items():
        data.setlist(f"f-{key}", text if isinstance(text, list) else [text])
    return form.posted(data)


def obj(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def test_each_type_has_its_input_and_what_must_be_given_comes_first():
    drawn = [(field.key, field.widget, field.required) for field in build(ANSWER).fields]

    assert drawn == [
        ("intent", "line", True), ("urgency", "choice", True), ("count", "integer", True), ("is_legal", "boolean", True),
        ("tags", "lines", False), ("more", "json", False),
    ]  # fmt: skip


def test_fields_follow_the_order_of_the_contract_even_after_its_keys_were_sorted():
    schema = obj(("risk", "count", "amount"), amount={"type": "integer"}, count={"type": "integer"}, risk={"enum": ["low"]})
    stored = canonical.parse(canonical.dump({**schema, "properties": {**schema["properties"], "about": {"type": "string"}}}))

    assert [field.key for field in build(stored).fields] == ["risk", "count", "amount", "about"]


@pytest.mark.parametrize(
    ("schema", "widget"),
    [
        ({"type": "string", "maxLength": 4000}, "text"),
        ({"type": "array", "uniqueItems": True, "items": {"enum": ["a", "b"]}}, "choices"),
        ({"type": "array", "items": {"type": "object"}}, "json"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "json"),
        ({"type": ["string", "integer"]}, "json"),
        ({"const": 3}, "fixed"),
        ({"$ref": "#/$defs/kind"}, "choice"),
        (True, "json"),
        ({}, "json"),
    ],
)
def test_what_cannot_be_drawn_is_a_json_box_for_that_field(schema, widget):
    form = build({**obj(x=schema), "$defs": {"kind": {"enum": ["a", "b"]}}})

    assert form.fields[0].widget == widget


@pytest.mark.parametrize("schema", [True, {}, {"type": "array"}, {"type": "object"}, {"enum": [1]}, {"oneOf": []}])
def test_a_contract_that_is_no_plain_object_is_one_json_box(schema):
    form = build(schema)

    assert form.is_whole
    assert posted(form, **{"0": '{"a": [1, 2]}'}).value() == ({"a": [1, 2]}, [])


def test_posted_text_becomes_json():
    form = posted(
        build(ANSWER), intent="close", urgency='"P1"', count=" 7 ", is_legal="true", tags="a\r\n\r\n b \n", more='{"note": "x"}'
    )

    value, faults = form.value()

    assert faults == []
    assert value == {
        "intent": "close",
        "urgency": "P1",
        "count": 7,
        "is_legal": True,
        "tags": ["a", "b"],
        "more": {"note": "x"},
    }
    assert compile_schema(ANSWER).faults(value) == []


def test_empty_optional_fields_are_left_out_and_required_ones_are_told_by_the_contract():
    form = posted(build(ANSWER), intent="close", tags="", more="  ")

    value, faults = form.value()

    assert (value, faults) == ({"intent": "close"}, [])
    told = form.with_faults(compile_schema(ANSWER).faults(value))
    assert {field.key for field in told.fields if field.faults} == {"urgency", "count", "is_legal"}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("count", "7.5"), ("count", "seven"), ("count", "true"), ("count", "1e3000"), ("count", "[1]"),
        ("urgency", '"P9"'), ("urgency", "P1"), ("is_legal", "yes"), ("more", "{"), ("more", '{"a":1,"a":2}'),
    ],
)  # fmt: skip
def test_text_that_cannot_be_read_is_a_fault_at_its_field_and_is_kept(key, text):
    form = posted(build(ANSWER), **{key: text})

    _, faults = form.value()

    assert [fault.where.split("/")[1] for fault in faults] == [key]
    field = next(field for field in form.with_faults(faults).fields if field.key == key)
    assert field.faults
    assert field.text == text


def test_a_fault_inside_a_list_says_which_entry():
    form = posted(build(obj(sizes={"type": "array", "items": {"type": "integer"}})), sizes="1\nx\n3")

    _, faults = form.value()

    assert [fault.where for fault in faults] == ["/sizes/1"]
    assert form.with_faults(faults).fields[0].faults[0].startswith("/1: is no whole number")


def test_faults_of_no_field_stand_above_the_form():
    form = build(ANSWER).with_faults([Fault("", "must fit exactly one form"), Fault("/elsewhere", "is unknown")])

    assert form.faults == ("must fit exactly one form", "/elsewhere: is unknown")


def test_a_required_field_that_may_be_null_is_null_when_empty():
    form = posted(build(obj(("note",), note={"type": ["string", "null"]})), note="")

    assert form.value() == ({"note": None}, [])


def test_keys_may_hold_anything_and_pointers_are_escaped():
    form = build(obj(**{'a/b~c"<': {"type": "string"}}))

    assert (form.fields[0].input, form.fields[0].pointer) == ("f-0", '/a~1b~0c"<')
    assert form.with_faults([Fault('/a~1b~0c"<', "is too long")]).fields[0].faults == ("is too long",)


def test_options_keep_their_type():
    form = posted(build(obj(level={"enum": [1, "1", None, True]})), level="1")

    assert form.value() == ({"level": 1}, [])
    assert [option.label for option in form.fields[0].options] == ["1", "1", "null", "true"]


_VALUES = st.fixed_dictionaries(
    {
        "intent": st.text(min_size=1, max_size=60).filter(
            lambda text: text.strip() and "\x00" not in text and "\r" not in text
        ),
        "urgency": st.sampled_from(["P1", "P2", "P3"]),
        "count": st.integers(min_value=1, max_value=2**53 - 1),
        "is_legal": st.booleans(),
    },
    optional={"more": st.fixed_dictionaries({"note": st.text(max_size=20).filter(lambda text: "\x00" not in text)})},
)


@given(_VALUES)
def test_what_fills_the_form_comes_back_unchanged(value):
    form = build(ANSWER).filled(value)

    again, faults = form.value()

    assert faults == []
    assert again == value
