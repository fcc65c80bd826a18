"""Rolling back a completed run: asked for by one person, decided by others, undone newest first, and never twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aegis.core import clock
from aegis.core.db import in_transaction
from approvals import gates
from approvals.errors import NotEligible
from audit import journal
from orchestration.agents.protocol import Done
from orchestration.engine import inbox, verbs
from orchestration.engine.models import InboxItem
from orchestration.engine.moves import Message
from orchestration.engine.steps import rollback
from orchestration.workflows.definition import ActStep, Common
from tests.engine import house
from tests.engine.test_turn import PERSON, PROPOSAL, ask, message, workflow, world_with
from tests.engine.world import Life

# ---- the pure core ---------------------------------------------------------------------------------------------------------


def restoring(**options):
    """A world in which `ticket.reply` is undone by putting the earlier record back."""
    world = world_with(**options)
    capabilities = world.matrix_document["capabilities"]
    capabilities["ticket.reply"]["compensation"] = "ticket.restore"
    capabilities["ticket.restore"] = {**capabilities["ticket.reply"], "handler": "record.restore", "compensation": ""}
    world.matrix_document["roles"]["desk"]["grants"].append({"capability": "ticket.restore", "effect": "allow"})
    return world


def done(world, *, policy="sign-off", compensate=False):
    """A life that changed a ticket and completed."""
    act = ActStep(Common("reply"), act="steps.draft.output.reply", source="draft", compensate=compensate)
    life = Life(replace(workflow(ask("draft"), act), rollback=policy), world)
    life.turn()
    life.reply(Done({"reply": {**PROPOSAL, "parameters": {"status": "closed"}}}))
    assert life.state.status == "completed"
    return life


def asked(life):
    return life.turn(Message(2, "rollback", "", "", PERSON, "it was wrong"))


@pytest.fixture
def lives():
    made = []
    yield made
    for life in made:
        assert life.refold() == life.state


def test_a_completed_run_waits_for_people_before_anything_is_undone(lives):
    life = done(restoring())
    lives.append(life)

    assert asked(life) == ["rollback.asked"]
    assert life.state.status == "waiting_decision"
    assert life.last.openings[0].asked_by == PERSON.ref
    assert life.world.records["ticket", "T-1"][1] == {"status": "closed"}


def test_once_they_agree_it_is_undone_and_says_so(lives):
    life = done(restoring())
    lives.append(life)
    asked(life)
    events = life.turn(message(life, "gate_settled", "approved"))

    assert events == [
        "rollback.approved", "run.compensating", "verdict.given", "effect.done", "run.compensated", "run.rolled_back"
    ]  # fmt: skip
    assert life.state.status == "rolled_back"
    assert life.world.records["ticket", "T-1"][1] == {"status": "open"}


@pytest.mark.parametrize("outcome", ["rejected", "expired", "withdrawn"])
def test_without_their_consent_it_stays_completed(lives, outcome):
    life = done(restoring())
    lives.append(life)
    asked(life)

    assert life.turn(message(life, "gate_settled", outcome)) == ["rollback.refused"]
    assert (life.state.status, life.state.outcome) == ("completed", "done")
    assert asked(life) == ["rollback.asked"]  # another day, another answer


def test_it_is_never_undone_twice(lives):
    life = done(restoring())
    lives.append(life)
    asked(life)
    assert asked(life) == ["inbox.ignored"]
    life.turn(message(life, "gate_settled", "approved"))

    assert asked(life) == ["inbox.ignored"]
    assert life.state.status == "rolled_back"


def test_asking_cannot_be_turned_into_cancelling(lives):
    life = done(restoring(), compensate=True)
    lives.append(life)
    asked(life)

    assert life.turn(Message(3, "cancel", "", "", PERSON, "stop")) == ["inbox.ignored"]
    assert life.state.status == "waiting_decision"


def test_a_policy_that_nobody_can_decide_refuses(lives):
    world = restoring()
    life = done(world)
    lives.append(life)
    world.without_voters = {"sign-off"}

    assert asked(life) == ["rollback.refused"]
    assert life.state.status == "completed"


def test_a_workflow_without_rollback_keeps_nothing_for_one(lives):
    life = done(restoring(), policy="")
    lives.append(life)

    assert life.state.effects == ()
    assert asked(life) == ["inbox.ignored"]


def test_an_effect_without_compensation_is_a_person_s_business(lives):
    world = world_with(handler="mail", safety="keyed")
    world.remote = {"mail"}
    act = ActStep(Common("reply"), act="steps.draft.output.reply", source="draft")
    life = Life(replace(workflow(ask("draft"), act), rollback="sign-off"), world)
    lives.append(life)
    life.turn()
    life.reply(Done({"reply": PROPOSAL}))
    from orchestration.engine.moves import EffectAnswered

    call = life.last.call
    life.turn(EffectAnswered(call.step, call.visit, call.key, call.attempt, {"id": "m-1"}, "", "", 5))
    asked(life)

    assert life.turn(message(life, "gate_settled", "approved"))[-1] == "review.opened"
    assert life.state.status == "waiting_review"
    left = life.turn(message(life, "review_settled", "left"))
    assert left == ["review.settled", "effect.left", "run.compensated", "run.rolled_back"]
    assert life.events[-2][1]["left"] == 1


def test_what_is_kept_for_a_rollback_is_not_undone_by_giving_up(lives):
    act = ActStep(Common("reply"), act="steps.draft.output.reply", source="draft")
    life = Life(replace(workflow(ask("draft"), act, ask("more")), rollback="sign-off"), restoring())
    lives.append(life)
    life.turn()
    life.reply(Done({"reply": {**PROPOSAL, "parameters": {"status": "closed"}}}))

    assert life.turn(Message(2, "cancel", "", "", PERSON, "stop")) == ["run.cancelled"]
    assert life.world.records["ticket", "T-1"][1] == {"status": "closed"}


# ---- on the database -------------------------------------------------------------------------------------------------------


@pytest.fixture
def finished(area_rows, person):
    person("ada", "Admins")
    sam, _, _ = (person(name, "Support leads") for name in ("sam", "lea", "mia"))
    docs = house.documents()
    docs[-1]["spec"]["rollback"] = {"gate": "leads"}
    house.bootstrap(docs)
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    run = house.submit(sam)
    house.drive(run)
    house.answers.clear()
    assert run.status == "completed"
    return run


def roll_back(run, who):
    verbs.rollback_run(run.pk, person=who, actor=house.actor_for(who), reason="it was wrong")
    house.drive(run)


@pytest.mark.django_db(transaction=True)
def test_whoever_asks_does_not_decide_and_whoever_started_it_neither(finished, person):
    sam, lea = (_user("sam"), _user("lea"))
    max_ = person("max", "Support leads")
    roll_back(finished, lea)
    request = house.request_of(finished)

    for nobody in (sam, lea):
        with pytest.raises(NotEligible):
            gates.decide(
                request.pk,
                person=nobody,
                auth="test",
                verdict="approve",
                reason="yes",
                seen_digest=request.digest,
                proved_at=clock.now(),
            )
    gates.decide(
        request.pk, person=max_, auth="test", verdict="approve", reason="yes", seen_digest=request.digest, proved_at=clock.now()
    )
    house.drive(finished)
    # nothing undoes note.write: a person looks, the run does not pretend
    assert finished.status == "waiting_review"
    assert house.types_of(finished)[-1] == "review.opened"
    report = journal.verify()
    assert report.is_good, report.problems


@pytest.mark.django_db(transaction=True)
def test_a_rollback_that_is_refused_leaves_the_time_of_its_end_as_it_was(finished):
    ended = finished.ended_at
    roll_back(finished, _user("lea"))
    assert finished.ended_at is None, "it is open while people decide"
    request, mia = house.request_of(finished), _user("mia")
    gates.decide(
        request.pk,
        person=mia,
        auth="test",
        verdict="reject",
        reason="it was right",
        seen_digest=request.digest,
        proved_at=clock.now(),
    )
    house.drive(finished)

    assert (finished.status, house.types_of(finished)[-1]) == ("completed", "rollback.refused")
    assert finished.ended_at == ended


@pytest.mark.django_db(transaction=True)
def test_a_message_that_comes_too_late_leaves_the_time_of_its_end_as_it_was(finished):
    ended = finished.ended_at
    in_transaction(lambda: inbox.post(finished.pk, InboxItem.Kind.CANCEL, actor=house.actor_for(_user("sam")), reason="stop"))
    house.drive(finished)

    assert house.types_of(finished)[-1] == "inbox.ignored"
    assert finished.ended_at == ended


@pytest.mark.django_db(transaction=True)
def test_the_verb_says_why_not(finished, person):
    sam = _user("sam")
    house.drive(finished)
    roll_back(finished, sam)
    with pytest.raises(verbs.RunAtRest, match="asked for already"):
        roll_back(finished, sam)
    with pytest.raises(verbs.RunAtRest, match="for others to decide"):
        verbs.cancel_run(finished.pk, person=sam, actor=house.actor_for(sam), reason="stop")
    assert rollback.SUBJECT in house.request_of(finished).subject


def _user(name):
    from aegis.identity.models import User

    return User.objects.get(username=name)
