"""A cell means what DMN says it means, in the type of its column; anything else is refused with its place and what to write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.routing.cells import CellInvalid, parse, quoted
from orchestration.routing.tables import choose, load
from orchestration.routing.values import Column, NotOfType, column_of, read, show
from tests.routing.writing import row, table


def holds(kind: str, cell: Any, fact: Any, *, optional: bool = True) -> bool:
    column = Column("c", kind, is_optional=optional)
    return parse(cell, column).holds(column.read(fact))


@pytest.mark.parametrize(
    ("kind", "cell", "yes", "no"),
    [
        ("string", "'a'", ["a"], ["b", "A", " a", None]),
        ("string", "\"a\", 'b'", ["a", "b"], ["c", None]),
        ("string", "'a, b'", ["a, b"], ["a", "b"]),
        ("string", "'it\\'s', \"q\\\\\"", ["it's", "q\\"], ["it", "q"]),
        ("string", "''", [""], ["a", None]),
        ("string", "!= 'a'", ["b", ""], ["a", None]),
        ("string", "not('a', 'b')", ["c"], ["a", "b", None]),
        ("string", "not ( 'a' )", ["c"], ["a"]),
        ("string", "null", [None], ["", "null"]),
        ("string", "'a', null", ["a", None], ["b"]),
        ("string", "!= null", ["", "a"], [None]),
        ("string", "not(null)", ["", "a"], [None]),
        ("string", "!= 'a', 'a'", ["a", "b"], [None]),
        ("string", "!= 'a', != 'b'", ["a", "b"], [None]),
        ("string", "-", ["a", "", None], []),
        ("string", "", ["a", None], []),
        ("string", "  ", ["a", None], []),
        ("bool", "true", [True], [False, None]),
        ("bool", False, [False], [True, None]),
        ("bool", "!= true", [False], [True, None]),
        ("int", "5", [5], [4, 6, None]),
        ("int", 5, [5], [4]),
        ("int", "-5", [-5], [5]),
        ("int", "= 5", [5], [4]),
        ("int", "== 5", [5], [4]),
        ("int", "> 5", [6], [5, None]),
        ("int", "<=5", [5, -9], [6]),
        ("int", "[1..5]", [1, 5], [0, 6]),
        ("int", "(1..5)", [2, 4], [1, 5]),
        ("int", "]1..5[", [2, 4], [1, 5]),
        ("int", "[1..5[", [1, 4], [5]),
        ("int", "[-5..-1]", [-5, -1], [0]),
        ("int", "< 2, > 8, 5", [1, 9, 5], [2, 8, 4]),
        ("int", "not(< 2, [5..7])", [2, 4, 8], [1, 5, 7, None]),
        ("int", ">= 30, < 50", [0, 100], [None]),  # a comma means OR
        ("number", "0.5", [0.5], [0.4]),
        ("number", "[0.5..1)", [0.5, 0.99], [1, 0.49]),
        ("number", "1e3", [1000, 1000.0], [999.9]),
        ("number", "1", [1, 1.0], [1.1]),
        ("date", "2026-01-31", ["2026-01-31"], ["2026-02-01", None]),
        ("date", "[2026-01-31..2026-02-02)", ["2026-01-31", "2026-02-01"], ["2026-02-02"]),
        ("date", "> 2026-01-31", ["2026-02-01"], ["2026-01-31"]),
        ("datetime", ">= 2026-01-31T12:00:00+02:00", ["2026-01-31T10:00:00Z"], ["2026-01-31T09:59:59.999999Z"]),
        ("datetime", "2026-01-31T12:00:00Z", ["2026-01-31T13:00:00+01:00"], ["2026-01-31T12:00:00.5Z"]),
        ("duration", "> 1h30m", ["91m", "PT1H31M"], ["90m", "PT90M", "P0D"]),
        ("duration", "[P1D..2d]", ["24h", "48h"], ["23h", "P2DT1S"]),
    ],
)
def test_cells(kind: str, cell: Any, yes: list[Any], no: list[Any]) -> None:
    assert [fact for fact in yes if not holds(kind, cell, fact)] == []
    assert [fact for fact in no if holds(kind, cell, fact)] == []


@pytest.mark.parametrize(
    ("kind", "cell", "place", "what", "remedy"),
    [
        ("string", "gold", "1:1", "'gold' is no text in quotes", "write 'gold'"),
        ("string", "'gold', silver", "1:9", "'silver' is no text in quotes", "write 'silver'"),
        ("string", "'gold", "1:1", "never closed", "close it with '"),
        ("string", "'a' 'b'", "1:5", "cannot be read", "put a comma"),
        ("string", "> 'a'", "1:1", "text has none", "list the values"),
        ("string", "['a'..'b']", "1:1", "text has none", "list the values"),
        ("string", "5", "1:1", "no text in quotes", "write '5'"),
        ("string", 5, "1:1", "5 is not text", "write the cell as text"),
        ("string", r"'a\x'", "1:3", "backslash", "write \\\\"),
        ("string", "starts with('a')", "1:1", "no text in quotes", "CEL"),
        ("string", "not 'a'", "1:5", "round brackets", "not('a', 'b')"),
        ("string", "not('a'", "1:8", "ends before its ')'", "close it"),
        ("string", "not('a'), 'b'", "1:9", "behind not(...)", "put everything"),
        ("string", "not(!= 'a')", "1:1", "says not twice", "leave one"),
        ("string", "'a',", "1:5", "ends where a value should be", "write text"),
        ("string", "'a', -", "1:6", "no text in quotes", "write '-'"),
        ("bool", "yes", "1:1", "is not true or false", "write true or false"),
        ("bool", "TRUE", "1:1", "is not true or false", "write true or false"),
        ("bool", 1, "1:1", "is not true or false", "write the cell as text"),
        ("bool", "> true", "1:1", "has none", "list the values"),
        ("int", "5.5", "1:1", "is not a whole number", "write a whole number"),
        ("int", "1,000,x", "1:7", "is not a whole number", "without quotes"),
        ("int", "1_000", "1:1", "is not a whole number", "without quotes"),
        ("int", "'5'", "1:1", "is not a whole number", "without quotes"),
        ("int", True, "1:1", "is not a whole number", "write the cell"),
        ("int", "9007199254740993", "1:1", "is not a whole number", "without quotes"),
        ("int", "x + 1", "1:1", "is not a whole number", "CEL"),
        ("int", "5 6", "1:3", "cannot be read", "put a comma"),
        ("int", "[5..1]", "1:1", "holds nothing", "lower end first"),
        ("int", "(5..5]", "1:1", "holds nothing", "lower end first"),
        ("int", "[1..5", "1:6", "ends with a bracket", "[1..5]"),
        ("int", "[1-5]", "1:2", "is not a whole number", "without quotes"),
        ("int", "[1,5]", "1:3", "two dots", "[1..5]"),
        ("int", "1..5", "1:2", "cannot be read", "put a comma"),
        ("int", "> null", "1:1", "nothing is > null", "null or != null"),
        ("number", "1e999", "1:1", "is not a number", "without quotes"),
        ("number", "NaN", "1:1", "is not a number", "without quotes"),
        ("number", "٣", "1:1", "is not a number", "without quotes"),
        ("date", "31.01.2026", "1:1", "is not a date", "2026-01-31"),
        ("date", "2026-02-30", "1:1", "is not a date", "2026-01-31"),
        ("datetime", "2026-01-31T10:00:00", "1:1", "with its zone", "with its zone"),
        ("duration", "1 hour", "1:1", "is not a duration", "90m"),
        ("duration", "P1M", "1:1", "is not a duration", "90m"),
        ("list", "'a'", "1:1", "cells cannot test list", "CEL"),
        ("any", "5", "1:1", "cells cannot test any", "declare the input's type"),
    ],
)
def test_what_a_cell_cannot_say_is_refused_with_place_and_remedy(
    kind: str, cell: Any, place: str, what: str, remedy: str
) -> None:
    with pytest.raises(CellInvalid) as caught:
        parse(cell, Column("c", kind, is_optional=True))

    (fault,) = caught.value.faults
    assert fault.where == place
    assert what in fault.what
    assert remedy in fault.remedy


def test_null_in_a_column_that_is_always_there_is_refused() -> None:
    for cell in ("null", "!= null"):
        with pytest.raises(CellInvalid, match="never null"):
            parse(cell, Column("c", "int"))


def test_a_value_that_is_none_of_the_columns_is_refused_with_the_nearest() -> None:
    column = column_of("level", {"type": "string", "values": ["low", "high"]})

    with pytest.raises(CellInvalid) as caught:
        parse("'low', 'hgih'", column)

    assert (caught.value.faults[0].where, caught.value.faults[0].remedy) == ("1:8", "did you mean 'high'?")


@pytest.mark.parametrize(
    ("declared", "where"),
    [
        ({"type": "int", "values": [1, "2"]}, "/values/1"),
        ({"type": "int", "values": [1, 1]}, "/values"),
        ({"type": "bool", "values": [True]}, "/values"),
        ({"type": "string", "min": "a"}, "/min"),
        ({"type": "int", "min": 5, "max": 1}, "/max"),
        ({"type": "date", "max": "soon"}, "/max"),
        ({"type": "int", "values": [1], "min": 1}, "/values"),
    ],
)
def test_a_column_declared_amiss_is_refused_with_the_place(declared: Any, where: str) -> None:
    with pytest.raises(NotOfType) as caught:
        column_of("c", declared)

    assert caught.value.faults[0].where == where
    assert caught.value.faults[0].remedy


@pytest.mark.parametrize(
    ("kind", "fact"),
    [("int", True), ("int", 1.0), ("int", "1"), ("number", False), ("number", float("nan")), ("number", float("inf")),
     ("string", 1), ("bool", 1), ("bool", "true"), ("date", "2026-1-5"), ("date", 5), ("date", "2026-01-05T00:00:00Z"),
     ("datetime", "2026-01-31"), ("datetime", "2026-01-31T25:00:00Z"), ("duration", ""), ("duration", "P"),
     ("duration", "-5m"), ("list", {}), ("map", [])],
)  # fmt: skip
def test_a_fact_of_another_type_has_no_value(kind: str, fact: Any) -> None:
    with pytest.raises(NotOfType):
        read(kind, fact)


@pytest.mark.parametrize(
    ("declared", "fact", "why"),
    [
        ("int", "five", "is not a whole number"),
        ("int", None, "is null"),
        ({"type": "int", "max": 10}, 11, "is outside the bounds"),
        ({"type": "int", "values": [1, 2]}, 3, "is none of the values"),
    ],
)
def test_a_fact_that_is_not_as_declared_is_an_error_of_the_rows_that_need_it_and_of_no_other(
    declared: Any, fact: Any, why: str
) -> None:
    document = table(
        {"c": declared, "vip": "bool"},
        row("vip", {"vip": "true"}, case="v"),
        row("one", {"c": "1", "vip": "false"}, case="x"),
        row("two", {"c": "2", "vip": "-"}, case="y"),
    )  # fmt: skip

    assert choose(load(document), {"c": fact, "vip": True}).case == "v"
    route = choose(load(document), {"c": fact, "vip": False})
    assert (route.case, route.is_fallback) == ("none", True)
    assert route.errors[0].startswith(f"one: c {why}")


def test_cells_and_cel_stand_in_one_table_and_see_the_same_facts() -> None:
    document = table(
        {"day": "date", "wait": "duration", "tags": "list"},
        row("cel", "'x' in tags && day >= '2026-02-01' && wait > 3600", case="a"),
        row("cell", {"day": ">= 2026-02-01", "wait": "> 1h"}, case="b"),
    )  # fmt: skip
    facts = {"day": "2026-02-01", "wait": "PT2H", "tags": ["x"]}

    assert choose(load(document), facts).rule == "cel"
    assert choose(load(document), {**facts, "tags": []}).rule == "cell"
    assert choose(load(document), {**facts, "wait": "60m", "tags": []}).case == "none"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20))
def test_any_text_in_quotes_means_itself(text: str) -> None:
    assert parse(quoted(text), Column("c", "string")).holds(text)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="-0123456789.,()[]<>=!'\"nulotre \\dhmPTZ:a", max_size=24), st.sampled_from(["string", "int", "number", "bool", "date", "datetime", "duration"]))  # fmt: skip  # noqa: E501
def test_whatever_is_typed_is_read_or_refused_with_a_remedy(text: str, kind: str) -> None:
    refused: CellInvalid | None = None
    try:
        parse(text, Column("c", kind, is_optional=True))
    except CellInvalid as error:
        refused = error

    assert refused is None or (refused.faults[0].where.startswith("1:") and refused.faults[0].remedy)


@settings(max_examples=200, deadline=None)
@given(
    st.dates().map(lambda day: ("date", day.isoformat())) | st.integers(0, 10**9).map(lambda n: ("duration", f"PT{n % 10**6}S"))
)
def test_a_value_is_shown_as_a_fact_that_reads_back(pair: tuple[str, str]) -> None:
    kind, fact = pair
    value = read(kind, fact)

    assert read(kind, show(kind, value)) == value
