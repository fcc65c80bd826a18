"""Durations, differences and facts as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.diffs import diff, display
from approvals.pages import words
from approvals.pages.facts import facts

NOW = datetime(2026, 11, 23, 8, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (42, "42 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (3780, "1 h 03 min"), (93_600, "1 d 2 h")],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds, said):
    assert words.span(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("minutes", "tone", "said"), [(38, "red", "38 min left"), (63, "amber", "1 h 03 min left"), (300, "grey", "5 h left")]
)
def test_time_left_grows_louder_towards_the_deadline(minutes, tone, said):
    mark = words.left(NOW + timedelta(minutes=minutes), NOW)

    assert (mark.tone, mark.word) == (tone, said)


def test_a_passed_deadline_is_overdue():
    assert words.left(NOW - timedelta(minutes=5), NOW).word == "5 min overdue"


def test_only_the_differing_words_of_a_text_are_marked():
    row = diff({"iban": "GB00 TEST 4010 0277"}, {"iban": "GB00 TEST 7733 0277"}).rows[0]

    assert [(part.text, part.marked) for part in row.now] == [("GB00 TEST ", False), ("4010 ", True), ("0277", False)]
    assert [(part.text, part.marked) for part in row.proposed] == [("GB00 TEST ", False), ("7733 ", True), ("0277", False)]


def test_every_kind_of_change_has_its_sign_and_changes_come_first():
    rows = diff({"same": 1, "old": 2, "moved": "a"}, {"same": 1, "moved": "b", "new": None}).rows

    assert [(row.path, row.kind, row.sign) for row in rows] == [
        ("moved", "changed", "≠"), ("new", "added", "+"), ("old", "removed", "−"), ("same", "same", "="),
    ]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0), ([1], [True]), ("1", 1), (None, "")])
def test_values_of_another_type_are_another_value(old, new):
    assert diff({"x": old}, {"x": new}).rows[0].kind == "changed"


def test_nested_fields_are_told_one_by_one_and_lists_as_a_whole():
    rows = diff({"a": {"b": 1, "tags": ["x"]}}, {"a": {"b": 2, "tags": ["x", "y"]}}).rows

    assert [(row.label, row.kind) for row in rows] == [("A › b", "changed"), ("A › tags", "changed")]


def test_a_record_that_does_not_exist_yet_is_all_added():
    assert [row.kind for row in diff(None, {"a": 1, "b": 2}).rows] == ["added", "added"]


_JSON = st.dictionaries(
    st.text(max_size=6), st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=30), max_size=6
)


@given(_JSON, _JSON)
def test_no_part_of_a_text_is_ever_lost_or_invented(before, after):
    for row in diff(before, after).rows:
        assert "".join(part.text for part in row.now) == (display(before[row.path]) if row.path in before else "")
        assert "".join(part.text for part in row.proposed) == (display(after[row.path]) if row.path in after else "")


def test_facts_are_names_and_values_with_the_rest_counted():
    told = facts({"ticket": {"text": "hi", "tags": ["a", "b"]}, "items": [{"n": 1}]})

    assert [(fact.label, fact.text.split("\n")[0], fact.is_code) for fact in told] == [
        ("Ticket › text", "hi", False), ("Ticket › tags", "a, b", False), ("Items", "[", True),
    ]  # fmt: skip
    assert facts({str(number): number for number in range(100)})[-1].text == "40 more"


def test_json_for_a_page_is_text_whatever_it_holds():
    assert words.pretty_text('{"a":"<b>"}') == '{\n  "a": "<b>"\n}'
    assert words.pretty_text("not json") == "not json"
