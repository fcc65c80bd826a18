"""Review queues: the form made from the contract, the cases to choose, and the ways out."""

from __future__ import annotations

import uuid

import pytest

from orchestration.agents.protocol import Abstain, Done
from orchestration.engine.models import ReviewItem, Run
from tests.engine import house
from tests.pages.conftest import ANSWER, text_of

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = [
    {"id": "sort", "agent": "clerk", "output": "answer@1", "confidence_below": {"value": 0.5, "queue": "people"}},
    {"id": "pick", "route": "where", "facts": {"urgency": "steps.sort.output.urgency"},
     "cases": {"fast": "finish-fast", "slow": "finish-slow", "unknown": {"queue": "people"}}},
    {"id": "finish-fast", "finish": "fast"},
    {"id": "finish-slow", "finish": "slow"},
]  # fmt: skip
TABLE = {
    "inputs": {"urgency": "string"},
    "outputs": {"why": "string"},
    "rules": [
        {"id": "hurry", "when": "urgency == 'P1'", "then": {"case": "fast", "why": "now"}},
        {"id": "later", "when": "urgency == 'P2'", "then": {"case": "slow", "why": "later"}},
    ],
    "default": {"case": "unknown", "why": "no rule"},
    "tests": [{"name": "hurry", "given": {"urgency": "P1"}, "expect": {"case": "fast"}}],
}
GOOD = {
    "f-intent": "close account", "f-urgency": '"P1"', "f-count": "3", "f-is_legal": "false", "f-tags": "a\nb",
    "f-more": '{"note": "x"}',
}  # fmt: skip


@pytest.fixture
def sorted_house(furnish) -> None:
    furnish(
        effect="allow",
        steps=STEPS,
        extra=[
            house.document("Contract", "answer@1", {"schema": ANSWER}),
            house.document("RoutingTable", "where", TABLE),
        ],
    )


@pytest.fixture
def item(sorted_house, zoe) -> ReviewItem:
    """The clerk said that it does not know."""
    house.answers["sort"] = Abstain("this is about a parrot")
    return of(zoe)


def of(person, name: str = "n-1") -> ReviewItem:
    run = house.submit(person, {"id": name, "text": "my parrot ate the card"})
    house.drive(run)
    return ReviewItem.objects.get(run=run, settled_at__isnull=True)


def url_of(item: ReviewItem, rest: str = "") -> str:
    return f"/review/{item.pk}/{rest}"


def test_the_list_shows_items_by_queue_with_why_and_service_time(item, sam, at_desk):
    page = text_of(at_desk(sam).get("/review/"))

    for said in ("people", "n-1", "Notes · sort", "The agent said that it does not know.", "left"):
        assert said in page


def test_an_item_says_why_it_is_here_and_what_came_before(item, sam, at_desk):
    page = text_of(at_desk(sam).get(url_of(item)))

    for said in ("this is about a parrot", "my parrot ate the card", "clerk said it does not know", "must keep answer@1"):
        assert said in page


def test_hidden_and_unknown_items_are_the_same_404(item, mallory, at_desk):
    client = at_desk(mallory)

    hidden, unknown = client.get(url_of(item)), client.get(f"/review/{uuid.uuid4()}/")

    assert hidden.status_code == unknown.status_code == 404
    assert hidden.content == unknown.content
    assert "You see no review queue" in text_of(client.get("/review/"))
    for act in ("claim/", "complete/", "retry/", "cancel/"):
        assert client.post(url_of(item, act), {"reason": "x"}).status_code == 404


def test_claiming_and_releasing_are_posts_and_tell_others(item, sam, zoe, at_desk):
    mine, other = at_desk(sam), at_desk(zoe)
    assert mine.get(url_of(item, "claim/")).status_code == 405

    mine.post(url_of(item, "claim/"))
    assert "Sam</b> has claimed it" in text_of(other.get(url_of(item)))
    assert other.post(url_of(item, "claim/")).status_code == 409
    assert other.post(url_of(item, "complete/"), {**GOOD, "reason": "me first"}).status_code == 409

    mine.post(url_of(item, "release/"))
    item.refresh_from_db()
    assert item.status == ReviewItem.Status.OPEN


def test_an_answer_from_the_form_satisfies_the_contract_and_the_run_goes_on(item, sam, at_desk):
    response = at_desk(sam).post(url_of(item, "complete/"), {**GOOD, "reason": "read the message"}, follow=True)

    assert "Answered. The run goes on." in text_of(response)
    run = Run.objects.get(pk=item.run_id)
    house.drive(run)
    assert run.status == Run.Status.COMPLETED
    done = text_of(at_desk(sam).get(url_of(item)))
    assert "Completed by Sam" in done
    assert "read the message" in done
    assert "close account" in done


def test_faults_come_back_at_the_field_and_nothing_typed_is_lost(item, sam, at_desk):
    typed = {**GOOD, "f-intent": "x" * 81, "f-count": "three", "f-more": "{broken", "reason": "long thought"}

    response = at_desk(sam).post(url_of(item, "complete/"), typed)

    fields = {field.key: field for field in response.context["page"].form.fields}
    page = response.content.decode()
    assert response.status_code == 422
    assert fields["count"].faults == ("is no whole number (write it with digits alone, as in 1200)",)
    assert fields["more"].faults
    for text in ("x" * 81, "three", "{broken", "long thought"):
        assert text in page
    item.refresh_from_db()
    assert item.status == ReviewItem.Status.OPEN


def test_a_broken_contract_is_told_by_pointer_at_its_field(item, sam, at_desk):
    response = at_desk(sam).post(
        url_of(item, "complete/"), {**GOOD, "f-intent": "x" * 81, "f-count": "0", "f-tags": "a\nb\nc\nd", "reason": "r"}
    )

    faulty = {field.key for field in response.context["page"].form.fields if field.faults}
    assert faulty == {"intent", "count", "tags"}


def test_an_answer_needs_a_reason(item, sam, at_desk):
    response = at_desk(sam).post(url_of(item, "complete/"), {**GOOD, "reason": ""})

    assert response.status_code == 422
    assert "Say why" in text_of(response)
    assert "close account" in text_of(response)


def test_what_an_unsure_agent_answered_fills_the_form(sorted_house, zoe, sam, at_desk):
    answer = {"intent": "close account", "urgency": "P2", "count": 2, "is_legal": True, "tags": ["one", "two"]}
    house.answers["sort"] = Done(answer, confidence=0.2)

    page = at_desk(sam).get(url_of(of(zoe))).context["page"]

    texts = {field.key: field.text for field in page.form.fields}
    assert page.is_prefilled
    assert texts == {
        "intent": "close account", "urgency": '"P2"', "count": "2", "is_legal": "true", "tags": "one\ntwo", "more": "",
    }  # fmt: skip


def test_a_case_without_a_rule_is_chosen_by_a_person(sorted_house, zoe, sam, at_desk):
    house.answers["sort"] = Done({"intent": "x", "urgency": "P3", "count": 1, "is_legal": False}, confidence=0.9)
    item = of(zoe)
    client = at_desk(sam)
    page = client.get(url_of(item))
    assert [case.value for case in page.context["page"].cases] == ["fast", "slow"]
    assert client.post(url_of(item, "complete/"), {"case": "sideways", "reason": "r"}).status_code == 422

    assert client.post(url_of(item, "complete/"), {"case": "slow", "reason": "there is time"}).status_code == 302

    run = Run.objects.get(pk=item.run_id)
    house.drive(run)
    assert run.status == Run.Status.COMPLETED


@pytest.mark.parametrize(("act", "status"), [("retry", "retried"), ("cancel", "cancelled")])
def test_an_item_can_be_sent_back_or_end_the_run_with_a_reason(item, sam, at_desk, act, status):
    client = at_desk(sam)
    refused = client.post(url_of(item, f"{act}/"), {"reason": ""})
    assert refused.status_code == 422
    assert refused.context["act"] == act

    assert client.post(url_of(item, f"{act}/"), {"reason": "it is wrong"}).status_code == 302

    item.refresh_from_db()
    assert item.status == status
    assert client.post(url_of(item, f"{act}/"), {"reason": "again"}).status_code == 409


def test_who_may_only_look_reads_what_is_missing(item, person, at_desk):
    from django.contrib.auth.models import Group

    from aegis.core.actors import SYSTEM
    from aegis.identity import grants

    reader = person("rhea", "Readers")
    grants.grant(Group.objects.get(name="Readers"), item.queue, "view", actor=SYSTEM, reason="test")
    client = at_desk(reader)

    page = text_of(client.get(url_of(item)))

    assert "Working on it needs “operate”" in page
    assert "<form class" not in page[page.index('id="main"') :]
    refused = client.post(url_of(item, "complete/"), {**GOOD, "reason": "x"})
    assert refused.status_code == 403
    assert "Support leads" in text_of(refused)


@pytest.mark.parametrize("rows", [10, 50])
def test_the_list_costs_the_same_however_many_items(sorted_house, zoe, sam, at_desk, rows, django_assert_max_num_queries):
    house.answers["sort"] = Abstain("no")
    items = [of(zoe, f"n-{number:03}") for number in range(rows)]
    client = at_desk(sam)
    client.get("/review/")

    with django_assert_max_num_queries(20):  # four of them for alarms, one for saved views
        assert len(client.get("/review/").context["board"].queues[0].rows) == rows
    with django_assert_max_num_queries(25):
        client.get(url_of(items[0]))


@pytest.mark.parametrize(
    ("act", "typed"),
    [
        ("complete/", {**GOOD, "reason": "a\x00b"}),
        ("complete/", {**GOOD, "reason": "ok", "f-intent": "close\x00"}),
        ("complete/", {**GOOD, "reason": "ok", "f-urgency": '"P1\x00"'}),
        ("complete/", {**GOOD, "reason": "ok", "f-more": '{"note":"\\u0000"}'}),
        ("retry/", {"reason": "a\x00b"}),
        ("cancel/", {"reason": "a\x00b"}),
    ],
)
def test_a_nul_typed_into_a_form_is_refused_there(item, sam, at_desk, act, typed):
    response = at_desk(sam).post(url_of(item, act), typed)

    assert 400 <= response.status_code < 500
    item.refresh_from_db()
    assert item.settled_at is None
