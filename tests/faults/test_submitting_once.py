"""One Idempotency-Key is one run: repeated, at once, and over HTTP (HAZARDS F04)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audit.models import Event
from orchestration.engine import verbs
from orchestration.engine.models import Run
from tests.faults import hands
from tests.support import founding
from tests.support.sink import Sink

CALLERS = 8
ROUNDS = 10

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def post(house: Sink) -> Any:
    """Submits over HTTP as rita: `post(key, id)`."""
    token = founding.tokens()["rita"]

    def send(key: str, order: str, **more: Any) -> Any:
        return Client().post(
            "/api/v1/runs",
            {"workflow": founding.WORKFLOW, "input": {"id": order, "kind": "plain", **more}},
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        )

    return send


def test_the_same_key_and_body_again_is_the_same_run(post: Any) -> None:
    first, second = post("key-1", "G-1"), post("key-1", "G-1")

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert Run.objects.count() == 1


def test_the_same_key_with_another_body_is_refused_and_starts_nothing(post: Any) -> None:
    post("key-2", "G-2")
    events = Event.objects.count()

    refused = post("key-2", "G-3")

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")
    assert "key-2" in refused.json()["detail"]
    assert Run.objects.count() == 1
    assert Event.objects.count() == events


@pytest.mark.postgres
def test_the_same_key_from_many_callers_at_once_is_one_run(house: Sink) -> None:
    for number in range(ROUNDS):
        submission = verbs.Submission({"id": f"H-{number}", "kind": "plain"}, f"key-{number}")

        def submit(submission: verbs.Submission = submission) -> verbs.Submitted:
            return verbs.submit(founding.WORKFLOW, submission, person=hands.person("rita"), actor=hands.actor("rita"))

        answers = hands.at_once(*[submit] * CALLERS)

        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        assert len({answer.run.pk for answer in answers}) == 1
        assert sum(answer.is_new for answer in answers) == 1
    assert Run.objects.count() == ROUNDS
    assert Event.objects.filter(type="run.submitted").count() == ROUNDS
    hands.assert_whole()
