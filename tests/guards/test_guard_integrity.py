"""`journal verify` notices rows of guards that were changed behind their events."""

from __future__ import annotations

import pytest

from audit import journal
from orchestration.engine.guards import verbs
from orchestration.engine.guards.models import Breaker, Halt, HeldRun
from tests.engine import house
from tests.guards.desk import submit_many

pytestmark = pytest.mark.django_db


@pytest.fixture
def stopped(notes, as_ada):
    """A halt, a breaker opened by hand, two held runs."""
    verbs.halt("agent", "clerk", actor=as_ada, reason="stop")
    verbs.open_breaker("capability", "note.write", actor=as_ada, reason="stop")
    runs = submit_many(notes, 2)
    house.drive(*runs)
    assert journal.verify().problems == []
    return runs


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda: Halt.objects.update(status="lifted"), "the halt is lifted, its events say otherwise"),
        (lambda: Breaker.objects.update(phase="closed"), "the breaker is closed, its events say otherwise"),
        (lambda: HeldRun.objects.all()[:1].get().delete(), "the run is held, and in no queue of the held"),
    ],
    ids=["a halt lifted", "a breaker closed", "a held run forgotten"],
)
def test_a_row_that_was_changed_by_hand_is_named(stopped, forge, said):
    forge()

    assert [problem.why for problem in journal.verify().problems] == [said]


def test_a_run_in_the_queue_that_is_not_held_is_named(stopped, notes):
    free = house.submit(notes)
    HeldRun.objects.create(run=free, guard="halt:x", priority=3, submitted_at=free.submitted_at, since=free.submitted_at)

    problems = journal.verify().problems

    assert [(problem.stream, problem.why) for problem in problems] == [
        (free.stream, "the run is in the queue of the held, and is not held")
    ]
