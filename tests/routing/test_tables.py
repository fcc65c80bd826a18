"""Promise 10: same facts, same route; an error never lets a weaker rule win."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.routing.publishing import faults_of
from orchestration.routing.tables import TableInvalid, choose, load


def rule(id_: str, when: str, case: str, *, tier: int | None = None, queue: str = "q") -> dict[str, Any]:
    return {"id": id_, "when": when, "then": {"case": case, "queue": queue}, **({"tier": tier} if tier else {})}


def document(*rules: dict[str, Any], tests: list[Any] | None = None, **inputs: str) -> dict[str, Any]:
    return {
        "apiVersion": "aegis/v1", "kind": "RoutingTable", "metadata": {"name": "desk"},
        "spec": {
            "inputs": inputs or {"intent": "string", "amount": "number", "count": "int", "vip": "bool", "tags": "list"},
            "outputs": {"queue": "string"}, "rules": list(rules), "default": {"case": "person", "queue": "desk"},
            "tests": tests or [],
        },
    }  # fmt: skip


TABLE = document(
    rule("cards", "intent == 'card'", "l1"),
    rule("big", "amount > 100.0", "l2", tier=2),
    rule("fraud", "intent == 'fraud' || 'fraud' in tags", "specialist", tier=1),
)


def route(facts: dict[str, Any], table: Any = TABLE) -> Any:
    return choose(load(table), facts)


def test_the_first_tier_is_asked_first_and_rules_without_a_tier_last():
    found = route({"intent": "card", "amount": 500.0, "tags": []})

    assert (found.rule, found.tier, found.case) == ("big", 2, "l2")
    assert found.trace == (("fraud", False), ("big", True))
    assert route({"intent": "fraud", "amount": 500.0, "tags": []}).case == "specialist"
    assert route({"intent": "card", "amount": 1.0, "tags": []}).rule == "cards"


def test_inside_a_tier_the_written_order_decides():
    rows = [rule("a", "vip", "l1", tier=3), rule("b", "vip || count > 1", "l2", tier=3)]

    assert route({"vip": True}, document(*rows)).rule == "a"
    assert route({"vip": True, "count": 1}, document(*reversed(rows))).rule == "b"


def test_nothing_matching_gives_the_default_without_calling_it_a_fallback():
    found = route({"intent": "other", "amount": 1.0, "tags": []})

    assert (found.rule, found.tier, found.output, found.is_fallback) == ("", None, {"case": "person", "queue": "desk"}, False)


@pytest.mark.parametrize(
    "facts",
    [
        {"intent": "card"},  # tags are missing
        {"intent": "card", "tags": "fraud", "amount": 1.0},  # of another type
        {"intent": 5, "tags": ["x"], "amount": 1.0},
        {"intent": "card", "tags": [], "amount": "many"},
        {"intent": "card", "tags": [], "amount": True},  # true is no number
        {},
    ],
)
def test_a_condition_that_cannot_be_judged_ends_in_the_recorded_fallback(facts: dict[str, Any]):
    found = route(facts)

    assert (found.case, found.rule, found.is_fallback) == ("person", "", True)
    assert len(found.errors) == 1
    assert found.trace[-1][1] is None
    assert found.errors[0].startswith(found.trace[-1][0])


def test_an_error_that_cannot_change_the_answer_is_none():
    assert route({"intent": "fraud"}).case == "specialist"  # the left side of || decides; tags are not needed


def test_a_whole_number_is_a_number_and_undeclared_facts_are_not_seen():
    assert route({"intent": "x", "amount": 101, "tags": [], "secret": object()}).rule == "big"


def test_the_output_is_a_copy():
    route({"intent": "other", "amount": 1.0, "tags": []}).output["case"] = "hacked"

    assert route({"intent": "other", "amount": 1.0, "tags": []}).case == "person"


def test_the_cases_of_a_table_are_known_before_it_runs():
    assert load(TABLE).cases == {"l1", "l2", "specialist", "person"}


def test_an_equal_document_is_compiled_once():
    assert load(copy.deepcopy(TABLE)) is load(TABLE)


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"rules": [rule("a", "intent ==", "x")]}, "/spec/rules/0/when 1:10", "Syntax error"),
        ({"rules": [rule("a", "intent == 'a' &&\n  nope", "x")]}, "/spec/rules/0/when 2:3", "nope"),
        ({"rules": [rule("a", "amount + 1.0", "x")]}, "/spec/rules/0/when 1:1", "true or false"),
        ({"rules": [rule("a", "vip", "x"), rule("a", "!vip", "x")]}, "/spec/rules/1/id", "earlier rule"),
        ({"rules": [{"id": "a", "when": "vip", "then": {"queue": "q"}}]}, "/spec/rules/0/then/case", "missing"),
        ({"rules": [{"id": "a", "when": "vip", "then": {"case": "x"}}]}, "/spec/rules/0/then/queue", "missing"),
        ({"rules": [{"id": "a", "when": "vip", "then": {"case": 1, "queue": "q"}}]}, "/spec/rules/0/then/case", "string"),
        ({"default": {"case": "x", "queue": 5}}, "/spec/default/queue", "string"),
        ({"default": {"case": "x", "queue": "q", "more": 1}}, "/spec/default/more", "not a declared output"),
        ({"outputs": {"case": "int", "queue": "string"}}, "/spec/outputs/case", "always a string"),
        ({"rules": [rule("a", "true", "x"), rule("b", "vip", "y")]}, "/spec/rules/1", "can never win"),
        ({"rules": [rule("a", "vip", "x"), rule("b", " vip ", "y")]}, "/spec/rules/1", "can never win"),
        ({"rules": [rule("a", "vip", "x"), rule("b", "true", "y", tier=1)]}, "/spec/rules/0", "can never win"),
        ({"tests": [{"name": "t", "given": {"nope": 1}, "expect": {"case": "x"}}]}, "/spec/tests/0/given/nope", "input"),
        ({"tests": [{"name": "t", "given": {}, "expect": {"nope": "x"}}]}, "/spec/tests/0/expect/nope", "output"),
        ({"tests": [{"name": "t", "given": {}, "expect": {}, "rule": "nope"}]}, "/spec/tests/0/rule", "no rule"),
    ],
)
def test_lint_names_the_place_of_each_fault(change: dict[str, Any], where: str, what: str):
    table = document(rule("a", "vip", "x"))
    table["spec"].update(change)

    faults = faults_of(table)

    assert [fault.where for fault in faults][:1] == [where]
    assert what in faults[0].what


def test_strings_that_differ_only_in_blanks_are_different_conditions():
    assert faults_of(document(rule("a", "intent == 'a b'", "x"), rule("b", "intent == 'ab'", "y"))) == []


def test_a_table_with_faults_cannot_be_loaded():
    with pytest.raises(TableInvalid, match="nope"):
        load(document(rule("a", "nope", "x")))


def test_a_failing_test_is_a_fault_that_says_what_came_instead():
    good = {
        "name": "cards stay",
        "given": {"intent": "card", "amount": 1, "tags": []},
        "expect": {"case": "l1"},
        "rule": "cards",
    }
    bad = {**good, "name": "cards go", "expect": {"case": "l2"}}
    other = {**good, "name": "by another", "rule": "big"}
    broken = {"name": "no facts", "given": {}, "expect": {"case": "l1"}}
    table = copy.deepcopy(TABLE)
    table["spec"]["tests"] = [good, bad, other, broken]

    faults = faults_of(table)

    assert [fault.where for fault in faults] == ["/spec/tests/1", "/spec/tests/2", "/spec/tests/3"]
    assert "expects case = 'l2', got 'l1' by rule 'cards'" in faults[0].what
    assert "decided by rule 'cards'" in faults[1].what
    assert "because fraud:" in faults[2].what


facts_of_any_type = st.dictionaries(
    st.sampled_from(("intent", "amount", "count", "vip", "tags", "other")),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(facts_of_any_type)
def test_choosing_is_total_and_repeats_itself(facts: dict[str, Any]):
    found = route(facts)

    assert found == route(facts)
    assert found.case in load(TABLE).cases
    assert found.is_fallback == bool(found.errors)
    assert [outcome for _, outcome in found.trace[:-1]] == [False] * max(len(found.trace) - 1, 0)


def test_a_table_of_77_rules_answers_fast():
    rows = [rule(f"r{index}", f"intent == 'i{index}'", "x", tier=index % 3 + 1) for index in range(77)]
    table = load(document(*rows))

    started = time.perf_counter()
    for _ in range(50):
        assert choose(table, {"intent": "i76"}).rule == "r76"
    assert (time.perf_counter() - started) / 50 < 0.02
