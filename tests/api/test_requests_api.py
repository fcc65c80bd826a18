"""Approval requests over the API: what was seen is what is signed."""

from __future__ import annotations

import json

import pytest

from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from tests.api.test_runs_api import assert_problem, client_of
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(person, ada, sam) -> Run:
    """A run of zoe's that waits for a lead."""
    zoe = person("zoe", "Support leads")
    house.answers.clear()
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    house.bootstrap(house.documents(effect="gate"))
    run = house.submit(zoe)
    house.drive(run)
    return run


def decide(client, request, **body: object):
    return client.post(f"/api/v1/requests/{request}/decisions", json.dumps(body), content_type="application/json")


def test_a_lead_reads_the_question_and_approves_it(waiting, sam):
    client = client_of(sam)
    listed = client.get("/api/v1/requests").json()["requests"]
    found = client.get(f"/api/v1/requests/{listed[0]['id']}").json()
    assert found["may_decide"]
    assert (found["before"], found["after"]) == (None, {"text": "hello"})

    done = decide(client, listed[0]["id"], verdict="approve", reason="a fine note", digest=found["digest"])

    assert done.json()["status"] == "approved"
    house.drive(waiting)
    assert waiting.status == Run.Status.COMPLETED


def test_a_digest_of_something_else_is_stale(waiting, sam):
    request = house.request_of(waiting)

    assert_problem(decide(client_of(sam), request.pk, verdict="approve", reason="x", digest="0" * 64), 409, "stale")
    request.refresh_from_db()
    assert request.status == "open"


def test_who_started_it_is_told_why_they_cannot_decide(waiting):
    client = client_of(waiting.requester)
    request = house.request_of(waiting)
    found = client.get(f"/api/v1/requests/{request.pk}").json()

    assert not found["may_decide"]
    refused = decide(client, request.pk, verdict="approve", reason="me", digest=found["digest"])
    assert refused.status_code == 403
    assert json.loads(refused.content)["code"] == "not_eligible"


def test_the_second_decider_is_told_who_was_faster(waiting, sam, person):
    request = house.request_of(waiting)
    digest = client_of(sam).get(f"/api/v1/requests/{request.pk}").json()["digest"]
    late = client_of(person("lee", "Support leads"))
    decide(client_of(sam), request.pk, verdict="reject", reason="no", digest=digest)

    document = assert_problem(decide(late, request.pk, verdict="approve", reason="y", digest=digest), 409, "request_settled")
    assert "Sam" in document["detail"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"verdict": "maybe", "digest": "x"}, "/verdict"),
        ({"verdict": "approve"}, "/digest"),
        ({"verdict": "approve", "digest": "x", "reason": 3}, "/reason"),
        ({"verdict": "approve", "digest": "x", "as": "ada"}, "/as"),
    ],
)
def test_an_incomplete_decision_names_the_field(waiting, sam, body, place):
    document = assert_problem(decide(client_of(sam), house.request_of(waiting).pk, **body), 422, "invalid")

    assert place in [fault["where"] for fault in document["faults"]]


def test_strangers_see_no_request(waiting, olivia):
    client = client_of(olivia)

    assert client.get("/api/v1/requests").json()["requests"] == []
    assert_problem(client.get(f"/api/v1/requests/{house.request_of(waiting).pk}"), 404, "not_found")
