"""Too few people are left: the alarm is raised once, seen by who may see the request, and taken back once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from aegis.core.actors import SYSTEM
from aegis.identity import people
from aegis.identity.models import User
from approvals import shortage
from approvals.models import ApprovalPolicy, ApprovalRequest
from tests.approvals.house import ask, decide_as, events_of, line_of, policy_document, reload, store_policy

pytestmark = pytest.mark.django_db


@pytest.fixture
def two(lead: User, second_lead: User) -> ApprovalPolicy:
    return store_policy(policy_document(stages=[{"groups": ["Leads"], "quorum": 2}]))


def test_the_alarm_is_raised_when_somebody_leaves_and_taken_back_when_somebody_joins(
    two: ApprovalPolicy, lead: User, second_lead: User
) -> None:
    request, watch = ask(two), shortage.Watch()
    assert watch.look() == 0

    people.remove_from_group(second_lead.pk, "Leads", actor=SYSTEM, reason="moved")
    assert (watch.look(), watch.look(), shortage.Watch().look()) == (1, 0, 0)
    assert reload(request).short_since is not None
    assert line_of(request)["data"] == {"stage": 1, "missing": 1}

    people.add_to_group(second_lead.pk, "Leads", actor=SYSTEM, reason="back")
    assert watch.look() == 1
    assert reload(request).short_since is None
    assert events_of(request) == ["request.opened", "request.short", "request.manned"]


def test_who_has_voted_and_who_is_bound_are_not_left(two: ApprovalPolicy, lead: User, second_lead: User, person) -> None:
    person("liv", "Leads")
    voted, free = ask(two, bound={str(second_lead.pk): "started it"}), ask(two)
    decide_as(lead, voted)
    assert shortage.short_of([reload(voted), reload(free)]) == {}  # liv can still vote on the first

    people.disable_person(User.objects.get(username="liv").pk, actor=SYSTEM, reason="left")
    assert shortage.short_of([reload(voted), reload(free)]) == {voted.pk: 1}


def test_every_page_of_many_is_looked_at(two: ApprovalPolicy, second_lead: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortage, "PAGE", 2)
    requests = [ask(two) for _ in range(5)]
    people.remove_from_group(second_lead.pk, "Leads", actor=SYSTEM, reason="moved")
    watch = shortage.Watch()

    assert [watch.look() for _ in range(4)] == [2, 2, 1, 0]
    assert all(reload(request).short_since for request in requests)


def test_the_look_costs_the_same_however_many_there_are(two: ApprovalPolicy, lead: User, django_assert_max_num_queries) -> None:
    for count in (2, 20):
        for request in [ask(two) for _ in range(count)]:
            decide_as(lead, request)
        rows = list(ApprovalRequest.objects.select_related("policy"))
        with django_assert_max_num_queries(8):
            assert shortage.short_of(rows) == {}


def test_home_and_the_list_show_it_to_who_may_see_it(
    two: ApprovalPolicy, lead: User, second_lead: User, person, browser_of: Callable[..., Client]
) -> None:
    request = ask(two)
    people.remove_from_group(second_lead.pk, "Leads", actor=SYSTEM, reason="moved")
    shortage.Watch().look()

    home = browser_of(lead).get("/").content.decode()
    assert "Too few people are left" in home
    assert f"/approvals/{request.pk}/" in home
    listed = browser_of(lead).get("/approvals/", {"short": "yes"}).content.decode()
    assert "Too few people" in listed
    assert "Too few people" not in browser_of(person("eve", "Clerks")).get("/").content.decode()
