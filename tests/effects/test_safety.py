"""Effects by safety class: what is sent again under its key, and what only a person can settle. Pure (DESIGN promise 3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.agents.protocol import Done
from orchestration.engine.moves import EffectAnswered, Message, Taken
from orchestration.engine.planner import MAX_LOSSES
from orchestration.workflows.definition import OnFailure, Retry
from tests.effects.house import PERSON, act, answer, ask, cancel, planned, proposal, sent, settle, when_due, world

PAY = proposal("ticket.pay", amount=5)
UNSAFE = "unsafe"


def paying(safety: str = "keyed", **options: object):
    of = world(safety)
    return planned(of, act("pay", **options), pay=PAY)


def test_every_attempt_of_an_effect_has_the_same_key():
    life = paying()
    for error in ("unknown", "unavailable", "refused"):
        assert answer(life, error) == ["effect.failed"]
        when_due(life)
    life.turn(Taken())

    keys = {key for key, _ in sent(life)}
    assert keys == {f"{life.run.id}/pay/1/0"}
    assert [attempt for _, attempt in sent(life)] == [1, 2, 3, 4, 5]


def test_a_re_drive_out_of_a_queue_keeps_the_key():
    life = paying(retry=Retry(attempts=1))
    answer(life, "unavailable")
    assert life.last.items[0].code == "effect_failed"

    settle(life, "retried")

    assert sent(life) == [(f"{life.run.id}/pay/1/0", 1), (f"{life.run.id}/pay/1/0", 1)]


@pytest.mark.parametrize("safety", ["idempotent", "keyed"])
def test_a_repeatable_effect_of_unknown_outcome_is_sent_again(safety):
    life = paying(safety)

    assert answer(life, "unknown") == ["effect.failed"]
    assert when_due(life)[-1] == "effect.intended"


@pytest.mark.parametrize("how", ["timeout or handler", "worker died", "fault"])
def test_an_unsafe_effect_of_unknown_outcome_goes_to_a_person(how):
    life = paying(UNSAFE)
    match how:
        case "worker died":
            types = life.turn(Taken())
        case "fault":
            from orchestration.engine.scene import Scene
            from orchestration.engine.steps import act as steps

            scene = Scene(run=life.run, state=life.state, seq=len(life.events), input={}, values={}, world=life.world)
            steps.fault(scene)
            types = [draft.type for draft in scene.drafts]
            life.last = scene
        case _:
            types = answer(life, "unknown")

    assert types == ["effect.unknown", "review.opened"]
    assert life.last.items[0].code == "effect_unknown"
    assert life.last.call is None


@pytest.mark.parametrize("error", ["refused", "unavailable"])
def test_an_unsafe_effect_that_did_not_happen_is_tried_again(error):
    life = paying(UNSAFE)

    assert answer(life, error) == ["effect.failed"]
    assert when_due(life)[-1] == "effect.intended"


def test_a_retry_never_sends_an_unsafe_effect_of_unknown_outcome_again():
    """Whatever sends the step back: a retry of the item, of the run, a re-drive in bulk."""
    for way in ("item", "run"):
        life = paying(UNSAFE)
        answer(life, "unknown")
        again = Message(2, "retry", "", "", PERSON, "again")
        types = settle(life, "retried") if way == "item" else life.turn(again)

        assert types[-1] == "review.opened"
        assert life.last.items[0].code == "effect_unknown"
        assert life.last.call is None
        assert len(sent(life)) == 1


@pytest.mark.parametrize("code", ["effect_unknown", "*"])
@pytest.mark.parametrize("action", [OnFailure("fail"), OnFailure("step", "end"), OnFailure("compensate")])
def test_no_workflow_talks_its_way_past_the_person(code, action):
    life = paying(UNSAFE, **{code: action})

    assert answer(life, "unknown") == ["effect.unknown", "review.opened"]


def test_the_workflow_names_the_queue_for_it():
    life = paying(UNSAFE, effect_unknown=OnFailure("queue", "treasury"))
    answer(life, "unknown")

    assert life.last.items[0].queue == "treasury"


@pytest.mark.parametrize(("intended", "live"), [("unsafe", "keyed"), ("keyed", "unsafe"), ("keyed", None)])
def test_of_the_class_at_the_intent_and_the_live_one_the_stricter_counts(intended, live):
    life = paying(intended)
    capabilities = life.world.matrix_document["capabilities"]
    if live is None:
        del capabilities["ticket.pay"]
    else:
        capabilities["ticket.pay"]["safety"] = live

    assert life.turn(Taken()) == ["effect.unknown", "review.opened"]


def test_the_intent_says_who_sends_what_under_which_class():
    life = paying()
    [data] = [data for type_, data in life.events if type_ == "effect.intended"]

    assert (data["capability"], data["safety"], data["worker"], data["handler"]) == ("ticket.pay", "keyed", "w1", "bank.pay")
    assert data["digest"] == life.state.intent.digest


def test_it_happened_is_recorded_as_stated_by_a_person_and_the_run_goes_on():
    of = world(UNSAFE)
    life = planned(of, act("pay"), ask("thank"), pay=PAY)
    answer(life, "unknown")

    types = settle(life, "happened", output="review:i/2", value={"result": {"receipt": 7}, "reference": "B-7"})

    assert types == ["review.settled", "effect.stated", "step.started"]
    stated = life.last.drafts[1]
    assert stated.actor == PERSON
    assert life.values["pay"] == {"result": {"receipt": 7}, "reference": "B-7"}
    assert life.state.outputs["pay"] == "review:i/2"
    assert len(sent(life)) == 1


def test_it_did_not_happen_is_sent_again_under_the_same_key():
    life = paying(UNSAFE)
    answer(life, "unknown")

    types = settle(life, "not_happened")

    assert types == ["review.settled", "verdict.given", "effect.intended"]
    assert len({key for key, _ in sent(life)}) == 1
    assert answer(life) == ["effect.done", "run.completed"]


def test_it_did_not_happen_still_asks_the_matrix():
    life = paying(UNSAFE)
    answer(life, "unknown")
    life.world.matrix_document["roles"]["desk"]["grants"] = []

    assert settle(life, "not_happened") == ["review.settled", "verdict.given", "review.opened"]
    assert life.last.items[0].code == "denied"


def test_the_same_key_with_another_content_goes_to_a_person():
    life = paying(retry=Retry(attempts=1))
    answer(life, "unavailable")
    life.values["plan"] = {"pay": proposal("ticket.pay", amount=5000)}

    assert settle(life, "retried") == ["review.settled", "verdict.given", "effect.diverged", "review.opened"]
    assert life.last.items[0].code == "effect_diverged"
    assert life.last.call is None
    assert settle(life, "not_happened")[-1] == "effect.intended"
    assert len({key for key, _ in sent(life)}) == 1


def test_a_changed_capability_is_another_content():
    life = paying()
    answer(life, "unknown")
    life.world.matrix_document["capabilities"]["ticket.pay"]["digest"] = "f" * 64

    assert when_due(life)[-2:] == ["effect.diverged", "review.opened"]


def test_what_may_have_happened_and_may_not_be_sent_again_is_unknown_and_not_denied():
    life = paying()
    answer(life, "unknown")
    life.world.matrix_document["roles"]["desk"]["grants"] = []

    assert when_due(life) == ["verdict.given", "effect.unknown", "review.opened"]


def test_the_retry_policy_is_kept_and_then_the_code_tells_what_is_known():
    for error, code in (("unknown", "effect_unknown"), ("refused", "effect_failed"), ("unavailable", "effect_failed")):
        life = paying(retry=Retry(attempts=2, jitter=False))
        assert answer(life, error) == ["effect.failed"]
        when_due(life)
        assert answer(life, error) == ["effect.failed", "review.opened"]
        assert life.last.items[0].code == code


@pytest.mark.parametrize(("asked", "waits"), [(30.0, 30.0), (10.0**9, 60.0), (0.0, 1.0)])
def test_what_the_other_side_asks_to_wait_is_kept_up_to_the_steps_cap(asked, waits):
    life = paying(retry=Retry(attempts=3, backoff=timedelta(seconds=1), cap=timedelta(minutes=1), jitter=False))
    answer(life, "unavailable", retry_after=asked)
    life.turn()

    assert (life.due_at - life.world.now).total_seconds() == waits


def test_a_further_attempt_of_a_gated_effect_rests_on_the_approval_its_key_has_used():
    of = world(ticket__pay="gate")
    life = planned(of, act("pay"), pay=PAY)
    request = life.state.request
    life.turn(Message(2, "gate_settled", request, "approved", PERSON, "", digest=life.state.digest))
    assert answer(life, "unavailable") == ["effect.failed"]

    assert when_due(life) == ["verdict.given", "effect.intended"]
    approvals = [data["approval"] for type_, data in life.events if type_ == "effect.intended"]
    assert approvals == [request, request]


def test_another_policy_asks_again_although_the_key_has_an_approval():
    of = world(ticket__pay="gate")
    life = planned(of, act("pay"), pay=PAY)
    life.turn(Message(2, "gate_settled", life.state.request, "approved", PERSON, "", digest=life.state.digest))
    answer(life, "unavailable")
    other = {"stages": [{"groups": ["Board"], "quorum": 1}], "reason": "always"}
    of.matrix_document["policies"]["board"] = other
    from tests.engine.world import policy

    of.policies["board"] = policy("board", stages=other["stages"])
    for grant in of.matrix_document["roles"]["desk"]["grants"]:
        if grant["capability"] == "ticket.pay":
            grant["policy"] = "board"

    assert when_due(life)[-1] == "gate.opened"


def test_an_effect_that_keeps_killing_workers_is_set_aside():
    life = paying()
    for _ in range(MAX_LOSSES - 1):
        assert life.turn(Taken())[-1] == "effect.intended"

    assert life.turn(Taken())[-2:] == ["run.quarantined", "review.opened"]
    assert life.last.items[0].code == "effect_unknown"


def test_an_intent_nobody_recorded_the_loss_of_is_not_sent_again_if_it_is_unsafe():
    """Workers that die before they commit anything: the run is set aside with the effect still "under way"."""
    from orchestration.engine.scene import Scene

    life = paying(UNSAFE)
    scene = Scene(run=life.run, state=life.state, seq=len(life.events), input={}, values=dict(life.values), world=life.world)
    scene.review("quarantined", "people")
    life.state, life.last = scene.state, scene
    life.events += [(draft.type, dict(draft.data)) for draft in scene.drafts]

    assert settle(life, "retried")[-1] == "review.opened"
    assert len(sent(life)) == 1


def test_cancel_waits_for_the_effect_under_way():
    life = paying()

    assert cancel(life) == ["run.stopping"]
    assert life.state.phase == "acting"
    assert answer(life) == ["effect.done", "run.compensating", "verdict.given", "effect.intended"]


@pytest.mark.parametrize("error", ["refused", "unavailable"])
def test_a_cancelled_run_whose_effect_did_not_happen_just_ends(error):
    life = paying()
    cancel(life)

    assert answer(life, error) == ["effect.failed", "run.cancelled"]
    assert life.last.drafts[-1].actor == PERSON


def test_a_cancelled_run_never_sends_its_effect_again():
    life = paying()
    cancel(life)

    assert answer(life, "unknown") == ["effect.unknown", "review.opened"]
    assert settle(life, "not_happened") == ["review.settled", "run.cancelled"]
    assert len(sent(life)) == 1


def test_a_cancelled_run_that_nothing_depends_on_ends_without_a_person():
    life = paying(compensate=False)
    cancel(life)

    assert answer(life, "unknown") == ["effect.unknown", "run.cancelled"]


def test_of_a_cancel_and_a_lost_worker_a_person_hears_for_an_unsafe_effect():
    life = paying(UNSAFE, compensate=False)

    assert cancel(life, Taken()) == ["run.stopping", "effect.unknown", "review.opened"]


def test_who_cancels_the_item_itself_ends_the_run_without_knowing():
    life = paying(UNSAFE)
    answer(life, "unknown")

    assert settle(life, "cancelled") == ["review.settled", "run.cancelled"]


def test_the_answer_of_a_cancelled_attempt_is_not_taken_for_another():
    life = paying()
    call = life.last.call
    life.turn(Taken())
    late = EffectAnswered("pay", 1, call.key, call.attempt, None, "", "", 1)

    assert life.turn(late) == []


def test_the_state_of_every_prefix_is_the_fold_of_its_events():
    life = paying(UNSAFE)
    for take in (
        lambda: answer(life, "unavailable"), lambda: when_due(life), lambda: answer(life, "unknown"),
        lambda: settle(life, "retried"), lambda: settle(life, "not_happened"), lambda: cancel(life), lambda: answer(life),
    ):  # fmt: skip
        take()
        assert life.refold() == life.state


def test_a_stored_state_reads_back_as_it_was():
    from orchestration.engine import state as states

    life = paying(UNSAFE)
    answer(life, "unknown")
    assert states.load(states.dump(life.state)) == life.state
    settle(life, "happened", output="review:i/2", value={})
    assert states.load(states.dump(life.state)) == life.state
    assert isinstance(Done({}), Done)
