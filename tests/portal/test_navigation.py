"""The sidebar shows what a person may read, and counts only what he can act on."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from aegis.identity.models import User
from approvals import changes
from approvals.models import ApprovalRequest
from orchestration.authority.models import Role
from tests.portal.documents import document, keyed

pytestmark = pytest.mark.django_db


def links(browser: Client, path: str = "/") -> list[str]:
    html = browser.get(path).content.decode()
    side = html.split("<aside")[1].split("</aside>")[0]
    return re.findall(r'ag-nav__link" href="([^"]+)"', side)


def count(browser: Client, key: str) -> int:
    found = re.search(rf'data-count="{key}">(\d+)', browser.get("/").content.decode())
    return int(found[1]) if found else 0


def test_people_see_the_sections_they_may_read(
    configured: object, ada: User, quinn: User, olivia: User, root: User, browser_of: Callable[..., Client]
) -> None:
    for person in (ada, quinn):
        seen = links(browser_of(person))
        assert {"/", "/approvals/", "/runs/", "/review/", "/audit/", "/matrix/", "/orchestration/agent/"} <= set(seen)
    for person in (olivia, root):
        assert links(browser_of(person)) == ["/", "/approvals/", "/guards/", "/audit/", "/metrics/"]


def test_the_page_one_stands_on_is_marked_once(configured: object, ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    for path in ("/", "/matrix/", "/approvals/", "/approvals/approvalpolicy/", "/orchestration/role/"):
        html = browser.get(path).content.decode().split("<aside")[1].split("</aside>")[0]
        assert re.findall(r'href="([^"]+)" aria-current="page"', html) == [path]


@pytest.fixture
def guarded(configured: object, ada: User, as_actor: Callable[[User], object]) -> ApprovalRequest:
    """ada proposed a change of a cell under a floor lock, so two others must decide."""
    role = document("Role", "support-desk", {"grants": [{"capability": "ticket.refund", "effect": "deny"}]})
    change_set = changes.propose(keyed([role]), author=ada, actor=as_actor(ada), reason="Close it")  # type: ignore[arg-type]
    return ApprovalRequest.objects.get(pk=change_set.pk)


@pytest.fixture
def two_leads(person: Callable[..., User]) -> list[User]:
    return [person("lena", "Support leads"), person("lars", "Support leads")]


def test_counts_hold_only_what_this_person_can_decide(
    two_leads: list[User], guarded: ApprovalRequest, ada: User, sam: User, quinn: User, olivia: User, root: User,
    browser_of: Callable[..., Client],
) -> None:  # fmt: skip
    assert count(browser_of(sam), "approvals") == 1
    assert count(browser_of(two_leads[0]), "approvals") == 1
    for bystander in (quinn, olivia, root):  # may see it or not; none of them can decide
        assert count(browser_of(bystander), "approvals") == 0
    assert count(browser_of(ada), "approvals") == 0  # she asked for it


def test_a_refused_link_is_no_link(configured: object, olivia: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(olivia)
    for path in links(browser):
        assert browser.get(path).status_code == 200, path


def test_the_number_of_queries_does_not_grow_with_documents(
    configured: object, ada: User, browser_of: Callable[..., Client]
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    browser = browser_of(ada)
    browser.get("/orchestration/role/")
    with CaptureQueriesContext(connection) as before:
        browser.get("/orchestration/role/")
    for index in range(20):
        Role.objects.create(
            name=f"r{index}", document=Role.objects.get(name="support-desk").document, digest="0" * 64,
            updated_at=Role.objects.get(name="support-desk").updated_at,
        )  # fmt: skip
    with CaptureQueriesContext(connection) as after:
        browser.get("/orchestration/role/")
    assert len(after) <= len(before)
