"""The tests of effects can see: each bug planted here is one that a release could have, and the property catches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st

from aegis.core.errors import IntegrityBroken
from orchestration.engine import fold as folding
from orchestration.engine.state import State
from orchestration.engine.steps import effect
from tests.effects import test_properties
from tests.effects.test_properties import HAPPENINGS, check_life

Plant = Callable[[pytest.MonkeyPatch], None]


def unsafe_is_retried(patch: pytest.MonkeyPatch) -> None:
    """Whatever happened before, it may be sent again."""
    patch.setattr(effect, "is_repeatable", lambda intent, matrix: True)


def key_changes_per_attempt(patch: pytest.MonkeyPatch) -> None:
    true_key = effect.effect_key
    patch.setattr(effect, "effect_key", lambda scene: f"{true_key(scene)}/{scene.state.attempt + 1}")


def only_the_live_class_counts(patch: pytest.MonkeyPatch) -> None:
    def live_alone(intent: Any, matrix: Any) -> bool:
        capability = matrix.capabilities.get(intent.capability) if intent else None
        return capability is not None and capability.safety in effect.REPEATABLE

    patch.setattr(effect, "is_repeatable", live_alone)


def undone_in_the_order_done(patch: pytest.MonkeyPatch) -> None:
    """Compensation begins with the oldest effect."""
    true_fold = folding.fold

    def oldest_first(state: State, **event: Any) -> State:
        after = true_fold(state, **event)
        return replace(after, effects=after.effects[::-1]) if event["type"] == "run.compensating" else after

    for module in (folding, *_users_of_fold()):
        patch.setattr(module, "fold", oldest_first)


def an_undo_forgets_that_it_was_done(patch: pytest.MonkeyPatch) -> None:
    """The effect stays on the list after it was undone, so it is undone again."""

    def kept(state: State, key: str, *, is_left: bool = False) -> State:
        return folding._turn_back(state)

    patch.setattr(folding, "_undone", kept)


def a_retry_frees_the_key(patch: pytest.MonkeyPatch) -> None:
    """Sending a step back forgets what was sent before."""
    true_afresh = folding._afresh
    patch.setattr(folding, "_afresh", lambda state, **changes: true_afresh(state, **{"intent": None, **changes}))


def a_lost_worker_is_a_plain_loss(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks what a dead worker may have done."""
    patch.setattr(effect, "may_have_happened", lambda scene: False)
    patch.setattr(effect, "may_repeat", lambda scene: True)


PLANTS: tuple[Plant, ...] = (
    unsafe_is_retried, key_changes_per_attempt, only_the_live_class_counts, undone_in_the_order_done,
    an_undo_forgets_that_it_was_done, a_retry_frees_the_key, a_lost_worker_is_a_plain_loss,
)  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    def is_caught(case: tuple[str, list[str]]) -> bool:
        try:
            check_life(*case)
        except (AssertionError, IntegrityBroken):
            return True
        return False

    cases = st.tuples(st.sampled_from(["unsafe", "keyed", "loosened"]), st.lists(st.sampled_from(HAPPENINGS), max_size=24))
    quick = settings(
        max_examples=3000, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    assert find(cases, is_caught, settings=quick)


def test_without_a_plant_nothing_is_caught() -> None:
    for safety in ("unsafe", "keyed", "loosened"):
        check_life(safety, ["unknown", "retry", "retried", "not_happened", "done", "unavailable", "wait", "cancel", "left"])


def _users_of_fold() -> list[Any]:
    from orchestration.engine import scene
    from tests.engine import world

    return [module for module in (scene, world, test_properties) if hasattr(module, "fold")]
