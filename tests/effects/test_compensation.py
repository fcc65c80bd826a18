"""Compensation: a run that gives up undoes what it did, newest first, each effect once, and then ends. Pure."""

from __future__ import annotations

import pytest

from aegis.core.errors import IntegrityBroken
from orchestration.engine.fold import fold
from orchestration.engine.moves import EffectAnswered, Message, Taken
from orchestration.engine.state import State
from orchestration.workflows.definition import FinishStep, OnFailure, Retry
from tests.effects.house import (
    PERSON,
    Common,
    act,
    answer,
    ask,
    cancel,
    planned,
    proposal,
    sent,
    settle,
    types_since,
    when_due,
    world,
)
from tests.engine.world import Life

COMPENSATE = OnFailure("compensate")
REPLY = proposal("ticket.reply", status="answered")
PAY = proposal("ticket.pay", amount=5)
TICKET = ("ticket", "T-1")


def giving_up(safety: str = "keyed", **effects: str) -> Life:
    """reply (local) and pay (remote) are done, then `more` is refused, which the workflow answers with compensation."""
    of = world(safety, **effects)
    of.matrix_document["roles"]["desk"]["grants"].append({"capability": "ticket.gone", "effect": "allow"})
    steps = (act("reply"), act("pay"), act("more", compensate=False, denied=COMPENSATE))
    return planned(of, *steps, reply=REPLY, pay=PAY, more=proposal("ticket.gone"))


def undone_keys(life: Life) -> list[str]:
    """Keys of the effects that were undone, in order."""
    return [data["undoes"] for type_, data in life.events if type_ in ("effect.done", "effect.stated") and data.get("undoes")]


def test_giving_up_into_compensation_undoes_the_effects_newest_first_and_then_fails():
    life = giving_up()
    before = len(life.events)

    answer(life, result={"receipt": 7})
    assert types_since(life, before)[-3:] == ["run.compensating", "verdict.given", "effect.intended"]
    answer(life)

    assert undone_keys(life) == [f"{life.run.id}/pay/1/0", f"{life.run.id}/reply/1/0"]
    assert types_since(life, before)[-4:] == ["verdict.given", "effect.done", "run.compensated", "run.failed"]
    assert (life.state.status, life.state.outcome, life.state.step) == ("failed", "denied", "more")
    assert life.world.records[TICKET] == (3, {"status": "open"})
    told = next(data for type_, data in life.events if type_ == "run.compensated")
    assert (told["undone"], told["left"]) == (2, 0)


def test_an_undo_is_an_effect_of_its_own_with_a_key_of_its_own():
    life = giving_up()
    answer(life, result={"receipt": 7})

    call = life.last.call
    assert call.key == f"{life.run.id}/pay/1/0/undo"
    assert call.handler == "bank.refund"
    assert call.parameters == {"effect": f"{life.run.id}/pay/1/0", "parameters": {"amount": 5}, "result": {"receipt": 7}}


def test_a_fail_without_compensation_leaves_what_was_done():
    of = world()
    life = planned(of, act("reply"), act("more", denied=OnFailure("fail")), reply=REPLY, more=proposal("ticket.gone"))

    assert life.state.status == "failed"
    assert undone_keys(life) == []
    assert of.records[TICKET][0] == 2


def test_only_what_asked_for_it_is_undone():
    of = world()
    steps = (act("reply", compensate=False), act("more", denied=COMPENSATE))
    life = planned(of, *steps, reply=REPLY, more=proposal("ticket.gone"))

    assert [type_ for type_, _ in life.events][-1] == "run.failed"
    assert "run.compensating" not in [type_ for type_, _ in life.events]
    assert of.records[TICKET][0] == 2


def test_cancelling_a_run_undoes_what_it_did_and_then_it_is_cancelled():
    of = world()
    life = planned(of, act("reply"), ask("think"), reply=REPLY)

    types = cancel(life)

    assert types == ["run.compensating", "verdict.given", "effect.done", "run.compensated", "run.cancelled"]
    assert life.last.drafts[0].actor == life.last.drafts[-1].actor == PERSON
    assert life.last.closes_waits
    assert of.records[TICKET] == (3, {"status": "open"})
    assert life.state.status == "cancelled"


def test_an_undo_keeps_its_key_over_attempts_and_lost_workers():
    life = giving_up()
    answer(life)
    life.turn(Taken())
    answer(life, "unavailable")
    when_due(life)

    keys = [key for key, _ in sent(life) if key.endswith("/undo")]
    assert keys == [f"{life.run.id}/pay/1/0/undo"] * 3


def test_a_late_answer_of_the_effect_is_not_taken_for_that_of_its_undo():
    life = giving_up()
    first = life.last.call
    answer(life)
    assert life.state.attempt == first.attempt

    late = EffectAnswered("pay", 1, first.key, first.attempt, None, "", "", 1)
    assert life.turn(late) == []
    assert undone_keys(life) == []


@pytest.mark.parametrize(("error", "code"), [("refused", "effect_failed"), ("unknown", "effect_unknown")])
def test_an_undo_that_fails_goes_to_a_person_and_the_rest_waits_for_it(error, code):
    life = giving_up("unsafe" if error == "unknown" else "keyed")
    answer(life)
    for _ in range(3 if error == "refused" else 0):
        answer(life, error)
        when_due(life)
    answer(life, error)

    assert life.last.items[0].code == code
    assert life.state.status == "waiting_review"
    assert undone_keys(life) == []


def test_an_undo_sent_back_goes_on_where_it_stopped():
    life = giving_up(ticket__refund="deny")
    answer(life)
    assert life.last.items[0].code == "denied"
    for grant in life.world.matrix_document["roles"]["desk"]["grants"]:
        grant["effect"] = "allow"

    settle(life, "retried")
    answer(life)

    assert undone_keys(life) == [f"{life.run.id}/pay/1/0", f"{life.run.id}/reply/1/0"]
    assert life.state.status == "failed"


def test_a_person_may_say_that_it_is_undone_and_the_rest_is_undone():
    life = giving_up(ticket__refund="deny")
    answer(life)

    types = settle(life, "happened")

    assert types[:2] == ["review.settled", "effect.stated"]
    assert life.last.drafts[1].actor == PERSON
    assert undone_keys(life) == [f"{life.run.id}/pay/1/0", f"{life.run.id}/reply/1/0"]
    assert types[-2:] == ["run.compensated", "run.failed"]


def test_a_person_may_let_an_effect_stand_and_the_rest_is_undone():
    life = giving_up(ticket__refund="deny")
    answer(life)

    types = settle(life, "left")

    assert types[:2] == ["review.settled", "effect.left"]
    assert undone_keys(life) == [f"{life.run.id}/reply/1/0"]
    told = next(data for type_, data in life.events if type_ == "run.compensated")
    assert (told["undone"], told["left"]) == (1, 1)


def test_a_gated_undo_waits_for_its_approval():
    life = giving_up(ticket__refund="gate")
    answer(life)
    assert life.state.status == "waiting_decision"

    approved = Message(2, "gate_settled", life.state.request, "approved", PERSON, "", digest=life.state.digest)
    assert life.turn(approved) == ["gate.settled", "verdict.given", "effect.intended"]
    answer(life)
    assert life.state.status == "failed"


def test_a_rejected_undo_goes_to_a_person():
    life = giving_up(ticket__refund="gate")
    answer(life)

    life.turn(Message(2, "gate_settled", life.state.request, "rejected", PERSON, ""))

    assert life.last.items[0].code == "rejected"
    assert life.state.ending


def test_a_record_that_somebody_changed_since_is_not_put_back():
    of = world()
    life = planned(of, act("reply"), act("more", denied=OnFailure("queue")), reply=REPLY, more=proposal("ticket.gone"))
    of.records[TICKET] = (3, {"status": "answered", "note": "by somebody else"})

    types = cancel(life)

    assert types == ["run.compensating", "effect.failed", "review.opened"]
    assert life.last.items[0].code == "conflict"
    assert of.records[TICKET][0] == 3


def test_two_effects_on_one_record_are_undone_one_after_the_other():
    of = world()
    second = proposal("ticket.reply", status="closed")
    life = planned(of, act("reply"), act("close"), ask("think"), reply=REPLY, close=second)
    assert of.records[TICKET] == (3, {"status": "closed"})

    cancel(life)

    assert life.state.status == "cancelled"
    assert of.records[TICKET] == (5, {"status": "open"})


def test_an_undo_whose_record_moves_under_it_is_looked_at_again():
    from orchestration.engine import turn
    from orchestration.engine.scene import Scene

    of = world()
    life = planned(of, act("reply"), ask("think"), reply=REPLY)
    scene = Scene(run=life.run, state=life.state, seq=len(life.events), input={}, values=dict(life.values), world=of)
    scene.lost_races = 1

    turn.take(scene, [Message(2, "cancel", "", "", PERSON, "stop")])

    assert [draft.type for draft in scene.drafts].count("effect.done") == 1
    assert "effect.conflicted" in [draft.type for draft in scene.drafts]


def test_a_cancel_during_compensation_comes_too_late():
    life = giving_up()
    answer(life)

    assert cancel(life) == ["inbox.ignored"]
    assert life.state.phase == "acting"


def test_a_compensated_run_is_not_tried_again():
    life = giving_up()
    answer(life)
    answer(life)

    assert life.turn(Message(2, "retry", "", "", PERSON, "again")) == ["inbox.ignored"]


def test_an_unknown_effect_is_settled_before_it_counts_as_done():
    """Retries are used up; the workflow says compensate; whether there is anything to undo a person must say."""
    life = planned(world(), act("reply"), act("pay", retry=Retry(attempts=1), effect_unknown=COMPENSATE), reply=REPLY, pay=PAY)

    assert answer(life, "unknown")[-1] == "review.opened"
    settle(life, "happened", output="review:i/2", value={"result": None})
    assert life.state.status == "completed"


def test_an_unknown_effect_that_nothing_undoes_does_not_hold_the_rest_up():
    step = act("pay", compensate=False, retry=Retry(attempts=1), effect_unknown=COMPENSATE)
    life = planned(world(), act("reply"), step, reply=REPLY, pay=PAY)

    answer(life, "unknown")

    assert undone_keys(life) == [f"{life.run.id}/reply/1/0"]
    assert life.state.status == "failed"


def test_an_erased_payload_is_a_persons_business():
    of = world()
    life = planned(of, act("reply"), ask("think"), reply=REPLY)
    of.past_effects.clear()

    assert cancel(life) == ["run.compensating", "review.opened"]
    assert life.last.items[0].code == "payload_erased"


def test_without_a_queue_the_run_fails_and_may_be_tried_again():
    life = giving_up(ticket__refund="deny")
    life.world.without_queues.add("people")
    answer(life)
    assert (life.state.status, life.state.outcome) == ("failed", "no_queue")
    for grant in life.world.matrix_document["roles"]["desk"]["grants"]:
        grant["effect"] = "allow"

    life.turn(Message(2, "retry", "", "", PERSON, "the queue is back"))
    answer(life)

    assert undone_keys(life) == [f"{life.run.id}/pay/1/0", f"{life.run.id}/reply/1/0"]
    assert life.state.outcome == "denied"


def test_a_step_passed_twice_is_undone_twice_each_with_what_it_did():
    of = world()
    back = act("reply")
    loop = (
        act("close", compensate=True, denied=OnFailure("queue")),
        FinishStep(Common("end")),
    )
    life = planned(of, back, *loop, reply=REPLY, close=proposal("ticket.gone"))
    assert life.state.status == "waiting_review"
    cancel(life)

    assert undone_keys(life) == [f"{life.run.id}/reply/1/0"]


def test_events_that_undo_the_same_effect_twice_are_no_history():
    life = planned(world(), act("reply"), ask("think"), reply=REPLY)
    cancel(life)
    done = next(data for type_, data in life.events if type_ == "effect.done" and data.get("undoes"))

    with pytest.raises(IntegrityBroken):
        fold(life.state, stream="run:9", seq=99, type="effect.done", data=done)


def test_events_that_undo_out_of_order_are_no_history():
    life = giving_up()
    answer(life)
    state = State(effects=life.state.effects, ending=life.state.ending)
    oldest = state.effects[0].key

    with pytest.raises(IntegrityBroken):
        fold(state, stream="run:9", seq=99, type="effect.left", data={"step": "reply", "visit": 1, "key": oldest})
