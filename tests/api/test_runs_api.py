"""Runs over the API: how work comes in, how it is read, and what bad input is told."""

from __future__ import annotations

import json
import uuid

import pytest
from rest_framework.test import APIClient

from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from tests.engine import house
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def starter(person, ada, sam):
    zoe = person("zoe", "Support leads")
    house.answers.clear()
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    house.bootstrap(house.documents())
    return zoe


def post(client: APIClient, body: object, **headers: str):
    raw = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post("/api/v1/runs", raw, content_type="application/json", headers=headers)


def assert_problem(response, status: int, code: str) -> dict:
    document = json.loads(response.content)
    assert (response.status_code, document["code"]) == (status, code), document
    assert response["Content-Type"] == "application/problem+json"
    assert document["status"] == status
    return document


def test_a_submission_makes_a_run_that_can_be_read(starter):
    client = client_of(starter)

    made = post(client, {"workflow": "notes", "input": {"id": "n-7"}})

    assert made.status_code == 201
    found = client.get(made["Location"]).json()
    assert (found["business_key"], found["status"], found["workflow"]) == ("n-7", "running", "notes")


def test_a_small_body_of_many_wrong_names_has_a_small_answer(starter):
    wrong = {f"{number}{'x' * 200}": 1 for number in range(2_000)}

    answer = post(client_of(starter), {"workflow": 7, **wrong})

    faults = assert_problem(answer, 422, "invalid")["faults"]
    told = [(fault["where"], fault["what"]) for fault in faults[:2]]
    assert told == [("/input", "is missing"), ("/workflow", "must be text")]
    assert len(faults) == 100
    assert len(answer.content) < 20_000


def test_the_same_key_answers_with_the_same_run(starter):
    client = client_of(starter)
    body = {"workflow": "notes", "input": {"id": "n-7"}}

    first = post(client, body, **{"Idempotency-Key": "k-1"})
    again = post(client, body, **{"Idempotency-Key": "k-1"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = post(client, {"workflow": "notes", "input": {"id": "n-8"}}, **{"Idempotency-Key": "k-1"})
    assert_problem(other, 422, "idempotency_mismatch")
    assert Run.objects.count() == 1


def test_events_come_as_they_were_hashed_with_their_payloads(starter):
    client = client_of(starter)
    run = Run.objects.get(pk=post(client, {"workflow": "notes", "input": {"id": "n-7", "text": "hi"}}).json()["id"])
    house.drive(run)

    page = client.get(f"/api/v1/runs/{run.pk}/events").json()

    assert [event["type"] for event in page["events"]] == house.types_of(run)
    assert page["events"][0]["payloads"]["input"] == {"id": "n-7", "text": "hi"}
    assert page["events"][1]["line"]["prev"] == page["events"][0]["leaf"]
    assert client.get(f"/api/v1/runs/{run.pk}/events?after=2").json()["events"][0]["seq"] == 3


def test_a_broken_contract_is_told_by_pointer_and_only_the_refusal_is_kept(starter):
    document = assert_problem(post(client_of(starter), {"workflow": "notes", "input": {"id": 7}}), 422, "input_refused")

    assert [fault["where"] for fault in document["faults"]] == ["/id"]
    assert Run.objects.count() == 0
    assert Event.objects.filter(type="run.refused").count() == 1


@pytest.mark.parametrize(
    ("raw", "status", "code", "place"),
    [
        (b'{"workflow": "notes", "workflow": "x", "input": {}}', 400, "malformed", "/workflow"),
        (b'{"workflow": "notes", "input": {"id": NaN}}', 400, "malformed", ""),
        (b'{"workflow": "notes", "input": {"id": "a\\u0000b"}}', 400, "malformed", "/input/id"),
        (b'{"workflow": "notes", "input": {"id": "\\ud800"}}', 400, "malformed", "/input/id"),
        (b'{"workflow": "notes", "input": ' + b"[" * 500 + b"]" * 500 + b"}", 400, "malformed", ""),
        (b'{"workflow": "notes",\n "input": }', 400, "malformed", "line 2, column 11"),
        (b'{"workflow": "notes", "input": {"n": 1e999}}', 400, "malformed", "/input/n"),
        (b"\xff\xfe", 400, "malformed", "byte 0"),
        (b"[]", 422, "invalid", "/"),
        (b'{"workflow": 3, "extra": 1}', 422, "invalid", "/extra"),
        (b'"' + b"x" * 2_000_000 + b'"', 413, "too_large", None),
    ],
)
def test_bad_bodies_are_refused_with_their_place_and_change_nothing(starter, raw, status, code, place):
    before = (Run.objects.count(), Event.objects.count())

    document = assert_problem(post(client_of(starter), raw), status, code)

    if place is not None:
        assert place in [fault["where"] for fault in document["faults"]]
    assert (Run.objects.count(), Event.objects.count()) == before


def test_a_payload_over_the_limit_is_refused(starter):
    body = {"workflow": "notes", "input": {"id": "a", "text": "x" * 300_000}}

    assert_problem(post(client_of(starter), body), 422, "invalid")
    assert Run.objects.count() == 0


@pytest.mark.parametrize("key", ["", "x" * 121, "snow\u2603"])
def test_a_key_that_cannot_be_kept_is_refused(starter, key):
    assert_problem(
        post(client_of(starter), {"workflow": "notes", "input": {"id": "a"}}, **{"Idempotency-Key": key}), 422, "invalid"
    )


def test_hidden_and_unknown_look_the_same(starter, olivia):
    run = house.submit(starter)
    stranger = client_of(olivia)

    hidden = stranger.get(f"/api/v1/runs/{run.pk}")
    unknown = stranger.get(f"/api/v1/runs/{uuid.uuid4()}")

    assert (hidden.status_code, hidden.content) == (unknown.status_code, unknown.content) == (404, hidden.content)
    assert stranger.get(f"/api/v1/runs/{run.pk}/events").content == unknown.content
    assert stranger.get("/api/v1/runs").json()["runs"] == []
    assert_problem(post(stranger, {"workflow": "notes", "input": {"id": "a"}}), 404, "not_found")


def test_without_credentials_nothing_is_said():
    for path in ("runs", f"runs/{uuid.uuid4()}", "requests", "openapi", "nowhere"):
        assert_problem(APIClient().get(f"/api/v1/{path}"), 401, "not_authenticated")


def test_the_list_pages_through_runs_of_one_instant(starter, settings):
    from orchestration import api
    from orchestration.engine import verbs

    work = [verbs.Submission({"id": f"n-{index}"}) for index in range(5)]
    verbs.submit_many("notes", work, person=starter, actor=house.actor_for(starter))
    api_page, api.PAGE = api.PAGE, 2
    try:
        client, seen, address = client_of(starter), [], "/api/v1/runs"
        while address:
            page = client.get(address).json()
            seen += [run["id"] for run in page["runs"]]
            address = f"/api/v1/runs?before={page['next']}" if page["next"] else ""
    finally:
        api.PAGE = api_page

    assert sorted(seen) == sorted(str(pk) for pk in Run.objects.values_list("pk", flat=True))


def test_queries_of_a_list_do_not_grow_with_its_rows(starter, django_assert_max_num_queries):
    client = client_of(starter)
    for index in range(12):
        house.submit(starter, {"id": f"n-{index}"})

    with django_assert_max_num_queries(8):
        assert len(client.get("/api/v1/runs").json()["runs"]) == 12


def test_the_schema_names_every_route(starter):
    schema = client_of(starter).get("/api/v1/openapi", headers={"Accept": "application/vnd.oai.openapi+json"})

    assert schema.status_code == 200
    for path in ("runs", "runs/{run_id}", "runs/{run_id}/events", "requests", "requests/{request_id}/decisions"):
        assert f"/api/v1/{path}" in schema.content.decode()
