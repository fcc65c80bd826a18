"""Style rules of a machine: what a set may say, what it finds, what it mends, and rules that others wrote."""

from __future__ import annotations

import pytest

from examples.content_pipeline.style import vale
from examples.content_pipeline.style.engine import check
from examples.content_pipeline.style.mending import MAX_ROUNDS, mend
from examples.content_pipeline.style.rules import RulesRefused, load
from examples.content_pipeline.style.text import Places, blocks, sentences

TERMS = {"id": "terms", "severity": "warning", "message": "Say {suggestion}, not {found}.", "ignore_case": True}
UTILIZE = {**TERMS, "replace": {"by": {"utilize": "use", "in order to": "to"}, "whole_words": True}, "mend": "suggestion"}


def rule(**spec):
    return {"id": "r", "severity": "error", "message": "{found}", **spec}


def rules(*documents):
    return load({"name": "test", "rules": list(documents)})


def found(text, *documents):
    """(line, column, words or message) of each finding."""
    return [(one.line, one.column, one.message) for one in check(text, rules(*documents))]


# --- where rules look ---


def test_an_offset_in_a_block_is_an_offset_in_the_text():
    text = "# A title\n\nFirst line\nsecond `code` line.\n\n- item *one*\n"

    for block in blocks(text):
        lead = text[block.start : block.start + len(block.text)].replace("\n", " ")
        assert len(lead) == len(block.text)
        assert lead.split()[0] == block.text.split()[0]

    assert [block.is_heading for block in blocks(text)] == [True, False, False]


@pytest.mark.parametrize(
    "text",
    ["<!-- simply -->", "`simply`", "```\nsimply\n```", "~~~\nsimply", "[here](https://simply.example)", '<a title="simply">'],
)
def test_markup_code_and_comments_are_not_read_as_words(text):
    assert found(text, rule(find={"any_of": ["simply"], "whole_words": True})) == []


def test_a_phrase_is_found_across_the_lines_of_one_paragraph_but_not_of_two():
    phrase = rule(find={"any_of": ["in order to"]})

    assert found("We do it in order\nto win.", phrase) == [(1, 10, "in order to")]
    assert found("in order\n\nto win", phrase) == []


def test_sentences_end_at_full_stops_and_not_at_abbreviations():
    text = "Ask Dr. Roe, e.g. by mail. She knows! Does “he”? Yes."

    assert [one.text for one in sentences(blocks(text))] == [
        "Ask Dr. Roe, e.g. by mail.",
        "She knows!",
        "Does “he”?",
        "Yes.",
    ]


def test_places_count_from_one_and_by_characters():
    places = Places("é\nab\n")

    assert [places.of(offset) for offset in (0, 1, 2, 3, 5)] == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]


# --- what rules find ---


def test_a_word_is_found_whole_or_anywhere_as_the_rule_says():
    assert found("A fairytale, fairly told", rule(find={"any_of": ["fair"], "whole_words": True})) == []
    assert found("A fairytale", rule(find={"any_of": ["fair"]})) == [(1, 3, "fair")]


def test_a_rule_of_headings_leaves_the_text_alone():
    shouting = rule(find={"any_of": ["[A-Z]{3,}"]}, scope="heading")

    assert found("# The NASA way\n\nThe NASA way", shouting) == [(1, 7, "NASA")]


def test_a_sentence_that_is_too_long_is_told_at_its_first_word():
    long = rule(at_most={"count": 4, "of": r"\b\w+\b"}, scope="sentence", message="Too long.")

    assert found("One two three. One two three four five.", long) == [(1, 16, "Too long.")]


def test_an_abbreviation_must_be_defined_before_it_is_used():
    defined = rule(defined={"use": r"\b[A-Z]{3,5}\b", "by": r"\(([A-Z]{3,5})\)", "except": ["API"]})

    assert found("The API of the WHO.\n\nThe World Health Organization (WHO) and the WHO.", defined) == [(1, 16, "WHO")]


@pytest.mark.parametrize(
    ("heading", "is_right"),
    [
        ("How to fill the kettle", True),
        ("How to Fill the Kettle", False),
        ("how to fill the kettle", False),
        ("Filling the K2: What to know", True),
        ("Filling the K2: what to know", False),
        ("3. Fill the kettle", True),
        ("Tea in London", True),
    ],
)
def test_headings_have_the_case_of_sentences(heading, is_right):
    case = rule(sentence_case={"except": ["London", "K2"], "indicators": [":"]}, scope="heading")

    assert (found(f"# {heading}", case) == []) is is_right


def test_a_suggestion_that_begins_a_sentence_begins_with_a_capital():
    assert found("Utilize it. We utilize it.", UTILIZE) == [
        (1, 1, "Say Use, not Utilize."),
        (1, 16, "Say use, not utilize."),
    ]


def test_what_already_reads_as_suggested_is_no_finding():
    assert found("5 GB and 5 gb", rule(replace={"by": {"gb": "GB"}}, ignore_case=True)) == [(1, 12, "gb")]


def test_words_of_the_text_are_never_read_as_a_placeholder():
    echo = rule(find={"any_of": [r"\{\w+\}"]}, message="{found} is left over")

    assert found("Dear {suggestion}", echo) == [(1, 6, "{suggestion} is left over")]


def test_the_same_text_and_rules_give_the_same_findings():
    text = "Utilize it in order to win. " * 20

    assert check(text, rules(UTILIZE)) == check(text, rules(UTILIZE))


# --- mending ---


def test_what_is_mechanical_is_mended_and_told_and_the_rest_is_left():
    judged = rule(id="judged", find={"any_of": ["very"], "whole_words": True})

    result = mend("Utilize it. It is very good.", rules(UTILIZE, judged))

    assert result.text == "Use it. It is very good."
    assert [one.rule for one in result.done] == ["terms"]
    assert [one.rule for one in result.left] == ["judged"]


def test_a_rule_may_mend_by_a_pattern_of_its_own():
    spaces = rule(find={"any_of": [r"\s[—–]\s"]}, mend={"pattern": r"\s", "by": ""})

    assert mend("This — and that", rules(spaces)).text == "This—and that"


def test_overlapping_findings_are_mended_one_after_the_other():
    first = rule(id="a", find={"any_of": ["one two"]}, mend={"pattern": "one two", "by": "1 two"})
    second = rule(id="b", find={"any_of": ["two three"]}, mend={"pattern": "two three", "by": "2 three"})

    assert mend("one two three", rules(first, second)).text == "1 2 three"


def test_two_rules_that_undo_one_another_end_and_leave_it_to_a_person():
    there = rule(id="a", find={"any_of": ["tea"]}, mend={"pattern": "tea", "by": "chai"})
    back = rule(id="b", find={"any_of": ["chai"]}, mend={"pattern": "chai", "by": "tea"})

    result = mend("tea", rules(there, back))

    assert len(result.done) == MAX_ROUNDS
    assert len(result.left) == 1


# --- what is refused ---


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        (rule(find={"any_of": ["("]}), "/rules/0/find"),
        (rule(find={"any_of": []}), "/rules/0/find/any_of"),
        (rule(find={"any_of": ["a"]}, scope="table"), "/rules/0/scope"),
        (rule(find={"any_of": ["a"]}, colour="red"), "/rules/0/colour"),
        (rule(find={"any_of": ["a"]}, mend="suggestion"), "/rules/0/mend"),
        (rule(replace={"by": {"(a)": "b"}}), "/rules/0/replace/by"),
        (rule(defined={"use": "a", "by": "b"}), "/rules/0/defined/by"),
        (rule(at_most={"count": 0, "of": "a"}), "/rules/0/at_most/count"),
    ],
)
def test_a_rule_that_cannot_be_used_refuses_the_set_and_is_named(bad, place):
    with pytest.raises(RulesRefused) as refusal:
        load({"name": "test", "rules": [bad]})

    assert place in [fault.where for fault in refusal.value.faults]


def test_two_rules_of_one_id_are_refused():
    with pytest.raises(RulesRefused, match="r is the id of an earlier rule"):
        rules(rule(find={"any_of": ["a"]}), rule(find={"any_of": ["b"]}))


# --- rules that others wrote ---

VALE = {"id": "v", "extends": "existence", "message": "Not '%s'.", "level": "error", "tokens": ["simply"]}


def test_a_rule_of_vale_finds_here_what_it_finds_there():
    accepted, refused = vale.translate([VALE])

    assert refused == {}
    assert [one.message for one in check("We simply go.", accepted)] == ["Not 'simply'."]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"extends": "sequence"}, "extends 'sequence'"),
        ({"vocab": False}, "has vocab"),
        ({"scope": "table.header"}, "scope 'table.header'"),
        ({"level": "fatal"}, "level 'fatal'"),
        ({"tokens": ["("]}, "missing \\)"),
        ({"message": "'%s' and '%s'"}, "asks for more"),
        ({"tokens": []}, "neither tokens nor raw"),
    ],
)
def test_a_rule_of_vale_that_we_cannot_keep_whole_is_refused_by_name(change, why):
    accepted, refused = vale.translate([VALE, {**VALE, "id": "odd", **change}])

    assert [one.id for one in accepted.rules] == ["v"]
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(refused["odd"])
