"""The tests of masking can see: each bug planted here is one that a release could have, and some canary comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestration.authority import revealing
from orchestration.contracts import marks, taint
from orchestration.engine import masking
from tests.masking.canaries import leaks
from tests.masking.test_port import searchable_by, shown_to

pytestmark = pytest.mark.django_db(transaction=True)

Plant = Callable[[pytest.MonkeyPatch], None]


def a_gate_reveals_too(patch: pytest.MonkeyPatch) -> None:
    """Whoever is not denied outright sees."""
    patch.setattr(masking, "hidden_from", lambda viewer, kinds: frozenset())


def only_what_stands_under_a_contract_is_masked(patch: pytest.MonkeyPatch) -> None:
    """A request, a rationale, a reason or an error may say what the contract hides."""
    patch.setattr(taint.Taint, "text", lambda self, text: text)


def a_value_is_known_in_one_spelling(patch: pytest.MonkeyPatch) -> None:
    """ "DE44 5001" is not "DE445001"."""
    patch.setattr(taint, "MIN_SQUEEZED", 10_000)


def a_broken_message_is_masked_where_its_contract_knows_it(patch: pytest.MonkeyPatch) -> None:
    true_mask = marks.mask
    patch.setattr(marks, "mask", lambda marked, value, hidden, *, is_broken=False: true_mask(marked, value, hidden))
    true_hidden = marks.hidden_values
    plain = lambda marked, value, hidden, *, is_broken=False: true_hidden(marked, value, hidden)  # noqa: E731
    patch.setattr(marks, "hidden_values", plain)
    patch.setattr(taint.Taint, "text", lambda self, text: text)


def a_reference_hides_nothing(patch: pytest.MonkeyPatch) -> None:
    """A mark behind `$ref` is not read."""
    patch.setattr(marks, "target_of", lambda root, reference: {})


def messages_stand_under_no_contract(patch: pytest.MonkeyPatch) -> None:
    """What a run heard is told to nobody who looks for hidden values."""
    patch.setattr(masking, "_message_places", lambda streams: {})
    patch.setattr(masking, "_SENT", "")


def parameters_of_capabilities_hide_nothing(patch: pytest.MonkeyPatch) -> None:
    true_hidden = masking._hidden_of
    patch.setattr(masking, "_hidden_of", lambda viewer: replace(true_hidden(viewer), contracts={}))


def a_release_that_cannot_be_read_opens_everything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(masking, "_loaded", lambda release_id: None)
    patch.setattr(masking.Veil, "payload", lambda self, place, name, value: value)


PLANTS: tuple[Plant, ...] = (
    a_gate_reveals_too, only_what_stands_under_a_contract_is_masked, a_broken_message_is_masked_where_its_contract_knows_it,
    a_reference_hides_nothing, messages_stand_under_no_contract, parameters_of_capabilities_hide_nothing,
    a_release_that_cannot_be_read_opens_everything, a_value_is_known_in_one_spelling,
)  # fmt: skip


def test_each_planted_bug_is_caught_and_without_one_nothing_is(everything: Any, zoe: Any) -> None:
    """One house for all: what is planted changes what is read, never what was written."""
    assert leaks(shown_to(zoe)) == []
    missed = []
    for plant in PLANTS:
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            if not leaks(shown_to(zoe)):
                missed.append(plant.__name__)
    assert missed == []
    assert leaks(shown_to(zoe)) == []


def test_a_search_that_passes_over_nothing_is_caught(everything: Any, zoe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert leaks(searchable_by(zoe)) == []
    monkeypatch.setattr(masking.ContractMasker, "unsearchable", lambda self, viewer: None)
    assert leaks(searchable_by(zoe))


def test_only_a_plain_allow_reveals(sensitive_house: Any, zoe: Any, nia: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert revealing.hidden_from(nia, ["customer"]) == frozenset()
    assert revealing.hidden_from(zoe, ["customer"]) == {"customer"}
    true_ask = revealing.ask
    monkeypatch.setattr(revealing, "ask", lambda *arguments: replace(true_ask(*arguments), answer="gate"))
    assert revealing.hidden_from(nia, ["customer"]) == {"customer"}
