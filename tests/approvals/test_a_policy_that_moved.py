"""A policy that changes while a request waits in a later stage: it is asked from the first stage, and stops no sweep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from aegis.core import clock
from aegis.core.errors import Stale
from aegis.identity.models import User
from approvals import docket, gates, shortage, sweep
from approvals.models import ApprovalRequest
from approvals.pages.standing import standing
from tests.approvals.house import ask, decide_as, events_of, line_of, outcomes, policy_document, reload, store_policy

pytestmark = pytest.mark.django_db

STAGES: list[dict[str, Any]] = [{"groups": ["Leads"]}, {"groups": ["Finance"]}]


@pytest.fixture
def waiting(lead: User, person: Any) -> ApprovalRequest:
    """In its second stage, under a policy that by now has only one; a reminder is due."""
    person("fin", "Finance")
    request = ask(store_policy(policy_document("staged", stages=STAGES, reminders=["30m"])))
    decide_as(lead, request)
    store_policy(policy_document("staged", stages=STAGES[:1], reminders=["30m"]))
    due(request)
    return reload(request)


def due(request: ApprovalRequest) -> None:
    back = timedelta(minutes=31)
    ApprovalRequest.objects.filter(pk=request.pk).update(deadline=F("deadline") - back, next_at=F("next_at") - back)


def test_whoever_the_first_stage_asks_finds_it_and_decides_it_anew(waiting: ApprovalRequest, lead: User) -> None:
    assert ApprovalRequest.objects.awaiting(lead, clock.now()).get() == waiting
    assert (standing(waiting).progress, standing(waiting).groups) == ("0 of 1", "Leads")
    assert gates.eligibility(waiting, lead).may, "his vote counts no more, so it is no reason to refuse him"

    with pytest.raises(Stale):
        decide_as(lead, waiting)
    assert (reload(waiting).stage, events_of(waiting)[-1]) == (0, "request.rebound")
    decide_as(lead, reload(waiting))

    assert outcomes(waiting) == ["approved"]


def test_the_sweep_binds_it_to_what_stands_and_reminds_the_first_stage(waiting: ApprovalRequest) -> None:
    assert sweep.keep_due() == 1

    assert events_of(waiting)[-2:] == ["request.rebound", "request.reminded"]
    assert line_of(waiting)["data"]["groups"] == ["Leads"]
    assert sweep.keep_due() == 0


def test_the_alarm_looks_at_the_first_stage(waiting: ApprovalRequest, lead: User) -> None:
    assert shortage.short_of([waiting]) == {}
    lead.groups.clear()
    assert shortage.Watch().look() == 1
    assert line_of(waiting)["data"] == {"stage": 1, "missing": 1}


def test_one_request_that_fails_keeps_no_reminder_from_the_others(
    lead: User, second_lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = store_policy(policy_document(reminders=["30m"]))
    broken, good = ask(policy), ask(policy)
    due(broken)
    due(good)
    remind = docket.remind
    monkeypatch.setattr(docket, "remind", _fails_for(broken, remind))

    assert sweep.keep_due(limit=1) == 0
    assert sweep.keep_due(limit=1) == 1, "the one that failed is not the first for ever"

    assert (events_of(broken)[-1], events_of(good)[-1]) == ("request.opened", "request.reminded")
    monkeypatch.undo()
    ApprovalRequest.objects.filter(pk=broken.pk).update(next_at=clock.now())
    assert sweep.keep_due() == 1


def test_one_request_that_fails_keeps_no_expiry_and_no_alarm_from_the_others(
    lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = store_policy(policy_document())
    broken, good = sorted((ask(policy), ask(policy)), key=lambda request: request.pk)
    lead.groups.clear()
    short = shortage.short_of

    def short_of(requests: Any) -> Any:
        if broken.pk in {request.pk for request in requests}:
            raise IndexError("planted")
        return short(requests)

    monkeypatch.setattr(shortage, "short_of", short_of)
    assert shortage.Watch().look() == 1
    assert events_of(good)[-1] == "request.short"

    monkeypatch.setattr(shortage, "short_of", short)
    ApprovalRequest.objects.update(deadline=clock.now())
    monkeypatch.setattr(docket, "settle", _fails_for(broken, docket.settle))
    assert gates.expire_due() == 1
    assert (reload(broken).status, reload(good).status) == ("open", "expired")


def _fails_for(broken: ApprovalRequest, work: Any) -> Any:
    def planted(request: ApprovalRequest, *rest: Any, **more: Any) -> None:
        if request.pk == broken.pk:
            raise IndexError("planted")
        work(request, *rest, **more)

    return planted
