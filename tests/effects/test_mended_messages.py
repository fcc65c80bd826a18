"""A message that broke its contract is mended by a person, or its agent is; the run goes on under the same key."""

from __future__ import annotations

import pytest

from orchestration.agents.protocol import Done
from orchestration.engine import deadletters, reviews
from orchestration.engine.deadletters import Filters
from orchestration.engine.models import ReviewItem, Run
from tests.effects.conftest import asked, heard
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

BROKEN = {"pay": {"capability": "note.other"}}


def mended() -> dict[str, object]:
    return {"pay": asked("note.pay", "n-1", amount=5)}


@pytest.fixture
def broken(furnish, sam) -> Run:
    """The clerk's plan breaks its contract, so nobody has paid."""
    furnish()
    house.answers["plan"] = Done(BROKEN, confidence=0.9)
    run = house.submit(sam, {"id": "n-1"})
    house.drive(run)
    return run


def the_key(run: Run) -> str:
    return f"{run.pk}/pay/1/0"


def test_a_broken_message_stops_there_and_says_where(broken, sam):
    [letter] = deadletters.find(sam, Filters())[0]

    assert (letter.code, letter.step) == ("contract", "plan")
    assert heard == []


def test_a_person_mends_the_message_and_the_effect_has_the_key_it_would_have_had(broken, sam):
    item = ReviewItem.objects.get(run=broken)

    reviews.complete(item.pk, person=sam, auth="test", reason="it meant this", output=mended())
    house.drive(broken)

    assert broken.status == Run.Status.COMPLETED
    assert [request.key for request in heard] == [the_key(broken)]


def test_the_agent_is_mended_and_the_message_sent_on_once_under_the_same_key(broken, sam):
    [letter] = deadletters.find(sam, Filters())[0]
    house.answers["plan"] = Done(mended(), confidence=0.9)

    told = [
        deadletters.redrive_many([letter.id], person=sam, actor=house.actor_for(sam), reason="the clerk is mended")[0]
        for _ in range(2)
    ]
    house.drive(broken)

    assert [one.is_done for one in told] == [True, False]
    assert broken.status == Run.Status.COMPLETED
    assert [request.key for request in heard] == [the_key(broken)]


def test_sent_on_unmended_it_is_a_dead_letter_again_with_another_id(broken, sam):
    [letter] = deadletters.find(sam, Filters())[0]

    deadletters.redrive(letter.id, person=sam, actor=house.actor_for(sam), reason="perhaps now")
    house.drive(broken)

    [again] = deadletters.find(sam, Filters())[0]
    assert (again.code, again.id == letter.id) == ("contract", False)
    assert heard == []
