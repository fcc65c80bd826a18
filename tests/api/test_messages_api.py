"""Messages, rollback and what a run waits for, over the API."""

from __future__ import annotations

import json

import pytest

from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from tests.api.test_runs_api import assert_problem
from tests.engine import house
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)

WAIT = {"message": "payment", "key": "input.id", "output": "request@1", "within": "2d"}
BODY = {"workflow": "notes", "name": "payment", "key": "n-1", "payload": {"id": "p-1"}}


@pytest.fixture
def zoe(ada, sam, person):
    return person("zoe", "Support leads")


@pytest.fixture
def waiting(zoe):
    house.bootstrap(house.documents(steps=[{"id": "paid", "wait": WAIT}]))
    run = house.submit(zoe)
    house.drive(run)
    return run


def send(person, body, **headers):
    return client_of(person).post("/api/v1/messages", json.dumps(body), content_type="application/json", headers=headers)


def test_a_message_is_delivered_and_its_run_goes_on(zoe, waiting):
    found = client_of(zoe).get(f"/api/v1/runs/{waiting.pk}").json()
    assert (found["status"], found["waits_for"]["kind"], found["waits_for"]["name"], found["waits_for"]["key"]) == (
        "waiting_message", "message", "payment", "n-1"
    )  # fmt: skip

    sent = send(zoe, BODY, **{"Idempotency-Key": "k-1"})
    assert (sent.status_code, sent.json()["status"]) == (201, "delivered")
    house.drive(waiting)
    found = client_of(zoe).get(f"/api/v1/runs/{waiting.pk}").json()
    assert (found["status"], found["waits_for"]) == ("completed", None)
    again = send(zoe, BODY, **{"Idempotency-Key": "k-1"})
    assert (again.status_code, again.json()["id"]) == (200, sent.json()["id"])
    other = send(zoe, {**BODY, "payload": {"id": "p-2"}}, **{"Idempotency-Key": "k-1"})
    assert other.status_code in (409, 422)


def test_a_payload_that_breaks_the_contract_is_a_problem_with_pointers(zoe, waiting):
    document = assert_problem(send(zoe, {**BODY, "payload": {"id": 1, "more": True}}), 422, "message_refused")

    assert "/payload/id" in json.dumps(document)


@pytest.mark.parametrize("body", [[], {}, {**BODY, "name": 1}, {**BODY, "much": 1}, {**BODY, "workflow": 5}])
def test_a_body_that_is_no_message_is_told_so(zoe, waiting, body):
    assert_problem(send(zoe, body), 422, "invalid")


def test_who_may_not_start_runs_is_told_no_more_than_that(zoe, waiting, person):
    assert_problem(send(person("olivia", "Others"), BODY), 404, "not_found")


def test_the_holder_of_a_resource_is_shown_to_who_may_see_it(zoe, person):
    docs = house.documents(steps=[{"id": "gate", "gate": "leads"}])
    docs[-1]["spec"]["resource"] = {"key": "'note/' + input.id", "wait": "30m"}
    house.bootstrap(docs)
    first, second = house.submit(zoe), house.submit(zoe)
    house.drive(first)
    house.drive(second)

    waits = client_of(zoe).get(f"/api/v1/runs/{second.pk}").json()["waits_for"]
    assert (waits["kind"], waits["key"], waits["holder"]) == ("resource", "note/n-1", str(first.pk))
    assert waits["until"]


def test_the_pages_name_the_holder_and_offer_the_rollback(zoe, browser_of):
    docs = house.documents(steps=[{"id": "gate", "gate": "leads"}])
    docs[-1]["spec"]["resource"] = {"key": "'note/' + input.id", "wait": "30m"}
    house.bootstrap(docs)
    first, second = house.submit(zoe), house.submit(zoe)
    house.drive(first)
    house.drive(second)
    page = browser_of(zoe).get(f"/runs/{second.pk}/").content.decode()

    assert f"note/n-1, which {first.label} holds" in page
    assert "Waiting for a resource" in page


@pytest.fixture
def finished(zoe):
    docs = house.documents()
    docs[-1]["spec"] |= {"rollback": {"gate": "leads"}, "success": "steps.keep.output.version >= 1"}
    house.bootstrap(docs)
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    run = house.submit(zoe)
    house.drive(run)
    house.answers.clear()
    return run


def test_success_is_recorded_and_shown_on_list_page_and_api(zoe, finished, browser_of):
    assert client_of(zoe).get(f"/api/v1/runs/{finished.pk}").json()["success"] == "yes"
    browser = browser_of(zoe)
    assert ">Success<" in browser.get("/runs/").content.decode().replace("\n", "")
    assert "Success" in browser.get(f"/runs/{finished.pk}/").content.decode()


def test_a_rollback_is_asked_for_with_a_reason(zoe, finished, browser_of):
    client = client_of(zoe)
    url = f"/api/v1/runs/{finished.pk}/rollback"
    assert_problem(client.post(url, "{}", content_type="application/json"), 422, "invalid")
    assert b"Roll back" in browser_of(zoe).get(f"/runs/{finished.pk}/").content

    asked = client.post(url, json.dumps({"reason": "it was wrong"}), content_type="application/json")
    assert asked.status_code == 202
    house.drive(finished)
    assert Run.objects.get(pk=finished.pk).status == "waiting_decision"
    page = browser_of(zoe).get(f"/runs/{finished.pk}/").content.decode()
    assert "somebody asks to roll it back" in page
    assert_problem(client.post(url, json.dumps({"reason": "again"}), content_type="application/json"), 409, "run_at_rest")


def test_without_a_policy_there_is_no_rollback(zoe):
    house.bootstrap(house.documents())
    house.answers["write"] = Done({"note": house.NOTE}, confidence=0.9)
    run = house.submit(zoe)
    house.drive(run)
    house.answers.clear()
    response = client_of(zoe).post(
        f"/api/v1/runs/{run.pk}/rollback", json.dumps({"reason": "x"}), content_type="application/json"
    )

    assert_problem(response, 409, "no_rollback")


def test_the_command_line_sends_one_too(zoe, waiting, tmp_path, capsys):
    from django.core.management import call_command

    payload = tmp_path / "payment.json"
    payload.write_text(json.dumps({"id": "p-1"}), encoding="utf-8")
    call_command("aegis", "message", "payment", "n-1", str(payload), "--workflow", "notes", "--as", "zoe")
    house.drive(waiting)

    assert "delivered" in capsys.readouterr().out
    assert Run.objects.get(pk=waiting.pk).status == "completed"
