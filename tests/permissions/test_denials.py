"""Every refused write is on record, once; the right comes before input and state; a 403 says what is missing and who helps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponseForbidden
from django.test import Client, RequestFactory
from django.urls import resolve, reverse

from aegis.portal.middleware import Denials
from approvals.models import ApprovalRequest
from audit import access, chain
from audit.models import DenialCount, Event, Payload
from orchestration.agents.models import Agent
from orchestration.agents.protocol import Abstain, Done
from orchestration.engine.models import ReviewItem, Run
from orchestration.workflows.models import Workflow
from tests.engine import house
from tests.masking.canaries import answered, claim
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked(sensitive_house: None, zoe: Any) -> dict[str, Run]:
    """One run at its gate, one in a review queue."""
    found = {}
    for name, reply in {"gate": Done(answered("gate"), confidence=0.9), "review": Abstain("I do not know")}.items():
        house.answers["write"] = reply
        found[name] = house.submit(zoe, claim(name))
        house.drive(found[name])
    return found


@pytest.fixture
def onlooker(person: Callable[..., Any], asked: dict[str, Run]) -> Any:
    """Views every area and the workflow's queue, and may do nothing."""
    from django.contrib.auth.models import Group

    from aegis.core.actors import SYSTEM
    from aegis.identity import grants
    from aegis.identity.models import Area

    user = person("vic", "Viewers")
    viewers = Group.objects.get(name="Viewers")
    for area in Area.objects.all():
        grants.grant(viewers, area, "view", actor=SYSTEM, reason="test")
    return user


def denials(person: Any) -> list[dict[str, Any]]:
    rows = Event.objects.filter(type="access.denied", actor_ref=str(person.pk)).order_by("id")
    return [chain.read_line(row.line)["data"] for row in rows]


def pages_of(asked: dict[str, Run]) -> dict[str, tuple[str, dict[str, str], str]]:
    """What is posted -> (address, form, the right that is missing)."""
    agent, workflow = Agent.objects.get(name="clerk"), Workflow.objects.get(name="notes")
    item = ReviewItem.objects.get(run=asked["review"])
    run = reverse("runs:retry", args=[asked["review"].pk])
    return {
        "admin:orchestration_agent_add": (reverse("admin:orchestration_agent_add"), {"text": "x"}, "edit (agents)"),
        "admin:orchestration_agent_edit": (reverse("admin:orchestration_agent_edit", args=[agent.pk]), {}, "edit (agents)"),
        "admin:orchestration_agent_live": (reverse("admin:orchestration_agent_live", args=[agent.pk]), {}, "edit (agents)"),
        "admin:orchestration_workflow_try": (
            reverse("admin:orchestration_workflow_try", args=[workflow.pk]),
            {"input": "{}"},
            "start (workflows)",
        ),
        "runs:retry": (run, {}, "operate"),
        "review:happened": (reverse("review:happened", args=[item.pk]), {"result": "{"}, "operate"),
        "review:complete": (reverse("review:complete", args=[item.pk]), {"f-summary": "3"}, "operate"),
        "workflows:retire": (reverse("workflows:retire", args=["notes"]), {"version": "none"}, "edit"),
    }


def test_a_page_refused_is_on_record_with_who_what_and_the_missing_right(
    asked: dict[str, Run], onlooker: Any, at_desk: Callable[[Any], Client]
) -> None:
    browser = at_desk(onlooker)
    for route, (address, form, right) in pages_of(asked).items():
        before = len(denials(onlooker))
        answer = browser.post(address, form)
        assert answer.status_code == 403, (route, answer.status_code)
        text = answer.content.decode()
        assert "Missing right" in text, route
        assert right in text, route
        assert "Who can give it" in text, route
        found = denials(onlooker)
        assert len(found) == before + 1, route
        assert found[-1] == {"what": route, "right": right, "code": "forbidden"}


def test_the_api_refused_is_on_record_and_the_right_comes_before_the_input(asked: dict[str, Run], onlooker: Any) -> None:
    api = client_of(onlooker)
    item, request = ReviewItem.objects.get(run=asked["review"]), ApprovalRequest.objects.get(run_id=asked["gate"].pk)
    bodies = {
        "/api/v1/workflows/notes/dry-run": {"input": 3},
        "/api/v1/workflows/notes/retire": {"version": "x"},
        f"/api/v1/runs/{asked['gate'].pk}/rollback": {},
        "/api/v1/agents/clerk/disable": {},
        f"/api/v1/review-items/{item.pk}/statement": {"outcome": 3},
        f"/api/v1/requests/{request.pk}/decisions": {"verdict": "perhaps"},
        f"/api/v1/requests/{request.pk}/claim": {"reason": 3},
        f"/api/v1/requests/{request.pk}/reassign": {},
        f"/api/v1/requests/{request.pk}/withdraw": {},
        "/api/v1/runs": {"workflow": "notes", "input": {}},
        "/api/v1/runs/batch": {"workflow": "notes", "items": [{"input": {}}], "mode": "each"},
        "/api/v1/halts": {"what": "workflow", "name": "notes", "reason": ""},
        "/api/v1/breakers/agent/clerk/open": {},
    }
    for address, body in bodies.items():
        before = len(denials(onlooker))
        answer = api.post(address, json.dumps(body), content_type="application/json")
        assert answer.status_code == 403, (address, answer.content)
        problem = answer.json()
        assert problem["right"], address
        assert problem["given_by"] or problem["code"] == "not_yours", address
        assert len(denials(onlooker)) == before + 1, address
        assert denials(onlooker)[-1]["right"] == problem["right"], address


def test_a_viewer_who_decides_is_refused_and_the_request_stays_as_it_was(
    asked: dict[str, Run], onlooker: Any, sam: Any, at_desk: Callable[[Any], Client]
) -> None:
    request = ApprovalRequest.objects.get(run_id=asked["gate"].pk)

    def row() -> Any:
        return ApprovalRequest.objects.filter(pk=request.pk).values().get()

    def tries() -> None:
        before = row()
        form = {"verdict": "approve", "reason": "fine", "seen_digest": request.digest}
        assert at_desk(onlooker).post(f"/approvals/{request.pk}/decide/", form).status_code == 403
        body = {"verdict": "approve", "reason": "fine", "digest": request.digest}
        api = client_of(onlooker)
        answer = api.post(f"/api/v1/requests/{request.pk}/decisions", json.dumps(body), content_type="application/json")
        assert answer.status_code == 403
        assert answer.json()["right"] == "decide"
        assert row() == before

    tries()
    assert [one["what"] for one in denials(onlooker)] == ["requests.decide"]
    assert DenialCount.objects.get(actor_ref=str(onlooker.pk)).repeats == 1, "the second is counted"
    ApprovalRequest.objects.filter(pk=request.pk).update(status=ApprovalRequest.Status.WITHDRAWN, settled_at=request.opened_at)
    tries()  # settled: still a matter of rights, not 409


def test_what_is_hidden_is_not_found_and_the_attempt_is_on_record_without_its_name(
    asked: dict[str, Run], person: Callable[..., Any], at_desk: Callable[[Any], Client]
) -> None:
    stranger = person("stan")
    agent = Agent.objects.get(name="clerk")

    answer = at_desk(stranger).post(f"/orchestration/agent/{agent.pk}/edit/", {"text": "x"})

    assert answer.status_code == 404
    assert denials(stranger) == [{"what": "admin:orchestration_agent_edit", "right": "", "code": "not_found"}]
    event = Event.objects.get(type="access.denied", actor_ref=str(stranger.pk))
    detail = Payload.objects.get(stream=event.stream, seq=event.seq, name="detail").body
    assert "clerk" not in detail
    assert str(agent.pk) in detail, "which address was tried"


def test_repeats_do_not_flood_and_reading_is_not_recorded(
    asked: dict[str, Run], onlooker: Any, at_desk: Callable[[Any], Client]
) -> None:
    browser, address = at_desk(onlooker), reverse("runs:retry", args=[asked["review"].pk])
    for _ in range(5):
        browser.post(address, {})
    browser.get(reverse("admin:orchestration_agent_add"))

    assert len(denials(onlooker)) == 1
    assert DenialCount.objects.get(actor_ref=str(onlooker.pk)).repeats == 4


def test_a_made_up_method_is_one_denial_whatever_it_is_called(person: Callable[..., Any]) -> None:
    """The edge by itself: most views answer 405 before they refuse anybody."""
    stranger, route = person("stan"), "portal:emergency"
    edge = Denials(lambda request: HttpResponseForbidden())

    for method in ("SELL", "my-secret", "DELETE", "PUT", "PATCH", "POST", "SELL2"):
        request = RequestFactory().generic(method, reverse(route))
        request.user, request.resolver_match = stranger, resolve(reverse(route))
        assert edge(request).status_code == 403

    assert [one["what"] for one in denials(stranger)] == [
        f"{route} (other)", f"{route} (DELETE)", f"{route} (PUT)", f"{route} (PATCH)", route,
    ]  # fmt: skip
    assert DenialCount.objects.get(actor_ref=str(stranger.pk), what=f"{route} (other)").repeats == 2


def test_without_the_recording_edge_the_tests_above_would_see_it(
    asked: dict[str, Run], onlooker: Any, at_desk: Callable[[Any], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "record_denial", lambda *arguments, **more: True)
    at_desk(onlooker).post(reverse("runs:retry", args=[asked["review"].pk]), {})
    assert denials(onlooker) == []
