"""The inbox asks the database as often for 10,000 pending requests as for 10."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aegis.core import canonical, clock
from aegis.identity.models import User
from approvals.models import ApprovalPolicy, ApprovalRequest
from audit.models import Payload
from tests.approvals.house import policy_document, store_policy

pytestmark = pytest.mark.django_db


def pending(policy: ApprovalPolicy, requester: User, count: int) -> None:
    """Open requests about effects, each with its proposal, as rows: made by the verb they would take minutes."""
    now = clock.now()
    rows = [
        ApprovalRequest(
            id=uuid.uuid4(), question="effect", subject=f"{uuid.uuid4()}/keep/1/x", scope="policy", scope_id=str(policy.pk),
            policy=policy, policy_digest=policy.digest, digest="0" * 64, risk=("low", "medium", "high")[number % 3],
            capability="note.write", agent="clerk", requester=requester, opened_at=now, stage_since=now,
            deadline=now + timedelta(hours=1, seconds=number), seq=1,
        )
        for number in range(count)
    ]  # fmt: skip
    ApprovalRequest.objects.bulk_create(rows, batch_size=500)
    proposal = {"capability": "note.write", "resource": {"type": "note", "id": "N-1"}, "parameters": {"text": "x"}}
    body = canonical.dump(proposal).decode()
    payloads = [Payload(stream=row.stream, seq=1, name="proposal", body=body, salt="0" * 32) for row in rows]
    Payload.objects.bulk_create(payloads, batch_size=500)


def asked(client: Client, **query: str) -> tuple[int, int]:
    """(queries, rows) of one look at the list."""
    with CaptureQueriesContext(
        connection,
    ) as seen:
        answer = client.get("/approvals/", query)
    return len(seen), len(answer.context["inbox"].rows)


@pytest.mark.parametrize("query", [{}, {"part": "list"}, {"tab": "waiting"}, {"risk": "high"}, {"q": "note"}])
def test_the_inbox_costs_the_same_for_ten_and_for_ten_thousand(
    query: dict[str, str], person: Callable[..., User], browser_of: Callable[..., Client]
) -> None:
    lead, zoe = person("lea", "Leads"), person("zoe", "Clerks")
    policy = store_policy(policy_document())
    client = browser_of(lead)
    pending(policy, zoe, 10)
    client.get("/approvals/", query)  # what the process remembers
    few, shown = asked(client, **query)
    assert shown == {"waiting": 0}.get(query.get("tab", ""), 3 if "risk" in query else 10)

    pending(policy, zoe, 9_990)
    many, shown = asked(client, **query)

    assert shown == (0 if "tab" in query else 100)
    assert many == few
