"""Every example the analysis reports is one; brute force finds no overlap, dead row or gap that it did not report."""

from __future__ import annotations

import random
import time
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.routing.analysis import analyse
from orchestration.routing.publishing import analysis_of, faults_of
from orchestration.routing.tables import choose, load, matching
from tests.routing.writing import row, table

INPUTS = {
    "n": {"type": "int", "min": 0, "max": 9},
    "x": "number",
    "s": {"type": "string", "optional": True},
    "b": "bool",
    "v": {"type": "string", "values": ["p", "q", "r"]},
}
CELLS = {
    "n": ["-", "0", "< 4", ">= 4", "[2..6]", "(2..6)", "not(3)", "1, 5, 9", "> 8", "< 3, > 6"],
    "x": ["-", "0", "< 0", ">= 0", "[0.5..1.5]", "(0.5..1.5)", "!= 1", "0.5"],
    "s": ["-", "'a'", "'a', 'b'", "not('a')", "null", "!= null", "'a', null"],
    "b": ["-", "true", "false"],
    "v": ["-", "'p'", "'q', 'r'", "not('p')", "!= 'r'"],
}
#: Enough of each column to meet every piece that the cells above can cut it into.
POINTS = {
    "n": list(range(10)),
    "x": [-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0],
    "s": ["a", "b", "c", None],
    "b": [True, False],
    "v": ["p", "q", "r"],
}
cel = st.sampled_from(
    [
        "n < 4",
        "b && n >= 4",
        "v == 'p' || v == 'q'",
        "x > 0.5 && x < 1.5",
        "!b",
        "n in [1, 5, 9] && b",
        "x < 1.0 && x == 0.5",
        "n % 2 == 0",
    ]
)
cells = st.fixed_dictionaries({}, optional={name: st.sampled_from(found) for name, found in CELLS.items()})
rules = st.lists(st.tuples(cells | cel, st.sampled_from(["k", "l"])), min_size=0, max_size=7)


def document(drawn: list[Any], policy: str) -> Any:
    rows = [row(f"r{index}", when, case=case) for index, (when, case) in enumerate(drawn)]
    return table(INPUTS, *rows, hit_policy=policy)


def points() -> list[dict[str, Any]]:
    return [dict(zip(POINTS, values, strict=True)) for values in product(*POINTS.values())]


ALL_POINTS = points()


@settings(max_examples=150, deadline=None)
@given(rules, st.sampled_from(["First", "Unique", "Any", "Rule order"]))
def test_every_example_is_one_and_brute_force_finds_no_other(drawn: list[Any], policy: str) -> None:
    ours = load(document(drawn, policy))
    analysis = analyse(ours)
    found: dict[str, set[Any]] = {"gap": set(), "dead": set(), "never": set(), "overlap": set()}
    for finding in analysis.findings:
        says = matching(ours, finding.example) if finding.example else {}
        if finding.kind == "gap":
            assert not any(says.values())
            found["gap"].add("some")
        elif finding.kind in ("overlap", "conflict"):
            assert says[finding.rules[0]] is True
            assert says[finding.rules[1]] is True
            found["overlap"].add(frozenset(finding.rules))
        elif finding.kind == "dead":
            assert says[finding.rules[0]] is True
            assert choose(ours, finding.example).rule != finding.rules[0]
            found["dead"].add(finding.rules[0])
        else:
            found["never"].add(finding.rules[0])

    sample = random.Random(len(drawn)).sample(ALL_POINTS, 700)
    won: set[str] = set()
    met: set[str] = set()
    for facts in sample:
        hits = [name for name, outcome in matching(ours, facts).items() if outcome]
        met.update(hits)
        if not hits:
            assert found["gap"] or analysis.stopped or analysis.is_complete is None
        if policy in ("First", "Unique", "Any") and not analysis.stopped:
            judged = [name for name in hits if name not in analysis.unjudged]
            for place, one in enumerate(judged):
                assert all(frozenset((one, other)) in found["overlap"] for other in judged[place + 1 :])
        won.add(choose(ours, facts).rule)
    assert not met & found["never"]
    if policy == "First":
        assert not won & found["dead"]
    if analysis.is_complete:
        assert all(any(matching(ours, facts).values()) for facts in sample)


def test_a_gap_without_a_default_is_refused_with_an_input_and_what_to_do() -> None:
    rows = [row("a", {"n": "< 10"}, case="x"), row("b", {"n": "> 10"}, case="y")]

    (fault,) = faults_of(table({"n": "int"}, *rows, default=None))

    assert (fault.where, fault.code) == ("/spec/rules", "gap")
    assert fault.what == "no rule matches n = 10"
    assert fault.remedy == "add a rule for it, or a default"
    assert faults_of(table({"n": "int"}, *rows)) == []


def test_a_table_without_a_default_is_taken_where_every_input_as_declared_has_a_row() -> None:
    inputs = {"level": {"type": "string", "values": ["low", "high"]}, "n": "number"}
    rows = [row("a", {"level": "'low'"}, case="x"), row("b", {"level": "'high'", "n": "< 1.5"}, case="y"),
            row("c", {"level": "'high'", "n": ">= 1.5"}, case="z")]  # fmt: skip

    assert faults_of(table(inputs, *rows, default=None)) == []
    inputs["level"]["values"].append("none")  # type: ignore[index]
    assert "level = 'none'" in faults_of(table(inputs, *rows, default=None))[0].what


def test_without_a_default_cel_that_cannot_be_analysed_proves_nothing() -> None:
    rows = [row("a", "tags.exists(tag, tag == 'x')", case="x"), row("b", {"n": "> 0"}, case="y")]

    (fault,) = faults_of(table({"tags": "list", "n": "int"}, *rows, default=None))

    assert fault.where in ("/spec/default", "/spec/rules")
    assert fault.remedy in ("add a default", "add a rule for it, or a default")


def test_overlapping_rows_under_unique_are_refused_with_an_input() -> None:
    rows = [row("a", {"n": "[0..10]"}, case="x"), row("b", {"n": "[10..20]"}, case="x")]

    (fault,) = faults_of(table({"n": "int"}, *rows, hit_policy="Unique"))

    assert (fault.where, fault.code) == ("/spec/rules/1", "overlap")
    assert fault.what == "rules 'a' and 'b' both match n = 10"
    assert faults_of(table({"n": "int"}, *rows, hit_policy="Any")) == []


def test_rows_that_disagree_under_any_are_refused_with_an_input() -> None:
    rows = [row("a", {"n": "[0..10]"}, case="x"), row("b", {"n": "[10..20]"}, case="y")]

    (fault,) = faults_of(table({"n": "int"}, *rows, hit_policy="Any"))

    assert fault.what == "rules 'a' and 'b' both match n = 10, and their outputs differ"


def test_cel_that_cannot_be_analysed_is_refused_under_unique() -> None:
    rows = [row("a", {"n": "1"}, case="x"), row("b", "n % 2 == 0", case="y")]

    (fault,) = faults_of(table({"n": "int"}, *rows, hit_policy="Unique"))

    assert (fault.where, fault.remedy) == ("/spec/rules/1/when", "write it as cells, or take the hit policy First")


def test_a_row_that_several_rows_cover_together_is_dead() -> None:
    rows = [row("a", {"n": "<= 5"}, case="x"), row("b", {"n": "> 5"}, case="y"), row("c", {"n": "[4..7]"}, case="z")]

    (fault,) = faults_of(table({"n": "int"}, *rows))

    assert (fault.where, fault.code) == ("/spec/rules/2", "dead")
    assert fault.what == "rule 'c' can never win: rules a, b together, tried before it, match whenever it would"
    assert faults_of(table({"n": "number"}, row("a", {"n": "< 5"}, case="x"), row("b", {"n": "> 5"}, case="y"), rows[2])) == []


def test_a_row_outside_of_its_column_matches_nothing() -> None:
    (fault,) = faults_of(table({"n": {"type": "int", "max": 9}}, row("a", {"n": "> 9"}, case="x")))

    assert (fault.where, fault.code) == ("/spec/rules/0", "never")


@pytest.mark.parametrize("when", ["n > 5 && s == 'a'", "(n > 5) && (s == 'a')", "s in ['a'] && n > 5"])
def test_plain_cel_is_analysed_as_cells_are(when: str) -> None:
    inputs = {"n": "int", "s": "string"}
    rows = [row("a", {"n": "> 5", "s": "'a'"}, case="x"), row("b", when, case="y")]

    assert [fault.code for fault in faults_of(table(inputs, *rows))] == ["dead"]
    assert analysis_of(table(inputs, *rows)).unjudged == ()


def test_the_bound_is_kept_and_said() -> None:
    """Boxes with a corner each: what is left over doubles with every row."""
    names = [f"c{index}" for index in range(14)]
    rng = random.Random(4)
    rows = [
        row(f"r{index}", {name: f"not({rng.randrange(9)})" for name in rng.sample(names, 7)}, case="x") for index in range(200)
    ]
    ours = load(table(dict.fromkeys(names, "int"), *rows, hit_policy="Rule order"))

    began = time.perf_counter()
    analysis = analyse(ours, max_steps=20_000)

    assert analysis.stopped
    assert time.perf_counter() - began < 5


def test_without_a_default_a_bound_that_was_met_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.routing.analysis.MAX_CELLS", 1)
    rows = [row("a", {"n": "<= 77"}, case="x"), row("b", {"n": "> 77"}, case="y")]

    (fault,) = faults_of(table({"n": "int"}, *rows, default=None))

    assert "the analysis met its bound" in fault.what
