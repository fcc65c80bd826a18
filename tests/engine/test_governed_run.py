"""One run, governed end to end on the database: verbs in, journal out."""

from __future__ import annotations

import pytest

from aegis.core import canonical, clock
from aegis.core.errors import Forbidden, IdempotencyMismatch, Invalid, NotFound, Stale
from approvals import gates, questions
from approvals.errors import NotEligible
from audit import journal
from audit.models import Event
from orchestration.agents.protocol import Abstain, Done
from orchestration.engine import reviews, verbs
from orchestration.engine.models import ReviewItem, Run
from orchestration.records import store
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_script():
    house.answers.clear()
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9, rationale="as asked")


@pytest.fixture
def starter(person, ada):
    """Somebody who may start and operate `notes`: a member of its owner group."""
    return person("zoe", "Support leads")


@pytest.fixture
def allowed(starter, ada, sam):
    house.bootstrap(house.documents())
    return starter


@pytest.fixture
def trusted(starter, ada, sam):
    """Leads may write notes themselves."""
    docs = house.documents()
    docs[0]["spec"]["grants"] = [{"capability": "note.write", "effect": "allow"}]
    house.bootstrap(docs)
    return starter


@pytest.fixture
def gated(starter, ada, sam):
    house.bootstrap(house.documents(effect="gate"))
    return starter


def verified() -> bool:
    report = journal.verify()
    assert report.problems == []
    return report.is_good


def decide(person, run, verdict="approve", reason="looks right"):
    request = house.request_of(run)
    digest = questions.get(request.question).live(request.subject).digest
    return gates.decide(
        request.pk, person=person, auth="test", verdict=verdict, reason=reason, seen_digest=digest, proved_at=clock.now()
    )


def test_an_allowed_effect_happens_once_and_is_on_record(allowed):
    run = house.submit(allowed)

    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert house.types_of(run) == [
        "run.submitted", "step.started", "step.completed", "verdict.given", "effect.done", "run.completed",
    ]  # fmt: skip
    assert store.read("note", "N-1") == (1, {"text": "hello"})
    assert verified()


def test_a_gated_effect_waits_for_a_person_and_then_happens(gated, sam):
    run = house.submit(gated)
    house.drive(run)
    assert run.status == Run.Status.WAITING_DECISION
    assert store.read("note", "N-1") is None

    decide(sam, run, reason="a fine note")
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert store.read("note", "N-1") == (1, {"text": "hello"})
    settled = Event.objects.get(stream=run.stream, type="gate.settled")
    assert settled.actor_ref == str(sam.pk)
    assert verified()


def test_a_rejected_effect_never_happens_and_ends_in_a_queue(gated, sam):
    run = house.submit(gated)
    house.drive(run)

    decide(sam, run, "reject", "not like this")
    house.drive(run)

    assert run.status == Run.Status.WAITING_REVIEW
    assert store.read("note", "N-1") is None
    assert ReviewItem.objects.get(run=run).code == "rejected"
    assert verified()


def test_whoever_started_the_run_cannot_approve_it(gated, sam):
    run = house.submit(gated)
    house.drive(run)

    with pytest.raises(NotEligible):
        decide(gated, run)

    house.drive(run)
    assert run.status == Run.Status.WAITING_DECISION


def test_a_record_that_moved_after_the_decision_opens_a_new_gate(gated, sam):
    house.answers["write"] = Done({"note": {**house.NOTE, "resource": {"type": "note", "id": "N-2"}}})
    run = house.submit(gated)
    house.drive(run)
    first = house.request_of(run)
    decide(sam, run)
    other = {"text": "somebody was faster"}
    from django.db import transaction

    from aegis.core import clock

    with transaction.atomic():
        assert store.compare_and_set(
            "note", "N-2", expected_version=0, body=canonical.dump(other), effect_key="x", run_id=run.pk, at=clock.now()
        )

    house.drive(run)

    assert store.read("note", "N-2") == (1, other)
    assert house.request_of(run).pk != first.pk
    assert verified()


def test_who_approves_what_the_record_has_become_is_not_asked_again(gated, sam):
    run = house.submit(gated)
    house.drive(run)
    request = house.request_of(run)
    seen = questions.get(request.question).live(request.subject).digest
    from django.db import transaction

    from aegis.core import clock

    with transaction.atomic():
        moved = canonical.dump({"text": "moved"})
        store.compare_and_set("note", "N-1", expected_version=0, body=moved, effect_key="x", run_id=run.pk, at=clock.now())
    with pytest.raises(Stale):
        gates.decide(request.pk, person=sam, auth="test", verdict="approve", reason="yes", seen_digest=seen)

    decide(sam, run)
    house.drive(run)

    assert house.types_of(run).count("gate.opened") == 1
    assert house.types_of(run)[-2:] == ["effect.failed", "review.opened"]  # record.create on a record that exists by now
    assert verified()


def test_cancel_withdraws_the_open_request(gated):
    run = house.submit(gated)
    house.drive(run)
    request = house.request_of(run)

    verbs.cancel_run(run.pk, person=gated, actor=house.actor_for(gated), reason="no longer needed")
    house.drive(run)

    request.refresh_from_db()
    assert run.status == Run.Status.CANCELLED
    assert request.status == "withdrawn"
    assert verified()


def test_an_abstention_is_completed_by_a_person_through_the_contract(trusted, sam):
    house.answers["write"] = Abstain("cannot read it")
    run = house.submit(trusted)
    house.drive(run)
    item = ReviewItem.objects.get(run=run)
    assert (item.code, item.contract) == ("abstained", "anything@1")

    reviews.complete(item.pk, person=sam, auth="test", output={"note": house.NOTE}, reason="wrote it myself")
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert store.read("note", "N-1") == (1, {"text": "hello"})
    assert verified()


def test_retry_from_the_queue_runs_the_step_again(allowed):
    house.answers["write"] = RuntimeError("boom")
    run = house.submit(allowed)
    house.drive(run)
    assert run.status == Run.Status.WAITING_REVIEW
    house.answers["write"] = Done({"note": house.NOTE})

    verbs.retry_run(run.pk, person=allowed, actor=house.actor_for(allowed), reason="mended")
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert ReviewItem.objects.get(run=run).status == ReviewItem.Status.CANCELLED
    assert verified()


def test_the_same_key_with_the_same_body_is_the_same_run(allowed):
    first = house.submit(allowed, {"id": "a"}, key="k1")

    assert house.submit(allowed, {"id": "a"}, key="k1").pk == first.pk
    with pytest.raises(IdempotencyMismatch):
        house.submit(allowed, {"id": "b"}, key="k1")
    assert Run.objects.count() == 1


def test_a_payload_that_breaks_the_contract_is_refused_and_only_the_refusal_is_kept(allowed):
    with pytest.raises(verbs.InputRefused) as refused:
        house.submit(allowed, {"id": "a", "extra": 1})

    assert refused.value.faults
    assert Run.objects.count() == 0
    assert Event.objects.get(type="run.refused").scope == "workflow"


def test_who_cannot_see_a_workflow_cannot_start_it(allowed, olivia):
    with pytest.raises(NotFound):
        house.submit(olivia)


def test_who_cannot_operate_a_queue_cannot_answer_its_items(allowed, olivia, quinn):
    house.answers["write"] = Abstain("?")
    run = house.submit(allowed)
    house.drive(run)
    item = ReviewItem.objects.get(run=run)

    for person in (olivia, quinn):
        with pytest.raises((NotFound, Forbidden)):
            reviews.cancel(item.pk, person=person, auth="test", reason="x")
    assert Event.objects.filter(stream=item.stream).count() == 0


def test_a_rejected_gate_cannot_be_completed_past(gated, sam):
    run = house.submit(gated)
    house.drive(run)
    decide(sam, run, "reject", "not like this")
    house.drive(run)
    item = ReviewItem.objects.get(run=run)

    with pytest.raises(Invalid):
        reviews.complete(item.pk, person=gated, auth="test", reason="let it pass")

    house.drive(run)
    assert run.status == Run.Status.WAITING_REVIEW
    assert store.read("note", "N-1") is None


def test_who_wrote_the_proposal_in_a_review_cannot_approve_it(starter, ada, sam, person):
    olga = person("olga", "Support leads")
    docs = house.documents(effect="gate")
    next(doc for doc in docs if doc["metadata"]["name"] == "Support leads")["spec"]["grants"] = [
        {"capability": "note.write", "effect": "allow"}
    ]
    house.bootstrap(docs)
    house.answers["write"] = Abstain("cannot read it")
    run = house.submit(starter)
    house.drive(run)
    reviews.complete(ReviewItem.objects.get(run=run).pk, person=olga, auth="test", output={"note": house.NOTE}, reason="mine")
    house.drive(run)

    with pytest.raises(NotEligible):
        decide(olga, run)
    decide(sam, run)
    house.drive(run)
    assert run.status == Run.Status.COMPLETED
    assert verified()


def test_completing_a_review_gives_nobody_an_agents_rights(allowed, sam):
    house.answers["write"] = Abstain("cannot read it")
    run = house.submit(allowed)
    house.drive(run)

    reviews.complete(ReviewItem.objects.get(run=run).pk, person=sam, auth="test", output={"note": house.NOTE}, reason="x")
    house.drive(run)

    assert store.read("note", "N-1") is None
    assert house.types_of(run)[-2:] == ["verdict.given", "review.opened"]


def test_an_owner_who_hands_the_agent_on_stays_bound(gated, sam, person):
    lead = person("lina", "Support leads")
    from orchestration.agents.models import Agent

    Agent.objects.filter(name="clerk").update(owner=lead)
    run = house.submit(gated)
    house.drive(run)
    Agent.objects.filter(name="clerk").update(owner=sam)

    with pytest.raises(NotEligible):
        decide(lead, run)
