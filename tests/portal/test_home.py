"""Home shows what needs this person, links every figure, and answers polls with 304 until something happened."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from aegis.core.actors import SYSTEM
from aegis.identity.models import User
from aegis.portal import integrity
from approvals import changes
from audit import verifications
from tests.portal.documents import document, keyed

pytestmark = pytest.mark.django_db


def poll(browser: Client, etag: str = "") -> tuple[int, str, str]:
    answer = browser.get("/home/part/", headers={"If-None-Match": etag} if etag else {})
    return answer.status_code, answer.headers.get("ETag", ""), answer.content.decode()


def test_a_poll_is_304_until_something_happened(
    configured: object, ada: User, sam: User, as_actor: Callable[[User], object], browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(sam)
    first = browser.get("/").content.decode()
    told = re.search(r'data-live-etag="([^"]+)"', first)
    assert told
    status, etag, _ = poll(browser)
    assert status == 200
    assert poll(browser, etag)[0] == 304

    role = document("Role", "tester", {"grants": []})
    changes.propose(keyed([role]), author=ada, actor=as_actor(ada), reason="test")  # type: ignore[arg-type]
    status, newer, _ = poll(browser, etag)
    assert (status, newer != etag) == (200, True)


def test_one_person_is_never_answered_with_the_page_of_another(
    configured: object, ada: User, sam: User, browser_of: Callable[..., Client]
) -> None:
    _, etag, _ = poll(browser_of(ada))
    assert poll(browser_of(sam), etag)[0] == 200
    assert "private" in browser_of(sam).get("/home/part/").headers["Cache-Control"]


def test_what_needs_me_lists_only_what_i_can_decide(
    configured: object, person: Callable[..., User], ada: User, sam: User, quinn: User,
    as_actor: Callable[[User], object], browser_of: Callable[..., Client],
) -> None:  # fmt: skip
    person("lena", "Support leads")
    role = document("Role", "support-desk", {"grants": [{"capability": "ticket.refund", "effect": "deny"}]})
    change_set = changes.propose(keyed([role]), author=ada, actor=as_actor(ada), reason="Close it")  # type: ignore[arg-type]

    assert f"/approvals/{change_set.pk}/" in browser_of(sam).get("/").content.decode()
    for bystander in (ada, quinn):
        page = browser_of(bystander).get("/").content.decode()
        assert f"/approvals/{change_set.pk}/" not in page
        assert "No decision waits for you." in page


def test_every_figure_is_a_link_that_answers(configured: object, ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    figures = re.findall(r'class="hm-figc" href="([^"]+)"', browser.get("/").content.decode())
    assert len(figures) == 8
    for address in figures:
        assert browser.get(address.replace("&amp;", "&")).status_code == 200


def test_the_badge_is_green_only_after_a_good_verification(configured: object) -> None:
    assert (integrity.badge().tone, integrity.badge().short) == ("amber", "Not verified yet")
    verifications.run(SYSTEM)
    assert integrity.badge().tone == "green"


def test_the_badge_turns_red_and_names_the_first_bad_event(configured: object) -> None:
    from audit.models import Verification

    verifications.run(SYSTEM)
    Verification.objects.update(is_good=False, first_bad="config:Role #2")
    badge = integrity.badge()
    assert badge.tone == "red"
    assert "config:Role #2" in badge.sentence


def test_an_old_verification_is_amber(configured: object) -> None:
    from datetime import timedelta

    from aegis.core import clock
    from audit.models import Verification

    verifications.run(SYSTEM)
    Verification.objects.update(at=clock.now() - integrity.FRESH - timedelta(minutes=1))
    assert integrity.badge().tone == "amber"


def test_single_key_shortcuts_are_switched_by_post_only(ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    assert 'data-single-keys="on"' in browser.get("/").content.decode()
    assert browser.get("/account/shortcuts/").status_code == 405
    assert browser.post("/account/shortcuts/", {"on": "0", "next": "/matrix/"}).headers["Location"] == "/matrix/"
    assert 'data-single-keys="off"' in browser.get("/").content.decode()
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)", ""):
        assert browser.post("/account/shortcuts/", {"on": "1", "next": elsewhere}).headers["Location"] == "/"


def test_the_switch_needs_a_token(ada: User, browser_of: Callable[..., Client]) -> None:
    answer = browser_of(ada, enforce_csrf_checks=True).post("/account/shortcuts/", {"on": "0"})
    assert answer.status_code == 403
    assert "reload the page" in answer.content.decode()
