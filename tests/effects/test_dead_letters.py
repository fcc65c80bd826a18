"""Dead letters: what counts, who sees which, and sending them on singly and in bulk, each once. On the database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core.errors import Forbidden, Invalid, NotFound
from aegis.identity.models import User
from orchestration.agents.protocol import Abstain, Done
from orchestration.engine import deadletters, reviews, settlements
from orchestration.engine.deadletters import Filters, MovedOn
from orchestration.engine.effects import EffectRefused, EffectUnknown
from orchestration.engine.models import InboxItem, ReviewItem, Run
from orchestration.engine.standing import NeedsStatement
from tests.effects.conftest import PAY, asked, heard, item_of, regrant, says
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)
ANY = Filters()


def refused(person: User, count: int = 1, name: str = "n") -> list[Run]:
    """Runs whose payment the bank refuses."""
    says["test.pay"] = EffectRefused("closed account")
    runs = []
    for number in range(count):
        house.answers["plan"] = Done({"pay": asked("note.pay", f"{name}-{number}", amount=5)}, confidence=0.9)
        runs.append(house.submit(person, {"id": f"{name}-{number}"}))
    house.drive(*runs)
    says.clear()
    return runs


def letters(person: User, filters: Filters = ANY) -> list[deadletters.DeadLetter]:
    return deadletters.find(person, filters)[0]


def go(person: User, *ids: str, reason: str = "the account is open again") -> list[deadletters.Result]:
    return deadletters.redrive_many(ids, person=person, actor=house.actor_for(person), reason=reason)


def test_a_step_that_cannot_proceed_is_a_dead_letter_and_a_question_is_none(furnish, sam):
    furnish()
    [run] = refused(sam)
    house.answers["plan"] = Abstain("is this a joke?")
    other = house.submit(sam, {"id": "asks"})
    house.drive(other)

    [letter] = letters(sam)
    assert (letter.run.pk, letter.code, letter.step) == (run.pk, "effect_failed", "pay")
    assert other.status == Run.Status.WAITING_REVIEW


def test_a_failed_run_is_a_dead_letter_and_is_driven_on_under_its_key(furnish, sam):
    furnish([PAY[0], {**PAY[1], "on_failure": {"effect_failed": "fail"}}])
    [run] = refused(sam)
    [letter] = letters(sam)
    assert letter.item is None
    assert letter.code == "effect_failed"

    deadletters.redrive(letter.id, person=sam, actor=house.actor_for(sam), reason="mended")
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert len({request.key for request in heard}) == 1
    assert letters(sam) == []


def test_a_run_that_was_undone_when_it_failed_is_over_and_no_dead_letter(furnish, sam):
    steps = [*PAY, {"id": "more", "act": "steps.plan.output.more", "on_failure": {"denied": "compensate"}}]
    furnish(steps)
    house.answers["plan"] = Done({"pay": asked("note.pay"), "more": asked("note.more")}, confidence=0.9)
    regrant("clerk", note__more="")
    run = house.submit(sam)
    house.drive(run)
    house.drive(run)

    assert run.status == Run.Status.FAILED
    assert [request.key.endswith("/undo") for request in heard] == [False, True]
    assert letters(sam) == []


def test_many_are_sent_on_each_with_a_result(furnish, sam):
    furnish()
    runs = refused(sam, 3)
    ids = [letter.id for letter in letters(sam)]

    results = go(sam, *ids)
    house.drive(*runs)

    assert all(result.is_done for result in results)
    assert {run.status for run in runs} == {Run.Status.COMPLETED}


def test_sending_on_twice_does_nothing_the_second_time(furnish, sam):
    furnish()
    runs = refused(sam, 2)
    ids = [letter.id for letter in letters(sam)]
    go(sam, *ids)

    again = go(sam, *ids)
    house.drive(*runs)

    assert {result.code for result in again} == {"item_settled"}
    assert len(heard) == 4  # one refused and one paid each
    assert len({request.key for request in heard}) == 2


def test_a_failed_run_is_sent_on_once_also_before_its_worker_has_read_the_message(furnish, sam):
    furnish([PAY[0], {**PAY[1], "on_failure": {"effect_failed": "fail"}}])
    [run] = refused(sam)
    [letter] = letters(sam)

    assert [go(sam, letter.id)[0].code, go(sam, letter.id)[0].code] == ["", "moved_on"]
    assert InboxItem.objects.filter(run=run, kind=InboxItem.Kind.RETRY).count() == 1


def test_the_id_names_this_very_failure_and_not_the_next_one(furnish, sam):
    furnish([PAY[0], {**PAY[1], "on_failure": {"effect_failed": "fail"}}])
    [run] = refused(sam)
    [first] = letters(sam)
    go(sam, first.id)
    says["test.pay"] = EffectRefused("still closed")
    house.drive(run)
    [second] = letters(sam)

    assert first.id != second.id
    with pytest.raises(MovedOn):
        deadletters.redrive(first.id, person=sam, actor=house.actor_for(sam), reason="again")


def test_one_that_may_have_happened_stays_when_all_are_sent_on(furnish, sam):
    furnish()
    refused(sam, 2)
    says["test.pay"] = EffectUnknown("no answer")
    house.answers["plan"] = Done({"pay": asked("note.pay", "N-9")}, confidence=0.9)
    lost = house.submit(sam, {"id": "lost"})
    house.drive(lost)
    says.clear()
    count = len(heard)
    told = {letter.id: letter.needs_statement for letter in letters(sam)}
    assert sorted(told.values()) == [False, False, True]

    results = {result.id: result.code for result in go(sam, *told)}
    house.drive(*Run.objects.all())

    assert results[str(item_of(lost).pk)] == NeedsStatement.code
    assert len(heard) == count + 2
    with pytest.raises(NeedsStatement):
        deadletters.redrive(str(item_of(lost).pk), person=sam, actor=house.actor_for(sam), reason="x")


def test_a_keyed_effect_of_unknown_outcome_is_sent_on_under_its_key(furnish, sam):
    furnish(safety="keyed")
    says["test.pay"] = EffectUnknown("no answer")
    run = house.submit(sam)
    house.drive(run)
    says.clear()
    [letter] = letters(sam)
    assert (letter.code, letter.needs_statement) == ("effect_unknown", False)

    go(sam, letter.id)
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert len({request.key for request in heard}) == 1


def test_one_that_is_refused_holds_no_other_up(furnish, sam):
    furnish()
    runs = refused(sam, 3)
    ids = [letter.id for letter in letters(sam)]
    reviews.cancel(ids[1], person=sam, auth="test", reason="not this one")  # type: ignore[arg-type]

    results = go(sam, ids[0], ids[1], "no such thing", ids[2])
    house.drive(*runs)

    assert [result.code for result in results] == ["", "item_settled", "not_found", ""]


def test_bulk_is_bounded_and_needs_a_reason(furnish, sam):
    furnish()
    for ids, reason in (([], "x"), ([str(number) for number in range(501)], "x"), (["a"], " ")):
        with pytest.raises(Invalid):
            go(sam, *ids, reason=reason)


def test_who_sees_neither_queue_nor_workflow_sees_nothing_and_superusers_are_nobody(furnish, sam, root, person):
    furnish()
    refused(sam)
    [letter] = letters(sam)
    mallory = person("mallory", "Visitors")

    for stranger in (root, mallory):
        assert letters(stranger) == []
        assert deadletters.named(stranger, [letter.id]) == []
        with pytest.raises(NotFound):
            deadletters.redrive(letter.id, person=stranger, actor=house.actor_for(stranger), reason="x")


def test_who_may_look_but_not_work_is_refused_and_that_is_on_record(furnish, sam, quinn):
    from audit.models import Event

    furnish()
    refused(sam)
    [letter] = letters(quinn)

    with pytest.raises(Forbidden):
        deadletters.redrive(letter.id, person=quinn, actor=house.actor_for(quinn), reason="x")
    [result] = go(quinn, letter.id)
    assert result.code == "forbidden"
    assert Event.objects.filter(type="access.denied", actor_ref=str(quinn.pk)).exists()


@pytest.mark.parametrize(
    ("filters", "finds"),
    [
        (Filters(code="effect_failed"), 2), (Filters(code="timeout"), 0), (Filters(workflow="notes"), 2),
        (Filters(workflow="others"), 0), (Filters(step="pay"), 2), (Filters(step="plan"), 0),
        (Filters(capability="note.pay"), 2), (Filters(capability="note.keep"), 0),
        (Filters(agent="clerk"), 2), (Filters(agent="nobody"), 0),
        (Filters(older_than=timedelta(0)), 2), (Filters(older_than=timedelta(hours=1)), 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["queue", "fail"])
def test_the_filters_narrow_items_and_failed_runs_alike(furnish, sam, filters, finds, how):
    furnish(PAY if how == "queue" else [PAY[0], {**PAY[1], "on_failure": {"effect_failed": "fail"}}])
    refused(sam, 2)

    assert len(letters(sam, filters)) == finds


def test_pages_follow_each_other_without_gap_or_repetition(furnish, sam):
    furnish([PAY[0], {**PAY[1], "on_failure": {"effect_failed": "fail"}}])
    refused(sam, 3, "f")
    runs = {letter.run.pk for letter in letters(sam)}
    seen, cursor = [], ""
    while True:
        page, cursor = deadletters.find(sam, ANY, before=cursor, limit=2)
        seen += [letter.run.pk for letter in page]
        if not cursor:
            break

    assert len(seen) == len(set(seen)) == 3
    assert set(seen) == runs


def test_what_a_person_settles_is_no_dead_letter_any_more(furnish, sam):
    furnish()
    says["test.pay"] = EffectUnknown("no answer")
    run = house.submit(sam)
    house.drive(run)
    settlements.happened(item_of(run).pk, person=sam, auth="test", reason="books")
    house.drive(run)

    assert letters(sam) == []
    assert not ReviewItem.objects.filter(run=run, settled_at__isnull=True).exists()
