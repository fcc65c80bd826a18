"""Several requests decided together: each by a vote of its own, none that is high, locked or claimed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aegis.core.actors import user_actor
from aegis.core.errors import Stale
from aegis.identity.models import User
from approvals import bulk, handling, questions
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from approvals.pages.detail import typed_subject
from audit.models import Event
from tests.approvals.house import RecordQuestion, ask, change_record, decide_as, policy_document, reload, store_policy

pytestmark = pytest.mark.django_db
URL = "/approvals/together/"


@pytest.fixture
def lead(person: Callable[..., User]) -> User:
    return person("lea", "Leads")


@pytest.fixture
def policy(lead: User) -> ApprovalPolicy:
    return store_policy(policy_document())


def form_of(client: Client) -> dict[str, Any]:
    """The page's form as a browser would send it, everything ticked."""
    html = client.get(URL).content.decode()
    fields = dict(re.findall(r'type="hidden" name="((?:digest|opened)-[^"]+)" value="([^"]*)"', html))
    return {**fields, "pick": re.findall(r'name="pick"[^>]*value="([^"]+)"', html)}


def test_each_ticked_item_gets_its_own_vote(browser_of: Callable[..., Client], policy: ApprovalPolicy, lead: User) -> None:
    one, two, left = ask(policy), ask(policy), ask(policy)
    client = browser_of(lead)
    form = form_of(client)
    form["pick"].remove(str(left.pk))

    answer = client.post(URL, {**form, "verdict": "approve", "reason": "read each"}, follow=True)

    assert "Approved: 2 requests, each by itself." in answer.content.decode()
    assert [reload(row).status for row in (one, two, left)] == ["approved", "approved", "open"]
    votes = {vote.request_id: vote for vote in Decision.objects.all()}
    assert {pk: vote.digest for pk, vote in votes.items()} == {one.pk: one.digest, two.pk: two.digest}
    assert all(vote.seconds_open is not None for vote in votes.values())


@pytest.mark.parametrize("why", ["high", "locked", "claimed"])
def test_what_needs_a_look_of_its_own_is_neither_shown_nor_taken(
    why: str, browser_of: Callable[..., Client], person: Callable[..., User], lead: User, monkeypatch: Any
) -> None:
    risk = "high" if why == "high" else "low"
    request = ask(store_policy(policy_document(risk=risk)))
    if why == "locked":
        monkeypatch.setattr(RecordQuestion, "is_locked", lambda self, request: True)
    if why == "claimed":
        handling.claim(request.pk, actor=user_actor(person("leo", "Leads").pk, auth="session"))
    client = browser_of(lead)

    assert form_of(client)["pick"] == []
    forged = {"pick": str(request.pk), f"digest-{request.pk}": request.digest, "verdict": "approve", "reason": "all fine"}
    answer = client.post(URL, forged, follow=True)

    assert "was not decided" in answer.content.decode()
    assert reload(request).status == ApprovalRequest.Status.OPEN


def test_separation_of_duties_and_staleness_hold_item_by_item(
    browser_of: Callable[..., Client], policy: ApprovalPolicy, person: Callable[..., User], lead: User
) -> None:
    person("leo", "Leads")
    fine, moved = ask(policy), ask(policy)
    own = ask(policy, requester=lead)
    client = browser_of(lead)
    form = form_of(client)
    assert str(own.pk) not in form["pick"]
    change_record(moved)
    forged = {**form, "pick": [*form["pick"], str(own.pk)], f"digest-{own.pk}": own.digest}

    client.post(URL, {**forged, "verdict": "approve", "reason": "read each"})

    assert [reload(row).status for row in (fine, moved, own)] == ["approved", "open", "open"]


def test_nothing_ticked_or_no_reason_decides_nothing(
    browser_of: Callable[..., Client], policy: ApprovalPolicy, lead: User
) -> None:
    request = ask(policy)
    client = browser_of(lead)
    form = form_of(client)

    assert client.post(URL, {**form, "pick": [], "verdict": "approve", "reason": "why"}).status_code == 422
    kept = client.post(URL, {**form, "verdict": "approve", "reason": " "})
    assert kept.status_code == 422
    assert reload(request).status == ApprovalRequest.Status.OPEN


def test_one_that_is_gone_for_the_reader_keeps_no_other_vote_back(
    browser_of: Callable[..., Client], policy: ApprovalPolicy, lead: User
) -> None:
    first, hidden, last = ask(policy), ask(policy), ask(policy)
    client = browser_of(lead)
    form = form_of(client) | {"pick": [str(row.pk) for row in (first, hidden, last)]}
    other = store_policy(policy_document("other", stages=[{"groups": ["Finance"]}]))
    ApprovalRequest.objects.filter(pk=hidden.pk).update(policy=other)

    answer = client.post(URL, {**form, "verdict": "approve", "reason": "read each"}, follow=True)

    assert answer.status_code == 200
    assert f"{hidden.label} was not decided" in answer.content.decode()
    assert [reload(row).status for row in (first, hidden, last)] == ["approved", "open", "approved"]
    assert Event.objects.get(type="access.denied").actor_ref == str(lead.pk)
    alone = client.post(URL, {**form, "pick": [str(hidden.pk)], "verdict": "approve", "reason": "read"})
    assert alone.status_code == 404


def test_a_risk_that_the_policy_raised_since_is_looked_at_by_itself_and_typed(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)
    store_policy(policy_document(risk="high"))
    moved = reload(request)

    assert moved.risk == "medium"
    assert bulk.alone_because(moved, lead) == "its risk is high"
    assert typed_subject(moved, questions.get(moved.question).live(moved.subject))
    with pytest.raises(Stale):
        decide_as(lead, request)
    assert reload(request).risk == "high", "what it is bound to anew raises the row"
