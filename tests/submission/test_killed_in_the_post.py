"""The web process dies with SIGKILL inside the POST; the client asks again under the same key (HAZARDS F04, K06)."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis.core.faults import CRASH_AT_VARIABLE
from tests.faults import storm
from tests.support import founding
from tests.support.client import Answer, Client
from tests.support.sink import Sink
from tests.support.stack import Program, Stack, stack

pytestmark = pytest.mark.faults

TIMES = 2  # each point, per database


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Stack]:
    with Sink() as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url) as made:
        yield made


def started(house: Stack, crash_at: str = "") -> Program:
    web = house.web()
    web.env = {**web.env, CRASH_AT_VARIABLE: crash_at} if crash_at else web.env
    web.start()
    house.wait_for_web()
    return web


def send_to_a_dying_server(house: Stack, point: str, person: str, path: str, body: Any, key: str) -> None:
    """The request reaches the point, the process dies there, and no answer comes."""
    web = started(house, f"{point}:1")
    client = house.client(person)  # a connection of its own: one that an earlier server left behind would break by itself
    assert client.once("GET", "runs").status == 200
    with pytest.raises((OSError, http.client.HTTPException)):
        client.once("POST", path, body, key=key)
    web.kill()


def wait_for_requests(client: Client, count: int) -> list[str]:
    """Ids of the open requests, as soon as there are so many."""
    deadline = time.monotonic() + 30
    while len(found := [request["id"] for request in client.get("requests").body["requests"]]) < count:
        assert time.monotonic() < deadline, "no request was opened"
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(("point", "stands"), [("submit_written", 0), ("submitted", 1)])
def test_a_submission_is_one_run_whatever_was_lost(house: Stack, point: str, stands: int) -> None:
    client = house.client("rita")
    for number in range(TIMES):
        body = {"workflow": founding.WORKFLOW, "input": {"id": f"K-{number}", "kind": "plain"}}
        send_to_a_dying_server(house, point, "rita", "runs", body, f"kill-{number}")

        web = started(house)
        assert len(list(client.runs())) == number + stands  # committed before it died, or not at all
        again = client.post("runs", body, key=f"kill-{number}")
        third = client.post("runs", body, key=f"kill-{number}")
        other = client.post("runs", {**body, "input": {"id": "K-other", "kind": "plain"}}, key=f"kill-{number}")
        web.kill()

        assert (again.status, third.status) == (200 if stands else 201, 200)
        assert again.body["id"] == third.body["id"]
        assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")
    facts = house.look()
    assert len(facts["runs"]) == facts["events"]["run.submitted"] == TIMES
    is_whole, report = house.verify()
    assert is_whole, report


@pytest.mark.parametrize(("point", "stands"), [("submit_written", 0), ("submitted", 25)])
def test_a_batch_is_all_or_nothing_whatever_was_lost(house: Stack, point: str, stands: int) -> None:
    client = house.client("rita")
    items = [{"input": {"id": f"B-{number}", "kind": "plain"}} for number in range(25)]
    body = {"workflow": founding.WORKFLOW, "items": items}
    send_to_a_dying_server(house, point, "rita", "runs/batch", body, "batch-1")

    started(house)
    assert len(list(client.runs())) == stands
    again = client.post("runs/batch", body, key="batch-1")
    third = client.post("runs/batch", body, key="batch-1")

    assert (again.body["new"], again.body["known"]) == (25 - stands, stands)
    assert third.body["known"] == 25
    assert len(list(client.runs())) == 25


def test_a_decision_is_made_once_whatever_was_lost(house: Stack) -> None:
    web, worker = started(house), house.worker()
    worker.start()
    client, lea = house.client("rita"), house.client("lea")
    orders = [storm.Order(f"D-{number}", "gated", twice=False) for number in range(TIMES)]
    for order in orders:
        assert client.post("runs", order.submission, key=order.key).status == 201
    requests = wait_for_requests(lea, TIMES)
    details = {request: lea.get(f"requests/{request}").body for request in requests}
    worker.stop()
    web.kill()

    for request in requests:
        path, body = (
            f"requests/{request}/decisions",
            {"verdict": "approve", "digest": details[request]["digest"], "reason": "ok"},
        )
        send_to_a_dying_server(house, "decision_written", "lea", path, body, f"vote-{request}")

        web = started(house)
        assert lea.get(f"requests/{request}").body["request"]["status"] == "open"
        answers: list[Answer] = [lea.post(path, body, key=f"vote-{request}") for _ in range(2)]
        other = lea.post(path, {**body, "verdict": "reject"}, key=f"vote-{request}")
        web.kill()

        assert [answer.status for answer in answers] == [200, 200]
        assert answers[0].body == answers[1].body
        assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")
    facts = house.look()
    assert set(facts["decisions"].values()) == {1}
    assert set(facts["settled"].values()) == {1}
    is_whole, report = house.verify()
    assert is_whole, report


def test_an_answer_lost_after_the_vote_stood_gives_the_recorded_vote(house: Stack) -> None:
    web, worker = started(house), house.worker()
    worker.start()
    client, lea = house.client("rita"), house.client("lea")
    order = storm.Order("D-x", "gated", twice=False)
    client.post("runs", order.submission, key=order.key)
    [request] = wait_for_requests(lea, 1)
    body = {"verdict": "approve", "digest": lea.get(f"requests/{request}").body["digest"], "reason": "ok"}

    first = lea.post(f"requests/{request}/decisions", body, key="vote")
    web.kill()
    started(house)
    storm.wait_for_rest(house, client, 1, seconds=30)
    again = lea.post(f"requests/{request}/decisions", body, key="vote")

    assert again.status == 200
    assert again.body["decision"] == first.body["decision"]
    assert house.look()["decisions"] == {request: 1}
