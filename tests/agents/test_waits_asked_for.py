"""An agent that asks to be left alone (429, 503 with Retry-After) is, within what its step allows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.agents.protocol import CallFailed
from orchestration.workflows.definition import AgentStep, Common, Definition, Retry
from tests.engine.turns import world_with
from tests.engine.world import Life


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0.0, 10), (3.0, 10), (25.0, 25), (60.0, 60), (61.0, 60), (86_400.0, 60), (1e9, 60), (float("inf"), 60)],
)
def test_the_later_of_backoff_and_the_wait_asked_for_never_beyond_the_cap(asked: float, waited: float):
    retry = Retry(attempts=3, backoff=timedelta(seconds=10), factor=2, cap=timedelta(minutes=1), jitter=False)
    step = AgentStep(Common("ask"), agent="clerk", output="out@1", retry=retry)
    definition = Definition(
        name="w", title="W", owner="Desk", input="in@1", business_key="'k'", fallback_queue="people", steps=(step,)
    )
    life = Life(definition, world_with())
    life.turn()

    assert life.reply(CallFailed("rate_limited", "slow down", asked)) == ["step.failed"]
    life.turn()

    assert (life.due_at - life.world.now).total_seconds() == waited
    assert life.events[-1][1]["code"] == "rate_limited"


def test_jitter_shortens_the_backoff_and_not_the_wait_asked_for():
    retry = Retry(attempts=30, backoff=timedelta(seconds=10), factor=1, cap=timedelta(minutes=1), jitter=True)
    step = AgentStep(Common("ask"), agent="clerk", output="out@1", retry=retry)
    definition = Definition(
        name="w", title="W", owner="Desk", input="in@1", business_key="'k'", fallback_queue="people", steps=(step,)
    )
    life = Life(definition, world_with())
    life.turn()
    for _ in range(20):
        life.reply(CallFailed("unavailable", "", 20.0))
        life.turn()
        assert (life.due_at - life.world.now).total_seconds() == 20
        life.world.now = life.due_at
        life.turn()
