"""The evaluator, by hand from the language definition of CEL, and beside the library of its authors."""

from itertools import product

import pytest
from cel_expr_python import cel as library

from tests.oracles.cel import Absent, CannotJudge, ConditionError, Partial, evaluate

FACTS = {
    "parameters": {"amount": 500, "tags": ["a", "b"], "text": "staging:web", "flag": False},
    "record": {"state": "open"},
    "nothing": Absent(),
    "principal": Partial({"name": "clerk"}),
    "resource": {"type": "service", "id": "staging:web"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parameters.amount > 499", True),
        ("parameters.amount - 1 > 499 || 0 - parameters.amount > 499", False),
        ("1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", True),
        ("-7 / 2 == -3 && -7 % 2 == -1", True),
        ('!resource.id.startsWith("staging:")', False),
        ("record.state in ['open', 'held']", True),
        ('!(record.state in ["closed"]) || parameters.missing', True),
        ('parameters.missing == 1 || record.state == "open"', True),
        ('parameters.missing == 1 && record.state == "shut"', False),
        ("size(parameters.tags) == 2 && parameters.tags[1] == 'b'", True),
        ("has(parameters.missing) ? false : true", True),
        ("parameters.tags.exists(t, t == 'b') && parameters.tags.all(t, size(t) == 1)", True),
        ("parameters.amount == 500.0 && true != 1", True),
        ("principal.name == 'clerk'", True),
        ("parameters.flag == false && !parameters.flag", True),
    ],
)
def test_a_condition_is_true_or_false(text, expected):
    assert evaluate(text, FACTS) is expected


@pytest.mark.parametrize(
    "text",
    [
        "parameters.missing > 1",
        "parameters.missing == 1 || record.state == 'shut'",
        "parameters.text > 1",
        "!parameters.amount",
        "parameters.amount",
        "parameters.tags[2] == 'c'",
        "parameters.amount / 0 == 1",
        "9223372036854775807 + 1 > 0",
        "nothing.state == 'open'",
        "parameters.amount + 1.5 > 1",
    ],
)
def test_a_condition_ends_in_an_error(text):
    with pytest.raises(ConditionError):
        evaluate(text, FACTS)


@pytest.mark.parametrize(
    "text",
    [
        "principal.team == 'a'",
        "unknown == 1",
        "parameters.amount = 1",
        "now() > 1",
        "nothing == null",
        "has(nothing.x)",
        "1 >",
        "'\\x41' == 'A'",
    ],
)
def test_what_it_cannot_judge_is_refused(text):
    with pytest.raises(CannotJudge):
        evaluate(text, FACTS)


def test_depth_is_bounded():
    with pytest.raises(CannotJudge):
        evaluate("(" * 100 + "true" + ")" * 100, FACTS)


def test_it_agrees_with_the_library_over_every_pair_of_types():
    facts = {"p": {"i": 5, "d": 2.5, "s": "abc", "b": True, "l": [1, "x"], "n": None, "o": {"a": 1}}}
    env = library.NewEnv(variables={"p": library.Type.DYN})
    signs = ("==", "!=", "<", ">=", "in", "&&", "||", "+", "-", "*", "/", "%")
    different = []
    for left, sign, right in product(
        ("i", "d", "s", "b", "l", "n", "o", "missing"), signs, ("i", "d", "s", "b", "l", "n", "o", "missing")
    ):
        text = f"p.{left} {sign} p.{right}"
        text = text if sign in signs[:7] else f"({text}) == p.{left}"
        try:
            found = evaluate(text, facts)
        except ConditionError:
            found = "error"
        except CannotJudge:
            continue
        answer = env.compile(text).eval(data=facts).value()
        if found != (answer if isinstance(answer, bool) else "error"):
            different.append((text, found, answer))
    assert different == []
