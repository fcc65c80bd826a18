"""A broken message as a tree: every faulty place marked, however big or hostile the message is."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string

from orchestration.pages.faulttree import MAX_ROWS, Row, Tree, build


def marked(tree: Tree) -> dict[str, tuple[str, ...]]:
    return {row.name: row.faults for row in tree.rows if row.faults}


def test_each_faulty_place_is_marked_and_what_is_missing_gets_a_row():
    message = {"lines": [{"text": "a"}, {"text": 3}], "who": "x"}

    tree = build(message, [("/lines/1/text", "must be text"), ("/lines/0/id", "is missing"), ("", "has too few fields")])

    assert marked(tree) == {"": ("has too few fields",), "text": ("must be text",), "id": ("is missing",)}
    assert next(row for row in tree.rows if row.name == "id") == Row(
        3, "id", "", "missing", ("is missing",), pointer="/lines/0/id"
    )
    assert [row.pointer for row in tree.rows if row.faults] == ["/", "/lines/0/id", "/lines/1/text"]
    assert tree.elsewhere == ()


def test_two_faults_of_one_place_stand_together():
    assert marked(build({"a": 1}, [("/a", "x"), ("/a", "y")])) == {"a": ("x", "y")}


def test_names_with_slashes_and_tildes_are_found():
    assert marked(build({"a/b": {"~": 1}}, [("/a~1b/~0", "x")])) == {"~": ("x",)}


def test_a_place_below_something_of_another_form_is_told_at_the_nearest_one():
    assert marked(build({"a": "text"}, [("/a/b/c", "is missing")])) == {"a": ("is missing (at /b/c below)",)}


def test_a_pointer_that_was_cut_is_told_beside_the_tree():
    assert build({"a": 1}, [("/aaaa…", "is not a field")]).elsewhere == (("/aaaa…", "is not a field"),)


def test_a_huge_message_is_cut_but_its_faulty_places_are_not():
    message: dict[str, Any] = {f"k{n}": {"x": list(range(50))} for n in range(5_000)}

    tree = build(message, [("/k4999/x/49", "must be text"), ("/k2500", "is too much")])

    assert len(tree.rows) <= MAX_ROWS * 2
    assert {"49", "k2500"} == marked(tree).keys()
    assert any(row.form == "rest" for row in tree.rows)


def test_a_deep_message_and_a_long_text_are_bounded():
    deep: Any = "end"
    for _ in range(60):
        deep = {"d": deep}

    tree = build({"deep": deep, "long": "x" * 10_000}, [])

    assert max(row.depth for row in tree.rows) <= 12
    assert next(row for row in tree.rows if row.name == "long").is_cut


def test_hostile_content_is_escaped():
    tree = build({"<script>alert(1)</script>": "</li><img onerror=x>"}, [("/<script>alert(1)</script>", "is not a field <b>")])

    page = render_to_string("deadletters/_tree.html", {"tree": tree})

    assert "<script>" not in page
    assert "<img" not in page
    assert "<b>" not in page


def test_a_fault_is_told_by_icon_and_words_and_not_by_colour_alone():
    page = render_to_string("deadletters/_tree.html", {"tree": build({"a": 1}, [("/a", "must be text")])})

    assert page.count("<svg") == 1
    assert "must be text" in page
