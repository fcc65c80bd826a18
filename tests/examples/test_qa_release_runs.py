"""qa-release, run: real suites in real processes, a real matrix. Each way a build can go, once."""

from __future__ import annotations

import json

import pytest

from aegis.core.actors import user_actor
from aegis.portal.demo.examples import EXAMPLES, read_samples
from approvals import changes
from approvals.models import ApprovalRequest
from audit import journal
from orchestration.engine.models import ReviewItem, Run
from orchestration.records.models import Record
from tests.examples import house
from tests.examples.house import complete, decide, drive, outcome, output, record

pytestmark = pytest.mark.django_db(transaction=True)

EMPTY = '<testsuites><testsuite name="nothing"/></testsuites>'
ENTITY = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuites><testsuite/></testsuites>'
GREEN = '<testsuites><testsuite name="s"><testcase name="a"/><testcase name="b"/><testcase name="c"/></testsuite></testsuites>'


@pytest.fixture
def pipeline(person, ada):
    """Submits builds; rosa and rudi decide about them."""
    person("rosa", "Release managers")
    person("rudi", "Release managers")
    house.found("qa_release")
    return person("pipeline", "Intake channels")


@pytest.fixture
def rosa(pipeline):
    return type(pipeline).objects.get(username="rosa")


def build(person, name="r1", **more):
    return house.submit("qa-release", person, {"id": "c-1", "product": "checkout", "build": name, "suite": "checkout", **more})


def report(person, xml, **more):
    return house.submit("qa-release", person, {"id": "m-1", "product": "mobile", "build": "b1", "report": xml, **more})


def tickets():
    return [json.loads(body) for body in Record.objects.filter(type="defect").order_by("key").values_list("body", flat=True)]


def test_a_build_without_failures_goes_out_by_itself(pipeline):
    run = build(pipeline, "r3")

    assert outcome(run) == (Run.Status.COMPLETED, "released")
    assert record("release", "c-1")["result"].startswith("All 20 tests pass")
    assert tickets() == []
    assert not ApprovalRequest.objects.exists()
    assert journal.verify().problems == []


def test_a_small_failure_gets_a_ticket_and_the_build_still_goes_out_by_itself(pipeline):
    run = build(pipeline, "r2")

    assert outcome(run) == (Run.Status.COMPLETED, "released")
    (ticket,) = tickets()
    assert (ticket["status"], ticket["opened_by"], ticket["count"]) == ("open", "qa-clerk", 1)
    assert ticket["opened_because"] == "one test fails on build r2 with the same cause"
    assert record("release", "c-1")["risk_percent"] <= 20
    assert len(record("release", "c-1")["open_tickets"]) == 1


def test_a_risky_build_waits_for_a_person_and_goes_out_when_she_says_so(pipeline, rosa):
    run = build(pipeline, "r1")

    assert run.status == Run.Status.WAITING_DECISION
    assert record("release", "c-1") is None
    assert sorted(ticket["count"] for ticket in tickets()) == [1, 3, 4]
    assert output(run, "analyse")["risk_percent"] > 20

    decide(rosa, "approve", "only shown to the pilot shop")

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "released")
    assert record("release", "c-1")["status"] == "released"


def test_failures_with_one_cause_share_a_ticket_that_names_each_test(pipeline):
    build(pipeline, "r1")

    largest = max(tickets(), key=lambda ticket: ticket["count"])
    assert largest["title"] == "NameError: name <value> is not defined"
    assert largest["opened_because"] == "4 tests fail on build r1 with the same cause in shop.py symbol_of"
    assert "test_checkout.Payment.test_euros_are_taken" in largest["tests"]
    assert largest["critical"]


def test_a_build_that_was_rejected_is_tested_again_and_each_ticket_says_what_closed_it(pipeline, rosa):
    run = build(pipeline, "r1")
    decide(rosa, "reject", "not with broken payments")
    assert drive(run).status == Run.Status.WAITING_REVIEW

    complete(rosa, output={"decision": "retest", "build": "r2", "note": "currencies are back, VAT is rounded"})
    run = drive(run)

    assert outcome(run) == (Run.Status.COMPLETED, "released")
    closed = [ticket for ticket in tickets() if ticket["status"] == "closed"]
    assert len(closed) == 2
    for ticket in closed:
        assert ticket["closed_by"] == "qa-clerk"
        assert ticket["closed_because"].startswith("the failure no longer occurs on build r2 (1 fail, 19 pass")
        assert ticket["closed_report_sha256"] == output(run, "run")["report_sha256"]
        assert ticket["fix_note"] == "currencies are back, VAT is rounded"
        assert ticket["opened_because"]  # what opened it still stands
    assert record("release", "c-1")["build"] == "r2"
    assert len(tickets()) == 3  # the cause that stayed kept its ticket


def test_a_build_that_was_rejected_can_be_withdrawn_and_its_tickets_stay_open(pipeline, rosa):
    run = build(pipeline, "r1")
    decide(rosa, "reject", "no")
    drive(run)

    complete(rosa, output={"decision": "withdraw", "build": "r1", "note": "it will never go out"})

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "withdrawn")
    assert record("release", "c-1") is None
    assert {ticket["status"] for ticket in tickets()} == {"open"}


def test_a_suite_that_gives_no_report_goes_to_a_person_after_its_retries(pipeline, monkeypatch):
    run = build(pipeline, "r4")
    while run.status == Run.Status.WAITING_RETRY:
        run = drive(run)

    item = ReviewItem.objects.get(status="open")
    assert (run.status, item.code, item.queue.name) == (Run.Status.WAITING_REVIEW, "agent_error", "qa-review")
    assert tickets() == []


def test_a_report_without_tests_is_no_answer_so_the_runner_abstains(pipeline):
    run = report(pipeline, EMPTY)

    item = ReviewItem.objects.get(status="open")
    assert (run.status, item.code) == (Run.Status.WAITING_REVIEW, "abstained")


def test_a_report_with_entities_is_refused_and_nothing_is_filed(pipeline):
    run = report(pipeline, ENTITY)
    while run.status == Run.Status.WAITING_RETRY:
        run = drive(run)

    assert (run.status, ReviewItem.objects.get(status="open").code) == (Run.Status.WAITING_REVIEW, "agent_error")
    assert not Record.objects.exists()


def test_a_report_that_was_sent_counts_like_a_suite_that_was_run(pipeline):
    assert outcome(report(pipeline, GREEN)) == (Run.Status.COMPLETED, "released")


def test_a_clerk_that_signs_with_another_name_is_denied(pipeline, ada):
    key, document = next((key, one) for key, one in house.documents("qa_release") if str(key) == "Agent/qa-clerk")
    document["spec"]["settings"] = {"signs_as": "rosa"}
    changes.propose([(key, document)], author=ada, actor=user_actor(ada.pk, auth="session"), reason="plant a forger")

    run = build(pipeline, "r2")

    assert (run.status, ReviewItem.objects.get(status="open").code) == (Run.Status.WAITING_REVIEW, "denied")
    assert tickets() == []


def test_applying_the_manifests_again_changes_nothing(pipeline):
    assert changes.preview(house.documents("qa_release"), None).is_empty


def test_the_samples_of_the_demo_keep_the_contract_and_end_in_each_way(pipeline):
    example = next(one for one in EXAMPLES if one.workflow == "qa-release")

    ends = {}
    for sample in read_samples(example.samples):
        run = house.submit("qa-release", pipeline, dict(sample))
        while run.status == Run.Status.WAITING_RETRY:
            run = drive(run)
        ends[sample["id"]] = run.status

    assert list(ends.values()) == [
        "waiting_decision", "completed", "completed", "waiting_review", "waiting_decision", "waiting_review",
    ]  # fmt: skip
