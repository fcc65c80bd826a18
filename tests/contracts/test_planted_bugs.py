"""The tests of compatibility can see: each bug planted in the proofs calls something compatible that loses messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestration.contracts import compatibility, plain, subsumption
from orchestration.contracts.checker import compile_schema
from tests.contracts.test_compatibility import LIST, NUMBER, TEXT, WHOLE, message

Plant = Callable[[pytest.MonkeyPatch], None]

#: (old, new, a message that the new version loses): pairs that no proof may call compatible.
LOSING: tuple[tuple[Any, Any, Any], ...] = (
    (message({"a": TEXT}), message({"a": {**TEXT, "format": "email"}}), {"a": "x"}),
    (message({"a": TEXT}), message({"a": {**TEXT, "pattern": "^a"}}), {"a": "b"}),
    (message({"a": TEXT}), message({"a": {**TEXT, "maxLength": 1}}), {"a": "xx"}),
    (message({"a": NUMBER}), message({"a": WHOLE}), {"a": 0.5}),
    (message({"a": NUMBER}), message({"a": {**NUMBER, "minimum": 0}}), {"a": -1}),
    (message({"a": TEXT}), message({"a": TEXT}, "a"), {}),
    (message({"a": TEXT}, extra=True), message({"a": TEXT}), {"b": 1}),
    (message({"a": LIST}), message({"a": {**LIST, "uniqueItems": True}}), {"a": [1, 1]}),
    (message({"a": LIST}), message({"a": {**LIST, "maxItems": 1}}), {"a": [1, 2]}),
    (message({"a": {"enum": ["x", "y"]}}), message({"a": {"enum": ["x"]}}), {"a": "y"}),
    (message({"a": {"anyOf": [TEXT, WHOLE]}}), message({"a": TEXT}), {"a": 1}),
    (message({"a": WHOLE}), message({"a": {"oneOf": [WHOLE, NUMBER]}}), {"a": 1}),
    (message({"a": TEXT}, extra=True), message({"a": TEXT}, extra=True, dependentRequired={"a": ["b"]}), {"a": "x"}),
    (message({"a": TEXT}, extra=True), message({"a": TEXT}, extra=True, propertyNames={"maxLength": 1}), {"bb": 1}),
)


def wrongly_compatible() -> Iterator[Any]:
    for old, new, lost in LOSING:
        assert compile_schema(old).accepts(lost)
        assert not compile_schema(new).accepts(lost)
        if not compatibility.losses(taker=("new", new), giver=("old", old)):
            yield lost


def texts_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """A format, a pattern or a length is taken for a remark."""
    patch.setattr(subsumption, "texts", lambda nodes, wide: iter(()))


def numbers_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subsumption, "numbers", lambda nodes, wide, *, is_whole: iter(()))


def a_number_is_as_good_as_a_whole_one(patch: pytest.MonkeyPatch) -> None:
    true_kinds = subsumption._kinds
    patch.setattr(subsumption, "_kinds", lambda nodes: true_kinds(nodes) - {"fraction"})


def lists_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subsumption._Walk, "_arrays", lambda self, nodes, wide: iter(()))


def fields_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subsumption._Walk, "_objects", lambda self, nodes, wide: iter(()))


def gaps_below_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subsumption, "_below", lambda found, part, wrap: iter(()))


def one_branch_of_a_choice_speaks_for_all(patch: pytest.MonkeyPatch) -> None:
    true_choice = subsumption._choice

    def first(nodes: Any) -> Any:
        found = true_choice(nodes)
        return (found[0], [*found[1]][:1]) if found else found

    patch.setattr(subsumption, "_choice", first)


def exactly_one_means_at_least_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subsumption, "_is_alone", lambda fitting, tried: True)


def what_is_not_understood_is_passed_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subsumption, "_AS_WRITTEN", {})


def two_nodes_with_one_type_are_the_same(patch: pytest.MonkeyPatch) -> None:
    def alike(one: Any, other: Any) -> bool:
        return isinstance(one, dict) and isinstance(other, dict) and one.get("type") == other.get("type")

    patch.setattr(plain, "is_same", alike)


def a_value_of_a_list_is_not_tried(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(subsumption, "_accepts", lambda node, value, **more: True)


PLANTS: tuple[Plant, ...] = (
    texts_are_not_compared, numbers_are_not_compared, a_number_is_as_good_as_a_whole_one, lists_are_not_compared,
    fields_are_not_compared, gaps_below_are_forgotten, one_branch_of_a_choice_speaks_for_all, exactly_one_means_at_least_one,
    what_is_not_understood_is_passed_over, two_nodes_with_one_type_are_the_same, a_value_of_a_list_is_not_tried,
)  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    assert [*wrongly_compatible()]


def test_without_a_plant_nothing_is_caught() -> None:
    assert [*wrongly_compatible()] == []


def test_a_comparison_that_gave_up_is_not_called_compatible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subsumption, "MAX_STEPS", 0)

    assert all(compatibility.losses(("new", new), ("old", old)) for old, new, _ in LOSING)


def test_a_counterexample_that_nobody_checked_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the walk tries is a guess: each shown example was taken by one checker and refused by the other."""
    guesses = subsumption.gaps
    wrong = {"a": "neither version refuses this for the reason given"}

    def guessing(wide: Any, narrow: Any) -> Any:
        return [subsumption.replace(gap, tries=(wrong,)) for gap in guesses(wide, narrow)]

    monkeypatch.setattr(subsumption, "gaps", guessing)
    (loss,) = compatibility.losses(("new", message({"a": TEXT}, "a")), ("old", message({"a": TEXT})))

    assert not loss.is_proven
