"""Every hit policy does what DMN 1.5, section 8.2.8 says; what that leaves open is settled and recorded, not left to chance."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.routing.publishing import faults_of
from orchestration.routing.tables import TableInvalid, choose, load
from tests.routing.writing import row, table

N = {"n": "int"}


def answer(document: Any, n: Any) -> tuple[str, dict[str, Any]]:
    route = choose(load(document), {"n": n})
    return route.rule, route.output


UNIQUE = table(
    N, row("low", {"n": "< 10"}, case="a"), row("mid", {"n": "[10..20]"}, case="b"), row("high", {"n": "> 20"}, case="c"),
    row("again", {"n": "[50..60]"}, case="d"), hit_policy="Unique",
)  # fmt: skip


@pytest.mark.parametrize(
    ("n", "rule", "case"),
    [(-5, "low", "a"), (0, "low", "a"), (9, "low", "a"), (10, "mid", "b"), (15, "mid", "b"), (20, "mid", "b"),
     (21, "high", "c"), (49, "high", "c"), (61, "high", "c"), (1000, "high", "c"), (50, "", "none"), (55, "", "none"),
     (60, "", "none")],
)  # fmt: skip
def test_unique_answers_by_the_one_rule_and_never_by_one_of_two(n: int, rule: str, case: str) -> None:
    route = choose(load(UNIQUE), {"n": n})

    assert (route.rule, route.case) == (rule, case)
    assert route.errors == (() if rule else ("Unique, but high and again match",))
    assert route.is_fallback == (not rule)


ANY = table(
    N, row("even", {"n": "2, 4, 6, 8"}, case="x", k=1), row("small", {"n": "< 5"}, case="x", k=1),
    row("eight", {"n": "8"}, case="y", k=1), row("six", {"n": "[6..7]"}, case="x", k=2),
    outputs={"k": "int"}, default={"case": "none", "k": 0}, hit_policy="Any",
)  # fmt: skip


@pytest.mark.parametrize(
    ("n", "rules", "case"),
    [(2, "even,small", "x"), (4, "even,small", "x"), (1, "small", "x"), (3, "small", "x"), (0, "small", "x"),
     (-9, "small", "x"), (7, "six", "x"), (5, "", "none"), (9, "", "none"), (100, "", "none"), (8, "", "none"),
     (6, "", "none")],
)  # fmt: skip
def test_any_answers_where_all_hits_agree(n: int, rules: str, case: str) -> None:
    route = choose(load(ANY), {"n": n})

    assert (route.rule, route.case) == (rules, case)
    assert bool(route.errors) == (n in (6, 8))  # they differ in an output: k, or the case


PRIORITY = table(
    N, row("minor", {"n": "> 0"}, case="l1", urgency="P3"), row("major", {"n": "> 50"}, case="l2", urgency="P1"),
    row("mean", {"n": "> 20"}, case="l1", urgency="P2"), row("odd", {"n": "33"}, case="l2", urgency="P2"),
    row("vip", {"n": "[77..79]"}, tier=1, case="l1", urgency="P3"),
    row("vip-2", {"n": "78"}, tier=1, case="l2", urgency="P3"), row("vip-3", {"n": "79"}, tier=2, case="l2", urgency="P1"),
    outputs={"urgency": "string"}, default={"case": "none", "urgency": "P3"}, hit_policy="Priority",
    priority=[{"output": "urgency", "order": ["P1", "P2", "P3"]}, {"output": "case", "order": ["l2", "l1"]}],
)  # fmt: skip


@pytest.mark.parametrize(
    ("n", "rule"),
    [(0, ""), (-3, ""), (1, "minor"), (20, "minor"), (21, "mean"), (32, "mean"), (50, "mean"), (51, "major"), (500, "major"),
     (33, "odd"),  # the same urgency as mean: the second output decides
     (77, "vip"),  # a tier comes before every output
     (78, "vip-2"), (79, "vip")],
)  # fmt: skip
def test_priority_takes_the_best_hit_by_tier_then_outputs_then_row(n: int, rule: str) -> None:
    assert answer(PRIORITY, n)[0] == rule


def test_priority_does_not_depend_on_the_order_of_rows() -> None:
    turned = table(
        N, *reversed(PRIORITY["spec"]["rules"]), **{k: v for k, v in PRIORITY["spec"].items() if k not in ("inputs", "rules")}
    )

    assert [answer(turned, n) for n in range(-5, 120)] == [answer(PRIORITY, n) for n in range(-5, 120)]


def test_under_priority_what_nothing_else_decides_the_row_does() -> None:
    rows = [row("a", {"n": "> 0"}, tier=1, case="x"), row("b", {"n": "> 0"}, tier=1, case="y")]

    assert answer(table(N, *rows, hit_policy="Priority"), 1)[0] == "a"
    assert answer(table(N, *reversed(rows), hit_policy="Priority"), 1)[0] == "b"


LISTED = {
    "outputs": {"level": "string"}, "default": {"case": "none"},
}  # fmt: skip
LIST_ROWS = [
    row("c", {"n": "> 0"}, case="first", level="low"), row("a", {"n": "> 10"}, case="second", level="high"),
    row("b", {"n": "> 5"}, case="third", level="mid"),
]  # fmt: skip
IN_ORDER = [(0, ""), (-1, ""), (1, "c"), (5, "c"), (6, "c,b"), (9, "c,b"), (10, "c,b"), (11, "c,a,b"), (12, "c,a,b"),
            (99, "c,a,b"), (1_000, "c,a,b"), (2**53 - 1, "c,a,b")]  # fmt: skip


@pytest.mark.parametrize(("n", "rules"), IN_ORDER)
def test_rule_order_lists_all_hits_as_written_and_takes_the_case_of_the_first(n: int, rules: str) -> None:
    found, output = answer(table(N, *LIST_ROWS, **LISTED, hit_policy="Rule order"), n)

    assert found == rules
    by_id = {one["id"]: one["then"] for one in LIST_ROWS}
    assert output == {"case": "first" if rules else "none", "hits": [by_id[name] for name in rules.split(",") if name]}


@pytest.mark.parametrize(
    ("n", "rules", "case"),
    [(0, "", "none"), (1, "c", "first"), (2, "c", "first"), (5, "c", "first"), (6, "b,c", "third"), (7, "b,c", "third"),
     (10, "b,c", "third"), (11, "a,b,c", "second"), (12, "a,b,c", "second"), (50, "a,b,c", "second"), (-7, "", "none"),
     (999, "a,b,c", "second")],
)  # fmt: skip
def test_output_order_lists_all_hits_the_best_first_and_takes_its_case(n: int, rules: str, case: str) -> None:
    ranked = [{"output": "level", "order": ["high", "mid", "low"]}]
    document = table(N, *LIST_ROWS, **LISTED, hit_policy="Output order", priority=ranked)

    found, output = answer(document, n)

    assert (found, output["case"]) == (rules, case)
    assert [hit["level"] for hit in output["hits"]] == sorted(
        (hit["level"] for hit in output["hits"]), key=["high", "mid", "low"].index
    )


POINTS = [
    row("old", {"n": "> 10"}, points=5), row("large", {"n": "> 20"}, points=30), row("odd", {"n": "21, 23"}, points=-7),
]  # fmt: skip
BANDS = [{"when": ">= 30", "case": "high"}, {"when": "(0..30)", "case": "some"}, {"when": "-", "case": "bad"}]


def collect(aggregation: str, **more: Any) -> Any:
    spec = {"outputs": {"points": "int"}, "default": {"case": "none", "points": 0}, "of": "points", "cases": BANDS, **more}
    return table(N, *POINTS, hit_policy="Collect", aggregation=aggregation, **spec)


VECTORS = [0, 10, 11, 15, 20, 21, 22, 23, 24, 30, 99, -4]


@pytest.mark.parametrize("n", VECTORS)
@pytest.mark.parametrize(("aggregation", "make"), [("sum", sum), ("min", min), ("max", max)])
def test_collect_takes_sum_least_or_greatest_and_the_case_follows(aggregation: str, make: Any, n: int) -> None:
    amounts = [points for points, hit in ((5, n > 10), (30, n > 20), (-7, n in (21, 23))) if hit]

    output = answer(collect(aggregation), n)[1]

    if not amounts:
        assert output == {"case": "none", "points": 0}
        return
    wanted = make(amounts)
    assert output == {"case": "high" if wanted >= 30 else "some" if wanted > 0 else "bad", "points": wanted}


@pytest.mark.parametrize("n", VECTORS)
def test_collect_counts_hits_not_different_outputs(n: int) -> None:
    bands = [{"when": ">= 3", "case": "many"}, {"when": "-", "case": "few"}]
    same = [row("again", {"n": "> 10"}, points=5)]
    document = table(
        N, *POINTS, *same, outputs={"points": "int"}, hit_policy="Collect", aggregation="count", cases=bands
    )  # fmt: skip
    count = 2 * (n > 10) + (n > 20) + (n in (21, 23))

    assert answer(document, n)[1] == {"case": "many" if count >= 3 else "few" if count else "none", "count": count}


@pytest.mark.parametrize("n", VECTORS)
def test_collect_lists_hits_as_they_are(n: int) -> None:
    bands = [{"when": 1, "case": "one"}, {"when": "> 1", "case": "more"}]
    document = table(N, *POINTS, outputs={"points": "int"}, hit_policy="Collect", cases=bands)
    amounts = [points for points, hit in ((5, n > 10), (30, n > 20), (-7, n in (21, 23))) if hit]

    output = answer(document, n)[1]

    assert output["hits"] == [{"points": points} for points in amounts]
    assert output["case"] == {0: "none", 1: "one"}.get(len(amounts), "more")


def test_a_sum_of_fractions_does_not_depend_on_the_order_of_rows() -> None:
    amounts = [0.1, 0.2, 0.3, 1e16, -1e16, 0.7]
    rows = [row(f"r{index}", {"n": "1"}, points=amount) for index, amount in enumerate(amounts)]
    spec = {"outputs": {"points": "number"}, "default": {"case": "none", "points": 0}, "of": "points", "aggregation": "sum",
            "hit_policy": "Collect", "cases": [{"when": "-", "case": "x"}]}  # fmt: skip

    sums = {answer(table(N, *order, **spec), 1)[1]["points"] for order in (rows, rows[::-1], rows[2:] + rows[:2])}

    assert len(sums) == 1


def test_a_sum_beyond_what_json_holds_is_an_error_and_gives_the_default() -> None:
    rows = [row(f"r{index}", {"n": "1"}, points=2**53 - 1) for index in range(2)]
    document = collect("sum")
    document["spec"]["rules"] = rows

    route = choose(load(document), {"n": 1})

    assert (route.case, route.is_fallback, route.errors) == ("none", True, ("the sum of points is too large",))


@pytest.mark.parametrize("policy", ["Unique", "Any", "Rule order", "Output order", "Collect"])
def test_where_all_rules_count_one_that_cannot_be_judged_gives_the_default(policy: str) -> None:
    spec: dict[str, Any] = {"hit_policy": policy}
    if policy == "Output order":
        spec["priority"] = [{"output": "case", "order": ["x", "y"]}]
    then: dict[str, Any] = {"case": "x"}
    if policy == "Collect":
        spec["cases"], then = [{"when": "-", "case": "x"}], {}
    document = table({"n": "int", "m": "int"}, row("a", {"n": "1"}, **then), row("b", {"m": "1"}, **then), **spec)

    route = choose(load(document), {"n": 1})

    assert (route.case, route.is_fallback) == ("none", True)
    assert route.errors == ("b: m is missing",)


def test_a_table_without_a_default_answers_nothing_for_what_it_cannot_judge() -> None:
    document = table({"vip": "bool"}, row("a", {"vip": "true"}, case="x"), row("b", {"vip": "false"}, case="y"), default=None)
    assert faults_of(document) == []

    route = choose(load(document), {})

    assert (route.case, route.output, route.is_fallback, route.errors) == ("", {}, True, ("a: vip is missing",))


@pytest.mark.parametrize(
    ("spec", "where", "what"),
    [
        (
            {"hit_policy": "Unique", "rules": [row("a", {"n": "1"}, tier=1, case="x")]},
            "/spec/rules/0/tier",
            "means nothing under",
        ),
        ({"hit_policy": "Priority"}, "/spec/hit_policy", "nothing says which hit is the best"),
        ({"hit_policy": "Output order"}, "/spec/hit_policy", "nothing says which hit is the best"),
        ({"priority": [{"output": "case", "order": ["x"]}]}, "/spec/priority", "means nothing under First"),
        ({"hit_policy": "Priority", "priority": [{"output": "q", "order": [1]}]}, "/spec/priority/0/output", "no output 'q'"),
        ({"hit_policy": "Priority", "priority": [{"output": "case", "order": ["y"]}]}, "/spec/rules/0/then/case", "no place"),
        ({"hit_policy": "Priority", "priority": [{"output": "case", "order": ["x", "x"]}]}, "/spec/priority/0/order", "twice"),
        ({"aggregation": "sum"}, "/spec/aggregation", "means nothing under First"),
        ({"of": "n"}, "/spec/of", "means nothing under First"),
        ({"cases": BANDS}, "/spec/cases", "means nothing under First"),
        ({"hit_policy": "Collect"}, "/spec/cases", "nothing says which"),
        ({"hit_policy": "Collect", "cases": BANDS}, "/spec/rules/0/then/case", "one row alone decides nothing"),
        ({"hit_policy": "Collect", "cases": BANDS, "aggregation": "sum", "rules": []}, "/spec/of", "needs a number"),
        ({"hit_policy": "Collect", "cases": BANDS, "of": "n", "rules": []}, "/spec/of", "collects whole hits"),
        ({"hit_policy": "Collect", "cases": BANDS[:1], "rules": []}, "/spec/cases", "no case takes count = 1"),
        (
            {"hit_policy": "Collect", "cases": [{"when": "x", "case": "y"}], "rules": []},
            "/spec/cases/0/when 1:1",
            "whole number",
        ),
        ({"hit_policy": "Rule order", "outputs": {"hits": "list"}, "rules": []}, "/spec/outputs/hits", "itself answers"),
    ],
)
def test_a_document_that_contradicts_its_hit_policy_is_refused_with_the_place(spec: Any, where: str, what: str) -> None:
    document = table(N, **{"rules": [row("a", {"n": "1"}, case="x")], **spec})

    with pytest.raises(TableInvalid) as caught:
        load(document)

    first = caught.value.faults[0]
    assert first.where == where
    assert what in first.what
    assert first.remedy


@settings(max_examples=200, deadline=None)
@given(st.integers(-5, 60), st.permutations(range(4)))
def test_unique_any_and_collected_numbers_do_not_depend_on_the_order_of_rows(n: int, order: list[int]) -> None:
    for document in (UNIQUE, ANY, collect("sum"), collect("min"), collect("max")):
        rows = document["spec"]["rules"]
        turned = {**document, "spec": {**document["spec"], "rules": [rows[place] for place in order if place < len(rows)]}}

        one, other = choose(load(document), {"n": n}), choose(load(turned), {"n": n})

        assert (one.output, one.is_fallback) == (other.output, other.is_fallback)
