"""The advice of a policy as a browser shows it, from the quality page to the editor with the change in words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser

from aegis.core import canonical
from aegis.identity.models import User
from approvals.advice import reading
from approvals.advice.cases import History
from approvals.models import ApprovalPolicy, ApprovalRequest
from tests.approvals.advice.past import case, vote
from tests.approvals.house import ask, decide_as, policy_document, store_policy
from tests.browser.axe import LOOKS, faults_of, overflow_of, put_on, small_targets_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def advised(ada: User, person: Callable[..., User], monkeypatch: pytest.MonkeyPatch) -> ApprovalPolicy:
    """A policy with a history that supports a fast path, one person instead of two, and a shorter deadline."""
    spec = {"stages": [{"groups": ["Leads"], "quorum": 2}], "deadline": "7d"}
    policy = store_policy(policy_document("refunds", **spec))
    lea, leo = person("lea", "Leads"), person("leo", "Leads")
    real = [ask(policy) for _ in range(3)]
    for request in real:
        decide_as(lea, request)
        decide_as(leo, request)
    votes, hurried = (vote(), vote(person="leo")), (vote(weakness="hurried"), vote(person="leo", weakness="hurried"))
    cases = [case(number, 5 + number % 60, votes=votes, seconds=600.0 + 60 * number) for number in range(140)]
    cases += [case(200 + number, 90, outcome="rejected") for number in range(4)]
    cases += [case(300 + number, 20, votes=hurried) for number in range(11)]
    made = History(90, tuple(cases))
    monkeypatch.setattr(reading, "read", lambda reader, row, days: made)
    return policy


def test_the_page_is_readable_in_every_look_and_leads_to_the_editor(
    chromium: Browser, live_server: Any, advised: ApprovalPolicy, ada: User
) -> None:
    client = Client()
    client.force_login(ada, backend="aegis.identity.backends.PersonBackend")
    context = chromium.new_context(base_url=live_server.url)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    page = context.new_page()
    page.goto("/metrics/approvals/")
    page.get_by_role("link", name="refunds").click()
    page.wait_for_url("**/advice/")
    for look in LOOKS:
        put_on(page, look)
        if pictures := os.environ.get("PICTURES"):
            page.screenshot(path=Path(pictures) / f"advice-{look}.png", full_page=True)
        assert faults_of(page, look) == []
        assert overflow_of(page) == []
        assert small_targets_of(page) == []

    put_on(page, LOOKS[0])
    page.locator("section[aria-labelledby=adv-fast_path] button").click()
    page.wait_for_url("**/edit/")
    text = page.locator("main").inner_text()
    assert "lets more pass without a vote" in text
    assert "With 95 % confidence" in page.locator("#document-reason").input_value()
    assert "parameters.amount <= 75" in page.locator("#document-text").input_value()
    if pictures := os.environ.get("PICTURES"):
        page.screenshot(path=Path(pictures) / "advice-editor.png", full_page=True)
    context.close()
    stands = canonical.parse(ApprovalPolicy.objects.get(pk=advised.pk).document)
    assert "fast_path" not in stands["spec"]
    assert ApprovalRequest.objects.filter(policy=advised).count() == 3
