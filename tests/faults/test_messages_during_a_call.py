"""Somebody has something to tell a run whose agent is still thinking: the message wins, the late answer is dropped."""

from __future__ import annotations

import pytest

from orchestration.engine import verbs
from orchestration.engine.models import Run
from tests.faults import agents, hands
from tests.support.sink import Sink

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_cancel_wins_over_the_call_in_flight(house: Sink) -> None:
    agents.behaviours["slow"] = thoughts = hands.Slow()
    run = hands.submit("D-1", "slow")
    worker = hands.Worker()
    worker.claim()
    worker.turn()
    assert thoughts.thinking.wait(hands.ANSWER_SECONDS)

    verbs.cancel_run(run.pk, person=hands.person("rita"), actor=hands.actor("rita"), reason="not needed any more")
    worker.hear_messages()
    worker.turn()
    cancelled = hands.everything_about(run)
    thoughts.released.set()
    worker.hear_answer()
    worker.turn()

    run.refresh_from_db()
    assert (run.status, run.lease_until) == (Run.Status.CANCELLED, None)
    assert hands.types_of(run) == ["run.submitted", "step.started", "run.cancelled"]
    assert hands.everything_about(run) == cancelled
    assert house.arrivals == []
    hands.assert_whole()


def test_an_answer_that_came_first_stands_and_the_cancel_ends_what_follows(house: Sink) -> None:
    run = hands.submit("D-2")
    worker = hands.Worker()
    worker.claim()
    worker.turn()
    worker.hear_answer()

    verbs.cancel_run(run.pk, person=hands.person("rita"), actor=hands.actor("rita"), reason="too late for the agent")
    worker.turn()  # takes the answer; the message was posted after the claim, and is read with the next look
    hands.Worker().drive()
    worker.drive()

    run.refresh_from_db()
    assert run.status == Run.Status.CANCELLED
    assert "step.completed" in hands.types_of(run)
    hands.assert_whole()


def test_a_cancel_after_the_end_is_refused_and_changes_nothing(house: Sink) -> None:
    run = hands.submit("D-3")
    hands.Worker().drive()
    before = hands.everything_about(run)

    with pytest.raises(verbs.RunAtRest):
        verbs.cancel_run(run.pk, person=hands.person("rita"), actor=hands.actor("rita"), reason="too late")

    assert hands.everything_about(run) == before
