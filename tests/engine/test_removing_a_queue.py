"""A review queue stays as long as a run that has not ended could send work to it, whatever the workflows say by now."""

from __future__ import annotations

import pytest

from aegis.core.kinds import Key
from aegis.identity.models import User
from approvals import changes
from approvals.errors import ChangeInvalid
from orchestration.agents.protocol import Done
from orchestration.engine import verbs
from orchestration.engine.models import ReviewQueue, Run
from orchestration.engine.queue_kind import _names_queue
from orchestration.workflows.models import WorkflowRelease
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)
LATER = Key("ReviewQueue", "later")
STEPS = [
    {"id": "write", "agent": "clerk", "output": "anything@1", "on_failure": {"timeout": {"queue": "later"}}},
    {"id": "keep", "act": "steps.write.output.note"},
]


@pytest.fixture
def moved_on(person, ada: User, sam: User) -> Run:
    """A run at its gate, begun when `notes` still named the queue `later`."""
    house.answers.clear()
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    zoe = person("zoe", "Support leads")
    later = {"groups": ["Support leads"], "service_time": "4h", "owner": "Support leads"}
    house.bootstrap([*house.documents(effect="gate", steps=STEPS), house.document("ReviewQueue", "later", later)])
    run = house.submit(zoe)
    house.drive(run)
    notes = next(one for one in house.documents(effect="gate") if one["kind"] == "Workflow")
    propose(ada, (Key("Workflow", "notes"), notes))
    return run


def propose(person: User, *documents: tuple[Key, object]) -> None:
    changes.propose(documents, author=person, actor=house.actor_for(person), reason="moving on")


def test_a_queue_that_a_run_on_its_way_may_still_need_is_not_removed(moved_on: Run, ada: User) -> None:
    with pytest.raises(ChangeInvalid) as refusal:
        propose(ada, (LATER, None))

    (fault,) = refusal.value.faults
    assert fault.what == ("It cannot be removed: a run that has not ended may still send work to it (notes version 1)")
    assert ReviewQueue.objects.filter(name="later").exists()


def test_once_the_run_has_ended_the_queue_may_go(moved_on: Run, ada: User) -> None:
    person = User.objects.get(username="zoe")
    verbs.cancel_run(moved_on.pk, person=person, actor=house.actor_for(person), reason="not needed")
    house.drive(moved_on)
    assert moved_on.status == Run.Status.CANCELLED

    propose(ada, (LATER, None))

    assert not ReviewQueue.objects.filter(name="later").exists()


def test_a_failure_action_and_the_fallback_name_a_queue_and_a_step_does_not(moved_on: Run) -> None:
    release = WorkflowRelease.objects.get(runs=moved_on)

    assert _names_queue(release.document, "later")
    assert _names_queue(release.document, "people")
    assert not _names_queue(release.document, "write")
