"""In the demo, what widens high risk is proposed by one, approved by two others, and applied: there are people enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from aegis.core import canonical
from aegis.identity.models import User
from aegis.portal import demo_people
from aegis.portal.demo import load
from approvals.models import ApprovalRequest, ChangeSet
from audit.models import Event
from orchestration.authority.models import Role

pytestmark = pytest.mark.django_db(transaction=True)

WHO, WHAT = "content-auto-publish", "article.publish-health"
REVIEW = "/matrix/review/"


@pytest.fixture
def desk(area_rows: None, browser_of: Callable[..., Client]) -> Callable[[str], Client]:
    """A demo person at a browser: `desk("ada")`."""
    load.configuration()
    return lambda username: browser_of(User.objects.get(username=username))


@pytest.fixture
def asked(desk: Callable[[str], Client]) -> ApprovalRequest:
    """ada lets a role of agents ask an editor about health claims: a cell of high risk."""
    browser = desk("ada")
    cell = {"role": WHO, "capability": WHAT, "do": "keep", "effect": "gate", "policy": "health-sign-off"}
    assert browser.post("/matrix/cell/", cell).status_code == 302
    answer = browser.post(REVIEW, {"do": "apply", "reason": "Health editors ask for it"})
    request = ApprovalRequest.objects.get()
    assert answer["Location"] == f"/approvals/{request.pk}/"
    return request


def decide(browser: Client, username: str, request: ApprovalRequest) -> Any:
    logins = {login.persona.username: login.password for login in demo_people.ensure(settings.DATA_DIR)}
    page = browser.get(f"/approvals/{request.pk}/").context["detail"]
    form = {
        "verdict": "approve", "reason": "read and agreed", "seen_digest": page.shown_digest,
        "typed": page.must_type, "password": logins[username],
    }  # fmt: skip
    return browser.post(f"/approvals/{request.pk}/decide/", form)


def may(role: str) -> set[str]:
    document = canonical.parse(Role.objects.get(name=role).document)
    return {grant["capability"] for grant in document["spec"]["grants"] if grant["effect"] != "deny"}


def test_two_others_sign_what_ada_widens_and_it_applies(desk: Callable[[str], Client], asked: ApprovalRequest) -> None:
    assert ChangeSet.objects.get(pk=asked.pk).status == ChangeSet.Status.PROPOSED
    assert decide(desk("sam"), "sam", asked).status_code == 302
    assert WHAT not in may(WHO)

    assert decide(desk("viktor"), "viktor", asked).status_code == 302

    assert ChangeSet.objects.get(pk=asked.pk).status == ChangeSet.Status.APPLIED
    assert WHAT in may(WHO)
    assert Event.objects.filter(stream=asked.stream, type="decision.made").count() == 2


def test_ada_does_not_sign_her_own(desk: Callable[[str], Client], asked: ApprovalRequest) -> None:
    assert decide(desk("ada"), "ada", asked).status_code == 403
    assert ChangeSet.objects.get(pk=asked.pk).status == ChangeSet.Status.PROPOSED


@pytest.mark.parametrize("author", ["ada", "viktor"])
def test_whichever_admin_edits_there_are_two_others(desk: Callable[[str], Client], author: str) -> None:
    browser = desk(author)
    browser.post("/matrix/cell/", {"role": WHO, "capability": WHAT, "do": "keep", "effect": "allow"})

    shown = browser.get(REVIEW).context["approvers"]

    assert (shown.said, shown.missing) == ("two of Admins or Support leads, other than you", "")
