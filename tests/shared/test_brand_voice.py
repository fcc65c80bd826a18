"""A brand's style rules, written by others for another linter: which can be had here, and what they find."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import pytest

from examples.content_pipeline.style import vale
from examples.content_pipeline.style.engine import check
from examples.content_pipeline.style.rules import RuleSet
from tests.conftest import SHARED
from tests.support.report import say

pytestmark = pytest.mark.shared_data
FOLDER = SHARED / "brand_voice"

# Sentences of ours for the rules that no expected finding is about: (rule, text, places as (line, column)).
OURS = [
    ("AMPM", "Come at 5PM or 6 pm.\n\nCome at 5 PM.", [(1, 9), (1, 16)]),
    ("Acronyms", "The WHO and the API.\n\nThe Office of Fair Trade (OFT) and the OFT.", [(1, 5)]),
    ("Adverbs", "It quickly boils.\n\nIt boils.", [(1, 4)]),
    ("Avoid", "The backend and so on.", [(1, 5), (1, 13)]),
    ("Dashes", "This — and that—yes.", [(1, 5)]),
    ("DateFormat", "On 31 July 2016.\n\nOn July 31, 2016.", [(1, 4)]),
    ("DateNumbers", "On March first.\n\nMarch 1.", [(1, 4)]),
    ("DateOrder", "Due 7/31/2016.", [(1, 5)]),
    ("FirstPerson", "It was my idea.", [(1, 8)]),
    ("Foreign", "Tea, e.g. green.", [(1, 6)]),
    ("GeneralURL", "Open the URL.", [(1, 10)]),
    ("Ordinal", "Firstly, firstly fill it.", [(1, 10)]),
    ("Passive", "It was fixed by us.", [(1, 4)]),
    ("Percentages", "About ten percent.\n\n10 percent.", [(1, 7)]),
    ("SentenceLength", f"{'word ' * 31}end.\n\nShort.", [(1, 1)]),
    ("Spacing", "It ends.  It starts.It goes.", [(1, 7), (1, 19)]),
    ("Terms", "An adaptor, an adapter.", [(1, 4)]),
    ("URLFormat", "The URL for it.", [(1, 5)]),
    ("Vocab", "The sample allows it.", [(1, 5), (1, 12)]),
    ("We", "They let us in.", [(1, 10)]),
    ("Wordiness", "In order to win, act.", [(1, 1)]),
]


@cache
def translated() -> tuple[RuleSet, dict[str, str]]:
    return vale.translate(json.loads((FOLDER / "style_rules.json").read_text(encoding="utf-8")))


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / "style_cases.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_rule_is_loaded_or_refused_by_name() -> None:
    accepted, refused = translated()

    say(f"brand_voice: {len(accepted.rules)} of 40 rules loaded, refused: {refused or 'none'}")
    assert len(accepted.rules) + len(refused) == 40
    assert len(accepted.rules) >= 38


def test_rules_find_exactly_what_is_expected_of_them() -> None:
    """A case is about the rules that its findings name; the others were not in force when it was written."""
    accepted, _ = translated()
    proved: Counter[str] = Counter()
    wrong: set[str] = set()
    for case in cases():
        due: dict[str, set[tuple[str, ...]]] = {}
        for one in case["expected"]:
            due.setdefault(one["rule"], set()).add((one["file"], one["line"], one["col"], one["message"]))
        in_force = RuleSet("case", tuple(rule for rule in accepted.rules if rule.id in due))
        findings = [(name, one) for name, text in case["files"].items() for one in check(text, in_force)]
        for rule, places in due.items():
            proved[rule] += len(places)
            said = {(name, str(one.line), str(one.column), one.message) for name, one in findings if one.rule == rule}
            if said != places:
                wrong.add(rule)

    told = f"{proved.total()} expected findings of {len(proved)} rules"
    say(f"brand_voice: {told}; rules with another answer: {sorted(wrong) or 'none'}")
    assert wrong == set()


@pytest.mark.parametrize(("rule", "text", "places"), OURS, ids=[rule for rule, *_ in OURS])
def test_the_rules_that_no_case_is_about_find_what_they_say(rule: str, text: str, places: list[tuple[int, int]]) -> None:
    accepted, _ = translated()
    in_force = RuleSet("one", tuple(one for one in accepted.rules if one.id == f"Microsoft.{rule}"))

    assert [(one.line, one.column) for one in check(text, in_force)] == places


def test_no_rule_is_without_a_text_that_it_speaks_about() -> None:
    about = {one["rule"] for case in cases() for one in case["expected"]} | {f"Microsoft.{rule}" for rule, *_ in OURS}

    assert about == {rule.id for rule in translated()[0].rules}
