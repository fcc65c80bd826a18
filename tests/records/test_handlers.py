"""Local effects are pure, and a difference is told field by field."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.records import handlers
from orchestration.records.diff import Row, diff
from orchestration.records.handlers import EffectRefused

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
bodies = st.recursive(
    st.dictionaries(st.sampled_from("abc"), scalars | st.lists(scalars, max_size=2), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), scalars | inner, max_size=3),
    max_leaves=6,
)


def test_create_takes_the_parameters_and_refuses_an_existing_record():
    assert handlers.create(None, {"a": 1}) == {"a": 1}
    with pytest.raises(EffectRefused, match="exists already"):
        handlers.create({}, {"a": 1})


def test_patch_merges_objects_removes_null_and_replaces_lists():
    current = {"status": "open", "customer": {"name": "Ann", "mail": "a@x"}, "tags": ["a"]}

    body = handlers.patch(current, {"status": "done", "customer": {"mail": None, "tier": 1}, "tags": ["b"]})

    assert body == {"status": "done", "customer": {"name": "Ann", "tier": 1}, "tags": ["b"]}


@pytest.mark.parametrize("handler", ["record.patch", "record.restore"])
def test_changing_what_does_not_exist_is_refused(handler: str):
    with pytest.raises(EffectRefused, match="no such record"):
        handlers.get(handler)(None, {"body": {}})


def test_restore_brings_an_earlier_body_back_whole():
    assert handlers.restore({"a": 1, "b": 2}, {"body": {"a": 0}}) == {"a": 0}
    with pytest.raises(EffectRefused, match="no earlier body"):
        handlers.restore({"a": 1}, {"body": None})


def test_a_record_has_a_size_limit():
    with pytest.raises(EffectRefused, match="bytes"):
        handlers.create(None, {"a": "x" * 300_000})


def test_an_unknown_handler_is_refused_by_name():
    with pytest.raises(EffectRefused, match=r"os\.system"):
        handlers.get("os.system")


@given(bodies, bodies)
def test_handlers_leave_their_arguments_alone_and_repeat_themselves(current: dict, parameters: dict):
    before = copy.deepcopy((current, parameters))

    first = handlers.patch(current, parameters)

    assert (current, parameters) == before
    assert handlers.patch(current, parameters) == first
    assert handlers.patch(first, parameters) == first  # a patch repeated changes nothing more


def test_a_difference_names_each_field_by_its_path():
    before = {"a": 1, "b": {"c": True, "d": "x"}, "gone": {"deep": 1}, "list": [1]}
    after = {"a": 1, "b": {"c": 1, "d": "x"}, "new": {}, "list": [1, 2]}

    assert diff(before, after) == [
        Row("b.c", "changed", True, 1),
        Row("gone.deep", "removed", 1, None),
        Row("list", "changed", [1], [1, 2]),
        Row("new", "added", None, {}),
    ]
    assert [row.sign for row in diff(before, before, with_same=True)] == ["same"] * 5


@given(bodies, bodies)
def test_there_is_a_difference_exactly_when_bodies_differ(before: dict, after: dict):
    from aegis.core import canonical

    assert bool(diff(before, after)) == (canonical.dump(before) != canonical.dump(after))
