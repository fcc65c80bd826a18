"""content-pipeline, run: real agents, real matrix, real store of facts. Each way an article can go, once."""

from __future__ import annotations

import time

import pytest

from aegis.core.actors import user_actor
from aegis.portal.demo.examples import EXAMPLES, read_samples
from approvals import changes
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest
from audit import journal
from examples.common.documents import checker_of
from examples.content_pipeline import generate
from orchestration.engine import verbs
from orchestration.engine.driver import Driver
from orchestration.engine.models import ReviewItem, Run
from tests.examples import house
from tests.examples.house import complete, decide, outcome, output, record

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLE = next(one for one in EXAMPLES if one.workflow == "content-pipeline")
SAMPLES = {one["id"]: one for one in read_samples(EXAMPLE.samples)}


@pytest.fixture
def desk(person, ada):
    """Sends briefs; mina and ines edit, hugo knows what the law says about health claims."""
    person("mina", "Content editors")
    person("ines", "Content editors")
    person("hugo", "Health reviewers")
    house.found("content_pipeline")
    return person("desk", "Intake channels")


@pytest.fixture
def mina(desk):
    return type(desk).objects.get(username="mina")


@pytest.fixture
def ines(desk):
    return type(desk).objects.get(username="ines")


@pytest.fixture
def hugo(desk):
    return type(desk).objects.get(username="hugo")


def send(person, sample, **change):
    brief = {**SAMPLES[sample], **change}
    submission = verbs.Submission(brief, brief["id"])
    return drive(verbs.submit("content-pipeline", submission, person=person, actor=user_actor(person.pk, auth="test")).run)


def drive(run):
    """The run and those below it, until nothing moves."""
    Driver().drive()
    run.refresh_from_db()
    return run


def article(sample):
    return record("article", sample)


def waiting():
    """What waits for people in the queues: (queue, code)."""
    return sorted(ReviewItem.objects.filter(status="open").values_list("queue__name", "code"))


def revised(text):
    return {"output": {"text": text}}


# --- without anybody ---


def test_a_guide_with_nothing_to_object_to_is_published_by_itself(desk):
    run = send(desk, "guide-descale")

    assert outcome(run) == (Run.Status.COMPLETED, "published")
    assert (article("guide-descale")["status"], article("guide-descale")["risk"]) == ("published", "low")
    assert not ApprovalRequest.objects.exists()
    assert journal.verify().problems == []


def test_what_is_mechanical_is_edited_and_claims_are_held_to_the_store(desk):
    run = send(desk, "news-steel")

    assert outcome(run) == (Run.Status.COMPLETED, "published")
    assert "80% recycled steel" in article("news-steel")["text"]
    assert "We use the same heater as before—it boils in 4 minutes." in article("news-steel")["text"]
    assert "website" in article("news-steel")["text"]
    assert article("news-steel")["claims"] == 2
    assert {one["rule"] for one in output(run, "edit")["mended"]} == {
        "fernbrook.percent", "fernbrook.plain-words", "fernbrook.dash", "fernbrook.spelling",
    }  # fmt: skip


# --- past people ---


def test_an_offer_waits_for_an_editor_and_goes_out_when_she_says_so(desk, mina):
    run = send(desk, "offer-october")
    assert run.status == Run.Status.WAITING_DECISION
    assert article("offer-october")["status"] == "draft"

    decide(mina, "approve", "the price is right")

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "published")


def test_an_article_that_the_editor_rejects_stays_a_draft(desk, mina):
    run = send(desk, "offer-october")

    decide(mina, "reject", "we do not sell it in October")

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "declined")
    assert article("offer-october")["status"] == "draft"


def test_health_claims_need_an_editor_and_a_reviewer_whatever_the_risk(desk, mina, hugo):
    run = send(desk, "health-oats")
    assert run.status == Run.Status.WAITING_DECISION

    decide(mina, "approve", "well written")
    assert drive(run).status == Run.Status.WAITING_DECISION
    decide(hugo, "approve", "the claim is in the register")

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "published")
    assert article("health-oats")["regulated"] is True


def test_a_health_claim_in_ordinary_news_goes_the_way_of_health_claims(desk, mina):
    run = send(desk, "health-oats", category="product-news")

    assert run.status == Run.Status.WAITING_DECISION
    assert ApprovalRequest.objects.get().policy.name == "health-sign-off"


# --- where somebody must mend it ---


def test_personal_data_stops_an_article_until_a_person_has_taken_it_out(desk, mina):
    run = send(desk, "news-customer")
    assert run.status == Run.Status.WAITING_REVIEW
    assert output(run, "assess")["reasons"] == ["personal data (email)", "personal data (name)"]

    complete(mina, **revised("# A customer writes to us\n\nOne customer has used her kettle every day.\n"))

    assert outcome(drive(run)) == (Run.Status.COMPLETED, "published")
    assert "Roe" not in article("news-customer")["text"]


def test_what_a_person_wrote_is_checked_like_anything_else(desk, mina):
    run = send(desk, "news-customer")

    complete(mina, **revised("# A customer writes to us\n\nCall her: +44 20 7946 0958.\n"))

    assert drive(run).status == Run.Status.WAITING_REVIEW
    assert output(run, "assess")["reasons"] == ["personal data (phone)"]


def test_an_article_that_nobody_gets_right_ends_in_the_queue_of_last_resort(desk, mina):
    run = send(desk, "news-customer")

    for _ in range(3):
        complete(mina, **revised("# A customer\n\nWrite to jane.roe@example.com.\n"))
        drive(run)

    assert waiting() == [("content-desk", "max_visits")]
    assert article("news-customer")["status"] == "draft"


def test_a_claim_that_is_not_so_and_a_promise_go_back_with_the_reasons(desk, mina):
    run = send(desk, "offer-wrong")

    assert run.status == Run.Status.WAITING_REVIEW
    reasons = output(run, "assess")["reasons"]
    assert "not so: It holds 2 litres. Kettle K2: 1.7 litre" in reasons
    assert any("We promise nothing of the kind: 'risk-free'." in reason for reason in reasons)


# --- where an agent does not know, or breaks ---


def test_a_claim_that_the_store_knows_nothing_about_is_judged_by_a_person(desk, mina):
    run = send(desk, "news-weight")
    assert waiting() == [("content-facts", "abstained")]
    assert article("news-weight")["status"] == "draft"

    complete(mina, output={"verdict": "supported", "source": "Scales in the laboratory, 12 October"})
    drive(run)

    assert outcome(run) == (Run.Status.COMPLETED, "published")


def test_a_person_s_word_without_a_source_is_not_enough_and_another_person_signs(desk, mina, ines):
    run = send(desk, "news-weight")

    complete(mina, output={"verdict": "supported"})
    drive(run)

    assert run.status == Run.Status.WAITING_DECISION
    assert output(run, "assess")["risk"] == "medium"
    with pytest.raises(NotEligible):
        decide(mina, "approve", "I said so before")
    decide(ines, "approve", "I have held it, too")
    assert outcome(drive(run)) == (Run.Status.COMPLETED, "published")


def test_a_brief_that_the_drafter_cannot_write_waits_for_a_person(desk):
    run = send(desk, "guide-descale", category="press-release")

    assert run.status == Run.Status.WAITING_REVIEW
    assert waiting() == [("content-desk", "abstained")]


def test_an_agent_that_fails_is_tried_again_and_then_a_person_has_it(desk):
    run = send(desk, "news-winter")
    assert run.status == Run.Status.WAITING_RETRY

    deadline = time.monotonic() + 10
    while run.status == Run.Status.WAITING_RETRY and time.monotonic() < deadline:
        time.sleep(0.1)
        drive(run)

    assert waiting() == [("content-desk", "agent_error")]


# --- the manifests ---


def test_the_folder_passes_lint_and_applying_it_again_changes_nothing(desk):
    assert changes.preview(house.documents("content_pipeline"), None).faults == []
    assert changes.preview(house.documents("content_pipeline"), None).is_empty


@pytest.mark.parametrize("name", sorted(generate.generated()))
def test_generated_manifests_are_those_of_their_sources(name):
    """After a change of contracts/ or of rules, facts and templates: python -m examples.content_pipeline.generate."""
    assert (generate.FOLDER / name).read_text(encoding="utf-8") == generate.generated()[name]


def test_every_sample_keeps_the_contract_of_the_workflow():
    checker = checker_of("content_pipeline", "brief@1")

    assert {key: found for key, one in SAMPLES.items() if (found := checker.faults(dict(one)))} == {}
