"""A payload as somebody reads it: in the order of its contract, lists of objects line by line, a sentence without a name."""

from __future__ import annotations

import json

from aegis.core.shape import arranged, named_in
from approvals.pages.facts import Fact
from orchestration.pages.told import told

BUG = {"type": "object", "required": ["title", "build"], "properties": {"build": {}, "note": {}, "title": {}}}
SCHEMA = {
    "type": "object",
    "required": ["id", "text"],
    "properties": {"bugs": {"type": "array", "items": {"$ref": "#/$defs/bug"}}, "channel": {}, "id": {}, "text": {}},
    "$defs": {"bug": BUG},
}


def test_what_must_be_there_comes_first_as_its_author_wrote_it() -> None:
    assert named_in(SCHEMA) == ["id", "text", "bugs", "channel"]
    assert named_in({}) == []


def test_a_value_is_arranged_to_its_leaves_and_nothing_is_added_or_lost() -> None:
    value = {"bugs": [{"build": 7, "title": "b"}, "no object"], "channel": "web", "extra": 1, "text": "t"}

    found = arranged(SCHEMA, value)

    assert found == value
    assert list(found) == ["text", "bugs", "channel", "extra"]
    assert list(found["bugs"][0]) == ["title", "build"]
    assert arranged(False, value) == value


def test_lists_of_objects_are_told_line_by_line() -> None:
    said = told("Input", "input", json.dumps({"bugs": [{"title": "it sticks", "build": 7}], "id": "n-1"}), SCHEMA)

    assert said.facts == (
        Fact("Id", "n-1"), Fact("Bugs › 1 › title", "it sticks"), Fact("Bugs › 1 › build", "7"),
    )  # fmt: skip


def test_a_plain_reason_is_a_sentence_and_more_is_not() -> None:
    assert told("Reason", "reason", '"read the message"').sentence == "read the message"
    assert told("Reason", "reason", '{"reason": "read it"}').sentence == "read it"
    assert told("Output", "output", '{"intent": "close"}').sentence == ""
    assert told("Output", "output", "[[1]]").sentence == ""
