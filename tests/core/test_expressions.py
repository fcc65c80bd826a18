"""A look-up by path answers as the library does; what is not so simple is the library's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.canonical import MAX_SAFE_INTEGER
from aegis.core.expressions import Expression, ExpressionInvalid, Failed, bind, compile_condition, compile_value

MAPS = {"input": "map", "steps": "map"}
names = st.sampled_from(["a", "b", "output", "size", "_x"])
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5),
    ),
    lambda children: st.one_of(st.lists(children, max_size=3), st.dictionaries(names, children, max_size=3)),
    max_leaves=6,
)


def by_library(source: str, facts: dict[str, Any]) -> Any:
    """What the library says of it: bound facts are never looked up by path."""
    return compile_value(source, MAPS).value(bind(facts, MAPS))


@given(st.dictionaries(names, values, max_size=3), st.lists(names, max_size=4))
def test_a_path_means_what_the_library_says(given_input: dict[str, Any], path: list[str]) -> None:
    facts = {"input": given_input, "steps": {"plan": {"output": given_input}}}
    for source in (".".join(["input", *path]), ".".join(["steps.plan.output", *path])):
        assert repr(_sorted(compile_value(source, MAPS).value(facts))) == repr(_sorted(by_library(source, facts)))


@pytest.mark.parametrize(
    "facts",
    [
        {"input": {"n": 2**60}, "steps": {}},
        {"input": {"n": float("inf")}, "steps": {}},
        {"input": {"n": {1: "key that is no text"}}, "steps": {}},
        {"input": {"n": (1, 2)}, "steps": {}},
        {"input": None, "steps": {}},
        {"input": {}, "steps": {}},
        {"input": {"n": object()}, "steps": {}},
        {},
    ],
)
def test_what_is_no_plain_value_is_left_to_the_library(facts: dict[str, Any]) -> None:
    assert compile_value("input.n", MAPS).value(facts) == by_library("input.n", facts)


def test_what_is_looked_up_is_a_copy() -> None:
    facts = {"input": {"list": [1]}, "steps": {}}

    found = compile_value("input.list", MAPS).value(facts)
    found.append(2)

    assert facts["input"] == {"list": [1]}


@pytest.mark.parametrize(
    "source", ["input.a + 1", "input['a']", "has(input.a)", "input.a.size()", "n", "-input.a", "1.5", "true", "null"]
)
def test_only_paths_into_maps_are_looked_up(source: str) -> None:
    assert compile_value(source, {**MAPS, "n": "number"})._path == ()


def test_a_number_is_what_its_variable_declares() -> None:
    assert compile_value("n", {"n": "number"}).value({"n": 1}) == by_declared(compile_value("n", {"n": "number"}), {"n": 1})


def by_declared(expression: Expression, facts: dict[str, Any]) -> Any:
    return expression.value(bind(facts, {"n": "number"}))


def test_a_missing_key_is_an_error_with_the_name_of_the_key() -> None:
    found = compile_value("input.b", MAPS).value({"input": {"a": 1}, "steps": {}})

    assert isinstance(found, Failed)
    assert "b" in found.reason


def _sorted(value: Any) -> Any:
    """The library keeps no order of keys."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("stage", ["x + x", "[x, x]", "{'a': x, 'b': x}"])
def test_what_would_double_again_and_again_is_refused_before_it_is_evaluated(stage):
    """Forty stages would be a million million times the value, within the library's budget of iterations."""
    few, many = (f"['a']{f'.map(x, {stage})' * count}.size()" for count in (9, 40))

    assert compile_value(few, {}).value({}) == 1
    with pytest.raises(ExpressionInvalid) as refused:
        compile_value(many, {})

    (fault,) = refused.value.faults
    assert "1,000 times as large" in fault.what
    assert fault.where == f"1:{5 + 9 * len(f'.map(x, {stage})') + 1}"


@pytest.mark.parametrize("hidden", [r"""r"\" """, "')'", '""")"""', r"'\'('", "// )\n'a'", r"br'\'"])
def test_growth_does_not_hide_behind_quotes(hidden):
    source = "['a']" + f".map(x, [{hidden}, x, x])" * 40

    with pytest.raises(ExpressionInvalid, match="times as large"):
        compile_value(source, {})


def test_what_only_looks_like_growth_is_no_fault():
    quoted = "['.map(x, x + x)'" + ", '.map(x, x + x)'" * 40 + "].size()"

    assert compile_value(quoted, {}).value({}) == 41


@pytest.mark.parametrize(("source", "says"), [("'\ud800'", "surrogate"), ("'\x00'", "NUL"), ("{string: []}", "map key type")])
def test_what_the_library_chokes_on_is_refused_like_any_other_mistake(source, says):
    with pytest.raises(ExpressionInvalid, match=says):
        compile_condition(source, {})
