"""The API of what people do with a request: the same rules, told in status codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from aegis.core import clock
from aegis.identity.models import User
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from audit.models import Event
from tests.approvals.house import ask, events_of, line_of, outcomes, policy_document, reload, store_policy
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db

Call = Callable[..., Any]


@pytest.fixture
def call(browser_of: Callable[..., Client]) -> Call:
    def send(person: User, method: str, path: str, **body: object) -> Any:
        client = browser_of(person)
        return client.generic(method, f"/api/v1/{path}", json.dumps(body) if body else "{}", content_type="application/json")

    return send


def test_claim_release_reassign_comment_withdraw(
    call: Call, policy: ApprovalPolicy, lead: User, second_lead: User, person: Callable[..., User]
) -> None:
    ines = person("ines", "Clerks")
    request = ask(policy, requester=ines)
    at = f"requests/{request.pk}"

    assert call(lead, "POST", f"{at}/claim", reason="mine").json()["claimed_by"] == "lea"
    taken = call(second_lead, "POST", f"{at}/claim")
    assert (taken.status_code, taken.json()["code"]) == (409, "request_claimed")
    assert "Lea took this at" in taken.json()["detail"]
    assert call(lead, "POST", f"{at}/reassign", to=str(second_lead.pk), reason="lunch").json()["claimed_by"] == "leo"
    assert call(lead, "DELETE", f"{at}/claim").status_code == 409
    assert call(second_lead, "DELETE", f"{at}/claim").json()["claimed_by"] is None
    assert call(lead, "POST", f"{at}/comments", text="Called them").status_code == 200
    assert call(lead, "POST", f"{at}/withdraw", reason="no").status_code == 403
    assert call(ines, "POST", f"{at}/claim").status_code == 403
    assert call(ines, "POST", f"{at}/withdraw", reason="asked in error").json()["status"] == "withdrawn"
    assert call(lead, "POST", f"{at}/claim").status_code == 409
    assert events_of(request)[1:] == [
        "request.claimed", "request.reassigned", "request.released", "request.commented", "request.withdrawn",
    ]  # fmt: skip


def test_what_one_may_not_see_is_unknown(call: Call, policy: ApprovalPolicy, lead: User, person: Callable[..., User]) -> None:
    stranger = person("tom", "Clerks")
    request = ask(policy)

    for verb, body in {"claim": {}, "comments": {"text": "hi"}, "withdraw": {"reason": "x"}}.items():
        assert call(stranger, "POST", f"requests/{request.pk}/{verb}", **body).status_code == 404
    assert events_of(request) == ["request.opened"]


def test_a_delegation_is_given_listed_used_and_ended(
    call: Call, policy: ApprovalPolicy, lead: User, person: Callable[..., User]
) -> None:
    ines = person("ines", "Clerks")
    now = clock.now()
    dates = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(days=2)).isoformat()}

    wrong = call(lead, "POST", "delegations", to=str(ines.pk), reason="leave", **(dates | {"ends_at": "tomorrow"}))
    assert (wrong.status_code, "/ends_at" in wrong.content.decode()) == (422, True)
    given = call(lead, "POST", "delegations", to=str(ines.pk), reason="leave", policy="closing", **dates)
    assert (given.status_code, given.json()["delegate"]) == (201, "ines")
    assert [row["id"] for row in call(ines, "GET", "delegations").json()["delegations"]] == [given.json()["id"]]

    request = ask(policy)
    detail = call(ines, "GET", f"requests/{request.pk}").json()
    assert (detail["may_decide"], detail["because"][:32]) == (True, "You can decide this for Lea, who")
    assert call(ines, "POST", f"requests/{request.pk}/decisions", verdict="approve", digest=request.digest).status_code == 200

    assert call(ines, "POST", f"delegations/{given.json()['id']}/end", reason="back").json()["ended_at"]
    assert call(ines, "GET", f"requests/{ask(policy).pk}").status_code == 404


def test_high_risk_takes_the_password_with_the_decision(call: Call, lead: User, monkeypatch: Any) -> None:
    from aegis.identity import signins

    monkeypatch.setattr(signins, "proved_at", lambda request: None)  # signed in long ago
    request = ask(store_policy(policy_document(risk="high")))
    at, vote = f"requests/{request.pk}/decisions", {"verdict": "approve", "digest": request.digest}

    refused = call(lead, "POST", at, **vote)
    assert (refused.status_code, refused.json()["code"]) == (403, "step_up_needed")
    assert line_of(request)["data"]["code"] == "step_up_needed"
    assert not Event.objects.filter(type="access.denied").exists(), "the request's own stream tells of it, once is enough"
    assert call(lead, "POST", at, **vote, password="guess").json()["code"] == "password_wrong"
    assert reload(request).status == ApprovalRequest.Status.OPEN

    assert call(lead, "POST", at, **vote, password=PASSWORD).status_code == 200
    assert outcomes(request) == ["approved"]
    assert Decision.objects.get().proved_at is not None
