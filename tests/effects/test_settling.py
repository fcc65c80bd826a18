"""A person says what became of an effect: who may, what is recorded, and what the run does next. On the database."""

from __future__ import annotations

import pytest

from aegis.core.errors import Conflict, Forbidden, Invalid, NotFound
from audit import journal
from audit.models import Event, Payload
from orchestration.engine import reviews, settlements, verbs
from orchestration.engine.effects import EffectRefused, EffectUnavailable, EffectUnknown
from orchestration.engine.models import ReviewItem, Run
from orchestration.engine.standing import NeedsStatement
from tests.effects.conftest import heard, item_of, regrant, says
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)
WORDS = {"auth": "test", "reason": "I looked into the bank's books"}


@pytest.fixture
def lost(furnish, sam) -> Run:
    """A payment was sent, and no answer came."""
    furnish()
    says["test.pay"] = EffectUnknown("connection reset")
    run = house.submit(sam)
    house.drive(run)
    return run


def line_of(run: Run, type_: str) -> dict:
    from audit import chain

    return chain.read_line(Event.objects.get(stream=run.stream, type=type_).line)


def test_an_unsafe_payment_without_an_answer_waits_for_a_person(lost):
    assert item_of(lost).code == "effect_unknown"
    assert len(heard) == 1


@pytest.mark.parametrize("broken", [ValueError("broke"), SystemExit(3), float("nan"), "x" * 300_000])
def test_a_handler_that_breaks_or_says_what_cannot_be_kept_may_have_paid(furnish, sam, broken):
    furnish()
    says["test.pay"] = (lambda request: (_ for _ in ()).throw(broken)) if isinstance(broken, BaseException) else broken
    run = house.submit(sam)
    house.drive(run)

    assert item_of(run).code == "effect_unknown"
    assert len(heard) == 1


@pytest.mark.parametrize("error", [EffectRefused("no such account"), EffectUnavailable("try later", retry_after=1)])
def test_a_payment_that_was_not_made_is_no_riddle(furnish, sam, error):
    furnish()
    says["test.pay"] = error
    run = house.submit(sam)
    house.drive(run)

    item = item_of(run)
    assert item.code == "effect_failed"
    with pytest.raises(Conflict, match="nothing can have happened"):
        settlements.happened(item.pk, person=sam, **WORDS)


def test_it_happened_goes_on_record_as_a_persons_word(lost, sam):
    item = item_of(lost)
    settlements.happened(item.pk, person=sam, reference="BANK-77", result={"receipt": 77}, **WORDS)
    house.drive(lost)

    assert lost.status == Run.Status.COMPLETED
    assert len(heard) == 1
    stated = line_of(lost, "effect.stated")
    assert stated["actor"]["ref"] == str(sam.pk)
    assert stated["data"]["key"] == heard[0].key
    assert "effect.done" not in house.types_of(lost)
    kept = Payload.objects.get(stream=item.stream, name="output").body
    assert "BANK-77" in kept and "77" in kept  # noqa: PT018
    reason = Payload.objects.get(stream=item.stream, name="reason").body
    assert WORDS["reason"] in reason


def test_it_did_not_happen_sends_it_again_under_the_same_key(lost, sam):
    says.clear()
    settlements.not_happened(item_of(lost).pk, person=sam, **WORDS)
    house.drive(lost)

    assert lost.status == Run.Status.COMPLETED
    assert len(heard) == 2
    assert heard[0].key == heard[1].key
    assert heard[0].parameters == heard[1].parameters


def test_a_retry_is_refused_until_somebody_says_what_happened(lost, sam):
    with pytest.raises(NeedsStatement):
        reviews.retry(item_of(lost).pk, person=sam, **WORDS)
    with pytest.raises(NeedsStatement):
        verbs.retry_run(lost.pk, person=sam, actor=house.actor_for(sam), reason="again")

    house.drive(lost)
    assert len(heard) == 1


def test_who_works_on_the_queue_but_does_not_hold_the_capability_may_not_speak_for_the_bank(lost, olivia):
    item = item_of(lost)
    for verb in (settlements.happened, settlements.not_happened):
        with pytest.raises(Forbidden) as refused:
            verb(item.pk, person=olivia, **WORDS)
        assert refused.value.right == "note.pay"
        assert "Support leads" in str(refused.value)
    item.refresh_from_db()
    assert item.status == ReviewItem.Status.OPEN


def test_a_stranger_does_not_even_learn_that_it_exists(lost, person):
    mallory = person("mallory", "Visitors")
    for verb in (settlements.happened, settlements.not_happened, settlements.leave):
        with pytest.raises(NotFound):
            verb(item_of(lost).pk, person=mallory, **WORDS)


def test_a_superuser_without_a_group_may_nothing(lost, root):
    with pytest.raises(NotFound):
        settlements.happened(item_of(lost).pk, person=root, **WORDS)


def test_a_reason_is_needed_and_a_result_that_cannot_be_kept_is_refused(lost, sam):
    item = item_of(lost)
    with pytest.raises(Invalid):
        settlements.happened(item.pk, person=sam, auth="test", reason=" ")
    with pytest.raises(Invalid):
        settlements.happened(item.pk, person=sam, reference="x" * 300, **WORDS)
    with pytest.raises(Invalid):
        settlements.happened(item.pk, person=sam, result={"big": "x" * 300_000}, **WORDS)


def test_two_people_cannot_both_settle_it(lost, sam):
    item = item_of(lost)
    settlements.happened(item.pk, person=sam, **WORDS)

    with pytest.raises(reviews.ItemSettled):
        settlements.not_happened(item.pk, person=sam, **WORDS)
    house.drive(lost)
    assert len(heard) == 1


def test_a_right_withdrawn_before_the_statement_is_gone(lost, sam):
    item = item_of(lost)
    regrant("Support leads", note__pay="")

    with pytest.raises(Forbidden):
        settlements.happened(item.pk, person=sam, **WORDS)


def test_a_review_that_sends_nothing_has_nothing_to_settle(furnish, sam):
    furnish()
    regrant("clerk", note__pay="deny")
    run = house.submit(sam)
    house.drive(run)
    item = item_of(run)

    assert item.code == "denied"
    with pytest.raises(Conflict):
        settlements.happened(item.pk, person=sam, **WORDS)
    with pytest.raises(Conflict):
        settlements.leave(item.pk, person=sam, **WORDS)


def test_after_everything_the_journal_verifies(lost, sam):
    settlements.happened(item_of(lost).pk, person=sam, **WORDS)
    house.drive(lost)

    assert journal.verify().problems == []
