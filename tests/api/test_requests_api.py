"""Approval requests over the API: what was seen is what is signed."""

from __future__ import annotations

import json

import pytest

from approvals.models import Decision
from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from tests.api.test_runs_api import assert_problem
from tests.engine import house
from tests.support.api import client_of

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


def decide(client, request, *, key: str = "", **body: object):
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/api/v1/requests/{request}/decisions"
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


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


def vote(waiting, **changes: object) -> dict:
    request = house.request_of(waiting)
    return {"verdict": "approve", "reason": "a fine note", "digest": request.digest, **changes}


def test_the_same_vote_under_the_same_key_gives_the_recorded_decision(waiting, sam):
    request, body = house.request_of(waiting), vote(waiting)
    first = decide(client_of(sam), request.pk, key="d-1", **body)
    events = Event.objects.count()

    again = decide(client_of(sam), request.pk, key="d-1", **body)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again.json()["decision"]["verdict"] == "approve"
    assert Decision.objects.filter(request=request).count() == 1
    assert Event.objects.count() == events
    house.drive(waiting)
    assert decide(client_of(sam), request.pk, key="d-1", **body).json()["decision"] == first.json()["decision"]


@pytest.mark.parametrize("changes", [{"verdict": "reject"}, {"reason": "another"}, {"digest": "0" * 64}])
def test_another_vote_under_the_same_key_is_refused(waiting, sam, changes):
    request, body = house.request_of(waiting), vote(waiting)
    decide(client_of(sam), request.pk, key="d-1", **body)

    refused = decide(client_of(sam), request.pk, key="d-1", **{**body, **changes})

    assert_problem(refused, 422, "idempotency_mismatch")
    assert Decision.objects.get(request=request).verdict == "approve"


def test_without_its_key_or_by_another_person_a_vote_is_no_repeat(waiting, sam, person):
    request, body = house.request_of(waiting), vote(waiting)
    decide(client_of(sam), request.pk, key="d-1", **body)

    assert_problem(decide(client_of(sam), request.pk, **body), 409, "request_settled")
    assert_problem(decide(client_of(sam), request.pk, key="d-2", **body), 409, "request_settled")
    lee = client_of(person("lee", "Support leads"))
    assert_problem(decide(lee, request.pk, key="d-1", **body), 409, "request_settled")


def test_a_repeat_by_somebody_who_left_meanwhile_is_refused(waiting, sam):
    request, body = house.request_of(waiting), vote(waiting)
    decide(client_of(sam), request.pk, key="d-1", **body)
    sam.is_active = False
    sam.save(update_fields=["is_active"])

    assert decide(client_of(sam), request.pk, key="d-1", **body).status_code == 401


def test_a_refused_vote_binds_no_key(waiting, sam):
    request, body = house.request_of(waiting), vote(waiting)
    assert_problem(decide(client_of(sam), request.pk, key="d-1", **{**body, "digest": "0" * 64}), 409, "stale")

    assert decide(client_of(sam), request.pk, key="d-1", **body).json()["status"] == "approved"


def test_a_key_that_cannot_be_kept_is_refused(waiting, sam):
    request = house.request_of(waiting)

    assert_problem(decide(client_of(sam), request.pk, key="x" * 121, **vote(waiting)), 422, "invalid")
    assert Decision.objects.count() == 0


def test_strangers_see_no_request(waiting, olivia):
    client = client_of(olivia)

    assert client.get("/api/v1/requests").json()["requests"] == []
    assert_problem(client.get(f"/api/v1/requests/{house.request_of(waiting).pk}"), 404, "not_found")
