"""Several sweeps, a decision and the deadline meet on PostgreSQL: each reminder and escalation once, one outcome."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from aegis.core import clock
from aegis.identity.models import User
from approvals import gates, holding, sweep
from approvals.models import ApprovalRequest
from tests.approvals.house import ask, events_of, outcomes, policy_document, store_policy
from tests.approvals.test_two_approvers_race import ROUNDS, race, voting

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer; the race is proved on PostgreSQL"),
]


def due_request(lead: User) -> ApprovalRequest:
    """One whose reminder and escalation are both due."""
    spec: dict[str, Any] = {"stages": [{"groups": ["Leads"], "escalate": [{"after": "20m", "groups": ["Heads"]}]}]}
    request = ask(store_policy(policy_document(reminders=["30m"], **spec)))
    past = clock.now() - timedelta(minutes=1)
    ApprovalRequest.objects.filter(pk=request.pk).update(
        next_at=past, stage_since=past - timedelta(minutes=20), deadline=clock.now() + timedelta(minutes=29)
    )
    return request


@pytest.fixture(autouse=True)
def heads(lead: User) -> None:
    Group.objects.get_or_create(name="Heads")


def test_three_sweeps_remind_and_escalate_once(lead: User) -> None:
    for _ in range(ROUNDS):
        request = due_request(lead)

        answers = race(*[lambda pk=request.pk: sweep.keep(pk)] * 3)

        assert Counter(answers) == Counter({("won", True): 1, ("won", False): 2})
        assert Counter(events_of(request)) == Counter(["request.opened", "request.escalated", "request.reminded"])


def test_the_race_is_seen_without_the_lock(lead: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: the row as it was listed. Some round then reminds twice, or breaks its own stream."""
    monkeypatch.setattr(holding, "lock_request", lambda pk: ApprovalRequest.objects.select_related("policy").get(pk=pk))
    good = Counter({("won", True): 1, ("won", False): 2})

    def is_well() -> bool:
        request = due_request(lead)
        answers = race(*[lambda: sweep.keep(request.pk)] * 3)
        return Counter(_kinds(answers)) == good

    assert not all(is_well() for _ in range(3 * ROUNDS))


def _kinds(answers: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(kind, value if kind == "won" else "") for kind, value in answers]


def test_a_decision_meets_the_sweep_and_has_one_outcome(lead: User) -> None:
    for _ in range(ROUNDS):
        request = due_request(lead)

        race(voting(lead, request, "approve"), lambda pk=request.pk: sweep.keep(pk), lambda pk=request.pk: gates.expire(pk))  # type: ignore[misc]

        assert outcomes(request) == ["approved"]
        assert Counter(events_of(request)).most_common(1)[0][1] == 1
