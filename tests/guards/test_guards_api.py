"""Guards over the API: rights, reasons, and what is hidden looks like what does not exist."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.areas import area
from audit.models import Event
from orchestration.agents.models import Agent
from orchestration.engine.guards import verbs
from orchestration.engine.guards.models import Breaker, Halt
from tests.engine import house
from tests.guards.desk import submit_many
from tests.support.api import client_of

UNKNOWN = "00000000-0000-4000-8000-000000000000"  # the same in every test process

pytestmark = pytest.mark.django_db


def post(person, path: str, body: object):
    return client_of(person).post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")


def problem(response) -> tuple[int, str]:
    document = json.loads(response.content)
    assert response["Content-Type"] == "application/problem+json"
    return response.status_code, document["code"]


HALT = {"what": "agent", "name": "clerk", "reason": "it writes nonsense"}


def test_placing_reading_and_resuming_a_halt(notes, ada):
    placed = post(ada, "halts", HALT)
    again = post(ada, "halts", HALT)
    held = submit_many(notes, 2)
    house.drive(*held)

    assert (placed.status_code, again.status_code) == (201, 200)
    assert placed.json()["id"] == again.json()["id"]
    stands = client_of(ada).get("/api/v1/guards").json()
    assert [(item["halt"]["name"], item["reason"], item["held"]) for item in stands["halts"]] == [
        ("clerk", "it writes nonsense", 2)
    ]
    resumed = post(ada, f"halts/{placed.json()['id']}/resume", {"reason": "mended", "pace": 5})
    assert resumed.json()["status"] == "resuming"
    assert resumed.json()["pace"] == 5


def test_breakers_are_opened_and_closed(notes, ada):
    opened = post(ada, "breakers/agent/clerk/open", {"reason": "down"})
    run = house.submit(notes)
    house.drive(run)
    stands = client_of(ada).get("/api/v1/guards").json()["breakers"]
    closed = post(ada, "breakers/agent/clerk/close", {"reason": "up"})

    assert (opened.json()["phase"], closed.json()["phase"]) == ("open", "closed")
    assert [(item["key"], item["phase"], item["held"]) for item in stands] == [("agent:clerk", "open", 1)]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("halts", {**HALT, "reason": " "}, (422, "invalid")),
        ("halts", {"what": "agent", "name": "clerk"}, (422, "invalid")),
        ("halts", {**HALT, "what": "moon"}, (422, "invalid")),
        ("halts", {**HALT, "more": 1}, (422, "invalid")),
        ("halts", {**HALT, "name": "nobody"}, (404, "not_found")),
        ("halts", [], (422, "invalid")),
        ("breakers/moon/clerk/open", {"reason": "x"}, (422, "invalid")),
        ("breakers/agent/nobody/open", {"reason": "x"}, (404, "not_found")),
        ("breakers/agent/clerk/open", {"reason": ""}, (422, "invalid")),
        (f"halts/{UNKNOWN}/resume", {"reason": "x"}, (404, "not_found")),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_halted(notes, ada, path, body, code):
    assert problem(post(ada, path, body)) == code
    assert not Halt.objects.exists()
    assert not Breaker.objects.exists()


@pytest.mark.parametrize("pace", [0, -1, 1_001, True, "fast", 2.5])
def test_a_pace_that_is_none_is_refused(notes, ada, as_ada, pace):
    row = verbs.halt("agent", "clerk", actor=as_ada, reason="stop").halt

    answer = post(ada, f"halts/{row.pk}/resume", {"reason": "x", "pace": pace})

    assert answer.status_code in (400, 422)
    row.refresh_from_db()
    assert row.status == Halt.Status.STANDING


def test_to_who_may_not_see_the_agent_its_halt_and_breaker_do_not_exist(notes, root, as_ada):
    row = verbs.halt("agent", "clerk", actor=as_ada, reason="secret").halt
    verbs.open_breaker("agent", "clerk", actor=as_ada, reason="secret")
    verbs.open_breaker("capability", "note.write", actor=as_ada, reason="secret")

    stands = client_of(root).get("/api/v1/guards").json()
    hidden = post(root, f"halts/{row.pk}/resume", {"reason": "x"})
    unknown = post(root, f"halts/{UNKNOWN}/resume", {"reason": "x"})
    hidden_breaker = post(root, "breakers/agent/clerk/close", {"reason": "x"})
    unknown_breaker = post(root, "breakers/agent/nobody/close", {"reason": "x"})

    assert stands == {"halts": [], "breakers": [], "limits": []}
    assert hidden.content == unknown.content
    assert hidden_breaker.content == unknown_breaker.content
    assert hidden.status_code == hidden_breaker.status_code == 404
    row.refresh_from_db()
    assert row.status == Halt.Status.STANDING


def test_who_sees_it_but_may_not_operate_it_is_told_the_right_and_who_gives_it(notes, quinn):
    answer = post(quinn, "halts", HALT)

    assert problem(answer) == (403, "forbidden")
    assert answer.json()["right"] == "operate"
    assert not Halt.objects.exists()


def test_halting_everything_takes_the_right_on_the_area_of_workflows(notes, quinn, ada):
    body = {"what": "everything", "reason": "the house is on fire"}
    refused = post(quinn, "halts", body)
    grants.grant(Group.objects.get(name="Auditors"), area("workflows"), "operate", actor=SYSTEM, reason="watch")

    placed = post(quinn, "halts", body)

    assert problem(refused) == (403, "forbidden")
    assert refused.json()["right"] == "operate (workflows)"
    assert placed.status_code == 201


def test_everybody_who_is_signed_in_learns_that_everything_is_halted(notes, root, as_ada):
    verbs.halt("everything", actor=as_ada, reason="the house is on fire")

    assert [item["halt"]["what"] for item in client_of(root).get("/api/v1/guards").json()["halts"]] == ["everything"]


def test_who_operates_the_agent_may_halt_it(notes, sam):
    leads = Group.objects.get(name="Support leads")
    for verb in ("view", "operate"):
        grants.grant(leads, Agent.objects.get(name="clerk"), verb, actor=SYSTEM, reason="test")

    assert post(sam, "halts", HALT).status_code == 201
    event = Event.objects.get(type="halt.placed")
    assert (event.actor_ref, event.scope) == (str(sam.pk), "agent")


def test_strangers_are_asked_to_sign_in(notes):
    for path in ("guards", "halts"):
        assert APIClient().get(f"/api/v1/{path}").status_code == 401
    assert APIClient().post("/api/v1/halts", json.dumps(HALT), content_type="application/json").status_code == 401
    assert not Halt.objects.exists()


def test_the_schema_names_every_route(notes, ada):
    schema = client_of(ada).get("/api/v1/openapi", headers={"Accept": "application/vnd.oai.openapi+json"}).content.decode()

    for path in ("guards", "halts", "halts/{halt_id}/resume", "breakers/{kind}/{name}/open", "breakers/{kind}/{name}/close"):
        assert f"/api/v1/{path}" in schema


def test_reading_what_stands_takes_as_many_queries_for_many_runs_as_for_few(notes, ada, as_ada):
    verbs.halt("agent", "clerk", actor=as_ada, reason="stop")
    verbs.open_breaker("capability", "note.write", actor=as_ada, reason="stop")
    client, counts = client_of(ada), []
    for _ in range(2):
        house.drive(*submit_many(notes, 6))
        with CaptureQueriesContext(connection) as queries:
            found = client.get("/api/v1/guards").json()
        counts.append(len(queries))

    assert found["halts"][0]["held"] == 12
    assert counts[0] == counts[1] <= 14
