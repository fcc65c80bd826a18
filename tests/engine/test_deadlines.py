"""The deadline of a run, and required events, on the real database."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from aegis.core import clock
from aegis.identity.models import User
from approvals import gates
from approvals.models import ApprovalRequest
from audit import journal
from orchestration.engine.models import Run
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

GATE = {"id": "gate", "gate": "leads"}


@pytest.fixture
def sam(area_rows, person):
    person("ada", "Admins")
    person("lea", "Support leads")
    return person("sam", "Support leads")


def found(*steps, **spec):
    docs = house.documents(steps=list(steps))
    docs[-1]["spec"] |= spec
    house.bootstrap(docs)


def late(run, monkeypatch, **delta):
    """The run gets its turn when that much time has passed."""
    moment = clock.db_now() + timedelta(**delta)
    Run.objects.filter(pk=run.pk).update(due_at=clock.now() - timedelta(seconds=1))
    with monkeypatch.context() as patched:
        patched.setattr("orchestration.engine.world.clock.db_now", lambda: moment)
        house.drive(run)


def test_the_deadline_of_a_run_counts_from_its_submission_and_closes_what_waits(sam, monkeypatch):
    found(GATE, deadline="2h", on_deadline="fail")
    run = house.submit(sam)
    house.drive(run)
    assert timedelta(minutes=119) < run.due_at - run.submitted_at <= timedelta(hours=2)
    request = house.request_of(run)

    late(run, monkeypatch, hours=3)
    request.refresh_from_db()
    assert (run.status, request.status) == ("failed", "withdrawn")
    assert house.types_of(run)[-2:] == ["deadline.passed", "run.failed"]
    report = journal.verify()
    assert report.is_good, report.problems


def test_a_decision_committed_before_the_deadline_is_recorded_counts(sam, monkeypatch):
    """The worker found the deadline passed; the decision is committed before its transaction."""
    from orchestration.engine import driver

    found(GATE, deadline="30m", on_deadline="fail")
    run = house.submit(sam)
    house.drive(run)
    request, lea = house.request_of(run), User.objects.get(username="lea")
    real, done = driver.commit, []

    def commit(batch):
        if not done:
            done.append(True)
            gates.decide(request.pk, person=lea, auth="test", verdict="approve", reason="yes", seen_digest=request.digest)
        return real(batch)

    with monkeypatch.context() as patched:
        patched.setattr(driver, "commit", commit)
        late(run, monkeypatch, minutes=31)
    house.drive(run)

    assert ApprovalRequest.objects.get(pk=request.pk).status == "approved"
    assert house.types_of(run)[-2:] == ["gate.settled", "run.completed"]


def test_an_event_that_is_required_must_be_on_record_of_this_run(sam):
    steps = [GATE, {"id": "cool", "wait": {"for": "1s"}}, {"id": "set", "set": {"x": "1"}, "requires": ["event:gate.settled"]}]
    found(*steps)
    run = house.submit(sam)
    house.drive(run)
    request = house.request_of(run)
    lea = User.objects.get(username="lea")
    gates.decide(request.pk, person=lea, auth="test", verdict="approve", reason="yes", seen_digest=request.digest)
    house.drive(run)
    assert run.status == "waiting_time"
    Run.objects.filter(pk=run.pk).update(due_at=clock.now() - timedelta(seconds=1))
    time.sleep(1.1)
    house.drive(run)
    assert run.status == "completed"


def test_without_it_the_step_gives_up(sam):
    found({"id": "set", "set": {"x": "1"}, "requires": ["event:gate.settled"]})
    run = house.submit(sam)
    house.drive(run)

    assert run.review_items.get().code == "requires"
