"""A table goes out as CSV and comes back the same, no spreadsheet meets a formula, and what is amiss is named by its place."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis.core.errors import AegisError, Malformed
from orchestration.routing.cells import quoted
from orchestration.routing.sheets import SheetInvalid, read, write
from tests.routing.writing import row, table

INPUTS = {"level": "string", "n": "int"}
OUTPUTS = {"queue": "string", "days": "int", "ok": "bool"}


def document(*rows: Any, **spec: Any) -> Any:
    default = {"case": "none", "queue": "", "days": 0, "ok": False}
    return table(INPUTS, *rows, outputs=OUTPUTS, **{"default": default, **spec})


TABLE = document(
    {**row("a", {"level": "'=cmd'", "n": "> 5"}, tier=2, case="x", queue="=1+1", days=-3, ok=True), "title": "@home"},
    row("b", "n > 1 && level == 'x'", case="y", queue="-", days=5, ok=False),
    row("c", {}, case="z", queue="plain", days=5, ok=False),
)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)


def lines(text: str) -> list[list[str]]:
    return list(csv.reader(StringIO(text)))


def test_a_table_comes_back_as_it_was() -> None:
    assert read(write(TABLE).encode(), TABLE) == TABLE


def test_no_cell_is_what_a_spreadsheet_takes_for_a_formula() -> None:
    for cells in lines(write(TABLE)):
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8), min_size=3, max_size=3),
    st.booleans(),
)
def test_any_text_goes_out_and_comes_back(texts: list[str], is_cell: bool) -> None:
    when: Any = {"level": quoted(texts[0])} if is_cell else f"level == {quoted(texts[0])}"
    ours = document({**row("a", when, case="x" + texts[1], queue=texts[2], days=1, ok=True)})

    text = write(ours)

    assert read(text.encode(), ours) == ours
    assert not [cell for cells in lines(text) for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t")]


HEAD = "rule,tier,title,if level,if n,when,then case,then days,then ok,then queue\n"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("rule,if nope,then case,then days,then ok,then queue\n", "line 1, column if nope", "no column of this table"),
        ("if n,then case,then days,then ok,then queue\n", "line 1", "has no column rule"),
        ("rule,then case,then days,then ok\n", "line 1", "has no column then queue"),
        (HEAD + "a,,,,,,x,1,true,q\na b,,,,,,x,1,true,q\n", "line 3, column rule", "is no id"),
        (HEAD + ",,,,,,x,1,true,q\n", "line 2, column rule", "is empty"),
        (HEAD + "a,high,,,,,x,1,true,q\n", "line 2, column tier", "'high' is no tier"),
        (HEAD + "a,100,,,,,x,1,true,q\n", "line 2, column tier", "'100' is no tier"),
        (HEAD + "a,,,,> 5,n > 5,x,1,true,q\n", "line 2, column when", "there are cells in this row too"),
        (HEAD + "a,,,,,,x,one,true,q\n", "line 2, column then days", "'one' is not of type int"),
        (HEAD + "a,,,,,,x,1,maybe,q\n", "line 2, column then ok", "'maybe' is not of type bool"),
        (HEAD + "a,,,,,,x,1,true\n", "line 2", "has fewer cells"),
        (HEAD + "a,,,,,,x,1,true,q,more\n", "line 2", "has more cells"),
        (HEAD + "(default),,,,> 5,,x,1,true,q\n", "line 2, column rule", "the default tests nothing"),
        (HEAD + "(default),,,,,,x,1,true,q\n(default),,,,,,x,1,true,q\n", "line 3, column rule", "a second default"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_column(text: str, where: str, what: str) -> None:
    with pytest.raises(SheetInvalid) as caught:
        read(text.encode(), TABLE)

    assert caught.value.faults[0].where == where
    assert what in caught.value.faults[0].what


@pytest.mark.parametrize("raw", [b"\xff\xfe", b'rule,"then', b"rule,rule\n", b"x" * 1_000_001, b""])
def test_what_is_no_sheet_is_refused(raw: bytes) -> None:
    with pytest.raises((Malformed, SheetInvalid)) as caught:
        read(raw, TABLE)

    assert isinstance(caught.value, AegisError)


def test_a_sheet_without_a_default_row_makes_a_table_without_one() -> None:
    assert "default" not in read((HEAD + "a,,,,,,x,1,true,q\n").encode(), TABLE)["spec"]
