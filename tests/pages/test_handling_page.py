"""Claim, comment and withdraw on the page of a request; and the alarm when too few people are left."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from aegis.core.actors import SYSTEM
from aegis.identity import people
from aegis.identity.models import User
from tests.approvals.house import ask, events_of, policy_document, reload, store_policy

pytestmark = pytest.mark.django_db


def test_claim_comment_release_and_withdraw_on_the_page(browser_of: Callable[..., Client], person: Callable[..., User]) -> None:
    lead, ines = person("lea", "Leads"), person("ines", "Clerks")
    request = ask(store_policy(policy_document()), requester=ines)
    at = f"/approvals/{request.pk}/"
    client = browser_of(lead)

    client.post(f"{at}do/claim/")
    client.post(f"{at}do/comment/", {"reason": "<b>called</b> them"})
    html = client.get(at).content.decode()
    assert "Lea</b> took it" in html
    assert "&lt;b&gt;called&lt;/b&gt; them" in html
    client.post(f"{at}do/release/")
    refused = client.post(f"{at}do/withdraw/", {"reason": "mine now"})
    assert refused.status_code == 403

    browser_of(ines).post(f"{at}do/withdraw/", {"reason": "asked in error"})
    assert reload(request).status == "withdrawn"
    assert events_of(request)[1:] == ["request.claimed", "request.commented", "request.released", "request.withdrawn"]
    assert client.post(f"{at}do/approve/").status_code == 404
    assert browser_of(person("tom", "Clerks")).post(f"{at}do/comment/", {"reason": "hi"}).status_code == 404


def test_the_page_raises_an_alarm_when_too_few_are_left(browser_of: Callable[..., Client], person: Callable[..., User]) -> None:
    lead, other = person("lea", "Leads"), person("leo", "Leads")
    request = ask(store_policy(policy_document(stages=[{"groups": ["Leads"], "quorum": 2}])))
    client = browser_of(lead)
    assert "Too few people" not in client.get(f"/approvals/{request.pk}/").content.decode()

    people.remove_from_group(other.pk, "Leads", actor=SYSTEM, reason="moved")

    assert "Too few people can decide this any more" in client.get(f"/approvals/{request.pk}/").content.decode()
