"""Any change of any document can be told in words, path by path."""

from __future__ import annotations

import pytest

from aegis.core.canonical import Json
from aegis.core.kinds import Change, Key
from approvals.governed import MAX_SENTENCES, describe


def told(old: Json, new: Json) -> list[str]:
    return describe(Change(Key("Case", "one"), {"spec": old}, {"spec": new}))


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        ({"a": 1}, {"a": 2}, ["spec.a: was 1, now 2"]),
        ({"a": 1}, {"a": True}, ["spec.a: was 1, now true"]),
        ({}, {"a": "x"}, ["spec.a: now x, was not set"]),
        ({"a": ""}, {}, ["spec.a: no longer set, was empty"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["spec.a: was [1,2], now [2,1]"]),
        ({"r": [{"when": "A"}, {"when": "B"}]}, {"r": [{"when": "A"}, {"when": "C"}]}, ["spec.r[1].when: was B, now C"]),
        (
            {"s": [{"id": "x", "t": 1}, {"id": "y", "t": 1}]},
            {"s": [{"id": "y", "t": 2}, {"id": "x", "t": 1}]},
            ["spec.s[y].t: was 1, now 2", "spec.s: the order is now y, x"],
        ),
        ({"s": [{"id": "x"}]}, {"s": []}, ['spec.s[x]: no longer set, was {"id":"x"}']),
        ({"a": 1}, {"a": 1}, []),
    ],
)
def test_a_change_is_told_where_it_is(old: Json, new: Json, sentences: list[str]) -> None:
    assert told(old, new) == sentences


def test_huge_values_and_huge_changes_are_cut_and_said_to_be() -> None:
    sentences = told({}, {f"k{number:03}": "x" * 500 for number in range(200)})

    assert len(sentences) == MAX_SENTENCES + 1
    assert sentences[-1] == "… and 140 more differences"
    assert max(len(sentence) for sentence in sentences) < 120
