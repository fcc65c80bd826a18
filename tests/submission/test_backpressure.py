"""While too much waits, new work is refused with a time to come again; everything else goes on (HAZARDS F28, S19)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aegis.core import bodies
from audit import access
from audit.models import DenialCount, Event
from orchestration.engine import pressure, space, verbs
from orchestration.engine.admission import SpaceLow
from orchestration.engine.models import InboxItem, Run
from tests.engine import house
from tests.submission.conftest import batch, items
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 50  # one client alone fills 40 of them


@pytest.fixture(autouse=True)
def low_limit(settings: Any) -> None:
    settings.BACKLOG_LIMIT = LIMIT


def refusal_of(response: Any, status: int = 429) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(response.content)
    assert (response.status_code, document["status"]) == (status, status), document
    assert response["Content-Type"] == "application/problem+json"
    return document


def submit(client: Any, number: int, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/api/v1/runs", {"workflow": "notes", "input": {"id": f"s-{number}"}}, format="json", headers=headers)


def fill(client: Any) -> list[Any]:
    """Submits until it is refused."""
    taken = []
    while (answer := submit(client, len(taken), f"fill-{len(taken)}")).status_code == 201:
        taken.append(answer)
    refusal_of(answer)
    return taken


def test_a_full_backlog_answers_429_with_a_bounded_time_to_come_again(client):
    taken = fill(client)
    refused = submit(client, 99)

    assert len(taken) == Run.objects.count() == 40
    assert refusal_of(refused)["code"] == "share_full"
    assert 1 <= int(refused["Retry-After"]) <= 90


def test_another_client_still_gets_in_and_so_does_the_next(client, person):
    fill(client)

    for name in ("mia", "noa", "pia"):
        assert submit(client_of(person(name, "Support leads")), 0).status_code == 201
    refusal_of(submit(client, 99))


def test_a_batch_that_does_not_fit_is_refused_whole(client):
    assert batch(client, items(30)).status_code == 201

    refusal_of(batch(client, items(20, first=100)))
    refusal_of(batch(client, items(20, first=100), mode="each"))
    assert Run.objects.count() == 30
    assert batch(client, items(10, first=100)).status_code == 201


def test_a_batch_that_could_never_fit_is_told_so(client):
    refused = batch(client, items(41))

    assert refusal_of(refused, 413)["code"] == "too_large"
    assert "Retry-After" not in refused


def test_what_was_accepted_is_answered_again_however_full_it_is(client):
    taken = fill(client)
    again = submit(client, 7, "fill-7")

    assert again.status_code == 200
    assert again.json()["id"] == taken[7].json()["id"]


def test_decisions_cancels_and_reads_are_never_refused(client, zoe):
    fill(client)
    run = Run.objects.latest("submitted_at")

    verbs.cancel_run(run.pk, person=zoe, actor=house.actor_for(zoe), reason="enough")

    assert InboxItem.objects.filter(run=run, kind="cancel").count() == 1
    assert client.get("/api/v1/runs").status_code == 200
    assert client.get(f"/api/v1/runs/{run.pk}/events").status_code == 200


def test_a_decision_is_taken_however_full_it_is(settings, person, ada, sam):
    zoe = person("zoe", "Support leads")
    house.answers["write"] = house.Done({"note": house.NOTE}, confidence=0.9)
    house.bootstrap(house.documents(effect="gate"))
    waiting = house.submit(zoe, {"id": "gated"})
    house.drive(waiting)
    pressure.forget()
    fill(client_of(zoe))
    request = house.request_of(waiting)
    digest = client_of(sam).get(f"/api/v1/requests/{request.pk}").json()["digest"]

    body = {"verdict": "approve", "reason": "good", "digest": digest}
    done = client_of(sam).post(f"/api/v1/requests/{request.pk}/decisions", body, format="json")

    assert (done.status_code, done.json()["status"]) == (200, "approved")


def test_work_that_was_driven_makes_room_again(client):
    fill(client)

    house.drive(*Run.objects.all()[:20])
    pressure.forget()  # a second later

    assert submit(client, 99).status_code == 201


def test_a_flood_of_refusals_is_one_event_and_a_count(client, monkeypatch):
    fill(client)
    events = Event.objects.count()

    for number in range(30):
        refusal_of(submit(client, 100 + number))

    denied = Event.objects.filter(type="access.denied")
    assert [event.scope for event in denied] == ["access"]
    assert Event.objects.count() == events
    assert '"code":"share_full"' in denied.get().line

    monkeypatch.setattr(pressure, "TELL_SECONDS", 0)
    refusal_of(submit(client, 200))
    assert DenialCount.objects.get().repeats == 31  # those of the flood and this one, in one write

    access.flush_denials(DenialCount.objects.get().first_at + access.WINDOW)
    assert Event.objects.filter(type="denial.repeated").count() == 1


def test_a_measurement_is_good_for_a_second_and_adds_what_it_let_in(client, django_assert_max_num_queries):
    submit(client, 0)
    Run.objects.all().update(seen=99)  # drained behind our back

    measured = pressure._gauge._load(Run.objects.get().requester_id, 1)

    assert measured.backlog == 1  # counted when it came in, not measured again


def test_what_is_being_written_counts_for_whoever_asks_meanwhile(client, zoe):
    with pressure.room(zoe.pk, 30, actor=house.actor_for(zoe)) as room:
        refusal_of(batch(client, items(20)))
        assert batch(client, items(10)).status_code == 201
        room.used = 0  # it came to nothing

    assert batch(client, items(30, first=100)).status_code == 201
    assert pressure._gauge.taking == {}
    refusal_of(submit(client, 0))


def test_little_space_is_said_before_the_disk_is_full(client, monkeypatch):
    monkeypatch.setattr(space, "free_bytes", lambda: 100 * 2**20)

    refused = submit(client, 0)

    assert refusal_of(refused)["code"] == SpaceLow.code
    assert 30 <= int(refused["Retry-After"]) <= 45
    assert Run.objects.count() == 0


def test_a_refusal_that_cannot_be_recorded_is_answered_all_the_same(client, monkeypatch):
    from django.db import OperationalError

    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(space, "free_bytes", lambda: 0)
    monkeypatch.setattr(access, "record_denial", full)

    assert refusal_of(submit(client, 0))["code"] == SpaceLow.code


def test_bytes_in_work_are_bounded_and_leave_room_for_small_ones(client, person, settings, rf):
    settings.BODY_BYTES_IN_FLIGHT = 8 * 2**20
    large = rf.post("/", b"x" * 4 * 2**20, content_type="application/json")

    with bodies.admitted(large, "flooder", at_most=4 * 2**20):
        with pytest.raises(bodies.TooManyBytes), bodies.admitted(large, "flooder", at_most=4 * 2**20):
            pass
        assert submit(client, 0).status_code == 201
        silent = rf.post("/", b"", content_type="application/json", CONTENT_LENGTH="")
        with pytest.raises(bodies.TooManyBytes), bodies.admitted(silent, "flooder", at_most=4 * 2**20):
            pass  # who does not tell the length counts with the most it may be
    with bodies.admitted(large, "flooder", at_most=4 * 2**20):
        assert bodies._held.total() == 4 * 2**20
    assert bodies._held == {}


def test_a_body_over_its_share_answers_429_before_it_is_read(client, settings):
    settings.BODY_BYTES_IN_FLIGHT = 1_000

    refused = batch(client, items(40))

    assert refusal_of(refused)["code"] == "too_many_bytes"
    assert refused["Retry-After"] == "1"
