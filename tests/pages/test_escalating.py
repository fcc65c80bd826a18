"""Who operates a run may call for those further up, and decides no more by that; nobody hands himself the decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from aegis.core import canonical
from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.models import User
from approvals.models import ApprovalRequest
from audit.models import Event
from orchestration.workflows.models import Workflow
from tests.pages.conftest import ask
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)

STAGE = {"groups": ["Deciders"], "escalate": [{"after": "20m", "groups": ["Heads"]}]}
OFFER = "Escalate to Heads"


@pytest.fixture
def asked(person: Callable[..., User], furnish: Callable[..., None], zoe: User) -> ApprovalRequest:
    """Deciders decide, Heads after a while; Support leads operate the run, which zoe started."""
    person("dora", "Deciders")
    person("hal", "Heads")
    furnish(policy={"stages": [STAGE]})
    return ask(zoe)


@pytest.fixture
def otto(person: Callable[..., User]) -> User:
    """Operates the run, and neither decides nor started it."""
    return person("otto", "Support leads")


def at(request: ApprovalRequest, rest: str = "") -> str:
    return f"/approvals/{request.pk}/{rest}"


def escalate(client: Client, request: ApprovalRequest, reason: str = "Nobody of them is in today") -> Any:
    return client.post(at(request, "do/escalate/"), {"reason": reason})


def level(request: ApprovalRequest) -> int:
    return ApprovalRequest.objects.get(pk=request.pk).escalated


def denials(person: User) -> list[tuple[str, str]]:
    rows = Event.objects.filter(type="access.denied", actor_ref=str(person.pk))
    lines = [canonical.parse(row.line)["data"] for row in rows]
    return [(line["what"], line["code"]) for line in lines]


def test_who_operates_the_run_escalates_and_still_does_not_decide(asked: ApprovalRequest, otto: User, browser_of: Any) -> None:
    client = browser_of(otto)
    assert OFFER in client.get(at(asked)).content.decode()

    assert escalate(client, asked).status_code == 302

    assert level(asked) == 1
    event = Event.objects.filter(stream=asked.stream).latest("seq")
    assert (event.type, event.actor_ref) == ("request.passed_on", str(otto.pk))
    page = client.get(at(asked)).content.decode()
    assert "You cannot decide this" in page
    assert OFFER not in page
    vote = {"verdict": "approve", "reason": "fine", "seen_digest": asked.digest}
    assert client.post(at(asked, "decide/"), vote).status_code == 403


def test_without_a_reason_nothing_is_passed_on(asked: ApprovalRequest, otto: User, browser_of: Any) -> None:
    assert escalate(browser_of(otto), asked, " ").status_code == 422
    assert level(asked) == 0


def test_who_only_sees_the_run_is_refused_and_told_whose_it_is(
    asked: ApprovalRequest, person: Callable[..., User], browser_of: Any
) -> None:
    vic = person("vic", "Viewers")
    workflow = Workflow.objects.get(name="notes")
    for verb in ("view", "start"):
        grants.grant(Group.objects.get(name="Viewers"), workflow, verb, actor=SYSTEM, reason="test")
    assert OFFER not in browser_of(vic).get(at(asked)).content.decode()

    refused = escalate(browser_of(vic), asked, reason="")

    assert refused.status_code == 403
    assert "for those who decide it (Deciders), and for those who operate" in refused.content.decode()
    assert (level(asked), denials(vic)) == (0, [("requests.escalate", "not_eligible")])


def test_who_started_the_run_does_not_choose_who_decides(asked: ApprovalRequest, zoe: User, browser_of: Any) -> None:
    assert OFFER not in browser_of(zoe).get(at(asked)).content.decode()

    assert escalate(browser_of(zoe), asked).status_code == 403

    assert (level(asked), denials(zoe)) == (0, [("requests.escalate", "not_eligible")])


def test_who_would_be_asked_by_it_does_not_hand_himself_the_decision(
    asked: ApprovalRequest, person: Callable[..., User], browser_of: Any
) -> None:
    hedy = person("hedy", "Support leads", "Heads")
    assert OFFER not in browser_of(hedy).get(at(asked)).content.decode()

    refused = escalate(browser_of(hedy), asked)

    assert refused.status_code == 403
    assert "nobody hands himself the decision" in refused.content.decode()
    assert (level(asked), denials(hedy)) == (0, [("requests.escalate", "not_eligible")])


def test_to_a_stranger_there_is_no_such_request(asked: ApprovalRequest, mallory: User, browser_of: Any) -> None:
    assert escalate(browser_of(mallory), asked).status_code == 404
    assert level(asked) == 0


def test_the_api_asks_the_same(asked: ApprovalRequest, otto: User, zoe: User) -> None:
    path = f"/api/v1/requests/{asked.pk}/escalate"
    body = {"reason": "Nobody of them is in today"}

    assert client_of(zoe).post(path, {}, content_type="application/json").status_code == 403
    assert client_of(otto).post(path, {}, content_type="application/json").status_code == 422
    assert client_of(otto).post(path, body, content_type="application/json").status_code == 200
    assert client_of(otto).post(path, body, content_type="application/json").status_code == 409
    assert level(asked) == 1
