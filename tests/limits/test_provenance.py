"""Vectors of provenance, version 1: what reads as the requester's, a record's, from outside, an agent's own."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.authority.provenance import MAX_FIELDS, Source, normal, quotes, trace, written

IBAN = "AT611904300234573201"
PARAMETERS = {
    "type": "object",
    "properties": {
        "iban": {"type": "string", "x-aegis-format": "iban"},
        "amount": {"type": "number"},
        "money": {"type": "string", "x-aegis-format": "money"},
        "mail": {"type": "string", "format": "email"},
        "day": {"type": "string", "format": "date"},
        "order": {"type": "string", "x-aegis-format": "id"},
        "name": {"type": "string"},
        "urgent": {"type": "boolean"},
        "reason": {"enum": ["late", "broken"]},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sum": {"type": "integer"}}}},
    },
}
MAIL = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "mail": {"type": "object", "x-aegis-source": "outside", "properties": {"body": {"type": "string"}}},
        "lies": {"type": "string", "x-aegis-source": "record"},
    },
}


def places(parameter: str, value: Any, *sources: Source) -> list[str]:
    return trace({parameter: value}, PARAMETERS, sources)[parameter]


def requester(value: Any) -> Source:
    return Source("requester", value, MAIL)


def record(value: Any) -> Source:
    return Source("record", value, {})


def agent(value: Any) -> Source:
    return Source("agent", value, {})


@pytest.mark.parametrize(
    ("parameter", "value", "text", "is_found"),
    [
        ("iban", IBAN, "please pay to AT61 1904 3002 3457 3201, thanks", True),
        ("iban", IBAN, f"({IBAN.lower()})", True),
        ("iban", IBAN, "AT61 1904 3002 3457 3202", False),
        ("iban", IBAN, f"x{IBAN}", False),
        ("amount", 20, "refund 20.", True),
        ("amount", 20, "refund 20.00 now", True),
        ("amount", 20, "order 2020", False),
        ("amount", 1200.5, "1200.5", True),
        ("money", "1200.50", "it was € 1.200,50!", True),
        ("money", "1200.50", "it was €1.200,50!", True),
        ("money", "1,200.50 EUR", "it was 1200,5 EUR", True),
        ("mail", "Zoe@Example.com", "write to <zoe@example.com>.", True),
        ("mail", "zoe@example.com", "not-zoe@example.com", False),
        ("day", "2026-03-01", "on 1.3.2026", True),
        ("day", "2026-03-01", "2026-03-01", True),
        ("order", "A-17", "about A-17", True),
        ("order", "A-17", "about a-17", False),
        ("name", "Anna Lee", "pay ANNA  Lee please", True),
        ("name", "Anna Lee", "pay Annabel Lee", False),
    ],
)
def test_whole_words_of_the_requester(parameter: str, value: Any, text: str, is_found: bool):
    assert places(parameter, value, requester({"text": text})) == (["requester"] if is_found else ["agent"])


def test_what_is_marked_outside_never_reads_as_the_requesters():
    assert places("iban", IBAN, requester({"mail": {"body": f"pay to {IBAN}"}})) == ["outside"]
    assert places("iban", IBAN, requester({"mail": {"body": IBAN}})) == ["outside"]


def test_a_value_known_from_two_places_names_both():
    assert places("iban", IBAN, requester({"text": IBAN, "mail": {"body": IBAN}})) == ["requester", "outside"]
    assert places("name", "Anna", requester({"text": "Anna"}), record({"owner": "anna"})) == ["requester", "record"]


def test_records_and_agents_match_by_whole_values_alone():
    assert places("name", "Anna", record({"owner": "Anna Lee"})) == ["agent"]
    assert places("amount", 5, record({"note": "5 units"})) == ["agent"]
    assert places("amount", 5, record({"left": "5.0"})) == ["record"]
    assert places("name", "Anna", agent({"said": "Anna"})) == ["agent"]


def test_no_mark_raises_what_an_agent_says():
    says = {"properties": {"a": {"x-aegis-source": "requester"}, "b": {"x-aegis-source": "record"}}}

    assert places("name", "Anna", Source("agent", {"a": "Anna", "b": "Anna"}, says)) == ["agent"]
    assert places("name", "Anna", requester({"lies": "Anna"})) == ["requester"]


def test_truth_values_and_listed_ones_have_no_provenance():
    assert trace({"urgent": True, "reason": "late", "name": None}, PARAMETERS, [requester({"text": "late"})]) == {}


def test_leaves_are_named_by_paths_that_cannot_be_forged():
    found = trace({"lines": [{"sum": 7}], "lines[0].sum": "x"}, PARAMETERS, [requester({"text": "x"})])

    assert found == {"lines[0].sum": ["agent"], "lines~20]~1sum": ["requester"]}
    assert written(("a.b",)) != written(("a", "b"))


def test_a_mark_behind_a_reference_or_a_choice_counts():
    schema = {
        "properties": {"m": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/web"}]}},
        "$defs": {"web": {"x-aegis-source": "outside"}},
    }

    assert places("name", "Anna", Source("requester", {"m": "Anna"}, schema)) == ["outside"]


def test_values_beyond_the_bound_are_known_from_nowhere():
    assert places("name", "Anna", requester({"text": [*map(str, range(3000)), "Anna"]})) == ["agent"]


@pytest.mark.parametrize("value", [float("1e300"), 10**40, "", " ", {}, []])
def test_odd_values_do_no_harm(value: Any):
    trace({"name": value, "money": value, "day": value, "amount": value}, PARAMETERS, [requester({"text": value})])


def test_money_is_read_with_either_sign():
    assert {normal(text, "money") for text in ("1.200,50", "1,200.5", "€ 1'200.50", "1200,50 EUR", "1200.50")} == {"=1200.5"}
    assert normal("1.200", "money") == normal("1,200", "money") == "=1200"
    assert normal("12 of 13", "money") != normal("12", "money")


QUOTED = {
    "type": "object",
    "properties": {
        "own": {"type": "string"},
        "mail": {
            "type": "object",
            "x-aegis-source": "outside",
            "properties": {
                "body": {"type": "string"},
                "pages": {"type": "array", "items": {"type": "object", "properties": {"text": {"type": "string"}}}},
                "payer": {"type": "object", "x-aegis-sensitive": True, "properties": {"name": {"type": "string"}}},
            },
        },
    },
}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"mail": {"body": "for Ann Lee"}}, "mail.body"),
        ({"mail": {"pages": [{"text": "x"}, {"text": "Ann Lee"}]}}, "mail.pages[1].text"),
        ({"mail": {"payer": {"name": "Ann Lee"}}}, "mail.payer"),  # what is below a masked field is not told
        ({"mail": {"Secret key": "Ann Lee"}}, "mail"),  # a key that no contract names is data
    ],
)
def test_a_value_from_outside_names_the_field_as_its_contract_does(value, field):
    other = Source("agent", {}, {})
    assert quotes({"name": "Ann Lee"}, PARAMETERS, [other, Source("requester", value, QUOTED)]) == {"name": [[1, field]]}


def test_only_what_is_from_outside_names_its_field():
    sources = [Source("requester", {"own": "Ann Lee"}, QUOTED), Source("record", {"name": "Ann Lee"}, {})]
    assert trace({"name": "Ann Lee"}, PARAMETERS, sources) == {"name": ["requester", "record"]}
    assert quotes({"name": "Ann Lee"}, PARAMETERS, sources) == {}


def test_of_many_fields_the_first_are_named():
    mail = {"mail": {"pages": [{"text": "Ann Lee"}] * 40}}
    assert len(quotes({"name": "Ann Lee"}, PARAMETERS, [Source("requester", mail, QUOTED)])["name"]) == MAX_FIELDS
