"""A worker that was presumed dead comes back: it must not write anything (promise 5, HAZARDS F14)."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from orchestration.engine.models import Run
from tests.faults import agents, hands
from tests.support.sink import Sink

pytestmark = pytest.mark.django_db(transaction=True)


def taken_over() -> tuple[Run, hands.Worker, hands.Worker]:
    """A run that one worker has in hand while another claimed it after the lease had ended; neither has committed."""
    run = hands.submit("A-1")
    slow, quick = hands.Worker(), hands.Worker()
    assert slow.claim() == 1
    hands.end_lease(run)
    assert quick.claim() == 1
    return run, slow, quick


def stale_commit_changed(run: Run, slow: hands.Worker) -> bool:
    """Let the slow worker take its turn; did anything of the run change?"""
    before = hands.everything_about(run)
    slow.turn()
    return hands.everything_about(run) != before


def test_its_commit_is_refused_and_nothing_is_written(house: Sink) -> None:
    run, slow, quick = taken_over()

    assert not stale_commit_changed(run, slow)

    assert slow.held == {}
    quick.drive()
    run.refresh_from_db()
    assert run.status == Run.Status.COMPLETED
    assert list(house.counts().values()) == [1]
    hands.assert_whole()


def test_its_commit_is_refused_after_the_other_has_finished_too(house: Sink) -> None:
    run, slow, quick = taken_over()
    quick.drive()

    assert not stale_commit_changed(run, slow)

    assert hands.types_of(run).count("step.started") == 1
    hands.assert_whole()


def test_the_answer_it_waited_for_falls_on_the_floor(house: Sink) -> None:
    agents.behaviours["slow"] = thoughts = hands.Slow()
    run = hands.submit("A-2", "slow")
    slow = hands.Worker()
    slow.claim()
    slow.turn()  # the intent is committed, the agent thinks
    hands.end_lease(run)
    hands.Worker().drive()  # another worker loses the call, asks again, and finishes
    thoughts.released.set()
    slow.hear_answer()

    assert not stale_commit_changed(run, slow)

    types = hands.types_of(run)
    assert (types.count("step.lost"), types.count("step.completed"), types[-1]) == (1, 1, "run.completed")
    assert list(house.counts().values()) == [1]
    hands.assert_whole()


def test_renewing_does_not_bring_a_lost_run_back(house: Sink) -> None:
    run, slow, _ = taken_over()
    lease_of_quick = hands.everything_about(run)["lease_until"]

    slow.hear_messages()

    assert slow.held == {}
    assert hands.everything_about(run)["lease_until"] == lease_of_quick


def test_an_update_without_the_fence_would_be_seen(house: Sink) -> None:
    """The planted bug: the commit matches on the position only, so a worker that lost its lease writes over the new holder."""
    run, slow, _ = taken_over()

    def without_fence(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        return execute(
            sql.replace("AND fence = %s AND seq = %s", "AND fence <> -%s AND seq = %s").replace("AND r.fence = v.fence", ""),
            params,
            many,
            context,
        )

    with connection.execute_wrapper(without_fence):
        assert stale_commit_changed(run, slow)
