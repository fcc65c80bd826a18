"""The matrix page says what the verdict says, and why."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from django.test import Client

from aegis.identity.models import User

pytestmark = pytest.mark.django_db


def cell(page: str, role: str, capability: str) -> str:
    row = page.split(f'data-capability="{capability}"')[1].split("</tr>")[0]
    found = row.split(f'role="gridcell" data-role="{role}"')[1].split("</td>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", found))).strip()


@pytest.fixture
def page(configured: object, quinn: User, browser_of: Callable[..., Client]) -> str:
    return browser_of(quinn).get("/matrix/").content.decode()


@pytest.mark.parametrize(
    ("role", "capability", "words"),
    [
        ("support-desk", "ticket.read", "allow"),
        ("support-desk", "ticket.reply", "gate lead"),
        ("support-desk", "ticket.refund", "allow if under a floor lock, raised to its gate"),
        ("Support leads", "ticket.refund", "deny"),
        ("Support leads", "ticket.read", "empty"),
    ],
)
def test_every_cell_says_its_state_in_words(page: str, role: str, capability: str, words: str) -> None:
    assert cell(page, role, capability).endswith(f"{capability}: {words}")


@pytest.mark.parametrize(
    ("chosen", "shown"),
    [
        ("?roles=all", ["support-desk", "Support leads"]),
        ("?roles=agents", ["support-desk"]),
        ("?roles=people", ["Support leads"]),
        ("?roles=granted&find=REPLY", ["support-desk"]),
        ("?roles=granted&find=nothing-like-it", []),
        ("?roles=%3Cscript%3E", ["support-desk", "Support leads"]),
    ],
)
def test_the_roles_to_show_are_chosen_in_the_address(
    configured: object, quinn: User, browser_of: Callable[..., Client], chosen: str, shown: list[str]
) -> None:
    page = browser_of(quinn).get(f"/matrix/{chosen}").content.decode()
    heads = re.findall(r'<th class="mx-h[^"]*" data-role="([^"]+)"', page)

    assert [name for name in heads if name in ("support-desk", "Support leads")] == shown
    assert page.count('class="mx-col"') == len(heads)
    assert shown or "it is denied to all" in page


def test_the_grid_is_one_tab_stop(page: str) -> None:
    cells = re.findall(r'class="mx-cell"[^>]*>', page)
    assert len(cells) == 6
    assert all('tabindex="-1"' in each for each in cells)  # matrix.js makes one of them 0
    assert 'role="grid"' in page


def ask(browser: Client, **question: str) -> str:
    answer = browser.get("/matrix/", question).content.decode().split('id="answer"')[1].split("</section>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer)))


def test_a_question_is_answered_by_the_verdict(configured: object, quinn: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(quinn)
    assert "Yes, without a vote." in ask(browser, who="agent:reply-writer", what="ticket.read", on="T-1")
    gated = ask(browser, who="agent:reply-writer", what="ticket.refund", on="T-1", parameters='{"amount_cents": 100}')
    assert "Only after people approve." in gated
    assert "refund-floor" in gated
    assert "parameters.amount_cents <= 5000: true" in gated
    assert "No." in ask(browser, who="person:sam", what="ticket.refund", on="T-1", parameters='{"amount_cents": 100}')
    assert "No." in ask(browser, who="agent:reply-writer", what="ticket.nothing")


def test_a_question_that_makes_no_sense_is_told_where(
    configured: object, quinn: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(quinn)
    known = {"who": "agent:reply-writer", "what": "ticket.refund"}
    assert "parameters" in ask(browser, **known, parameters="{")
    assert "record" in ask(browser, **known, record="[]")
    assert "requester" in ask(browser, **known, requester="nobody")
    assert "who" in ask(browser, **{**known, "who": "agent:nobody"})
    for strange in ("<script>alert(1)</script>", "x" * 5000, "{" * 3000):
        assert "<script>alert" not in browser.get("/matrix/", {**known, "who": strange, "parameters": strange}).content.decode()


def test_people_can_be_asked_about_only_by_who_may_see_people(
    configured: object, person: Callable[..., User], sam: User, browser_of: Callable[..., Client]
) -> None:
    from django.contrib.auth.models import Group

    from aegis.core.actors import SYSTEM
    from aegis.identity import grants
    from aegis.identity.areas import area

    zoe = person("zoe", "Readers")
    grants.grant(Group.objects.get(name="Readers"), area("access"), "view", actor=SYSTEM, reason="test")
    browser = browser_of(zoe)
    assert "person:sam" not in browser.get("/matrix/").content.decode()
    hidden = ask(browser, who="person:sam", what="ticket.refund")
    unknown = ask(browser, who="person:tom", what="ticket.refund")
    assert hidden.replace("sam", "") == unknown.replace("tom", "")


def test_why_names_the_source_and_offers_edit_only_to_who_may(
    configured: object, ada: User, quinn: User, browser_of: Callable[..., Client]
) -> None:
    address = "/matrix/why/?role=support-desk&capability=ticket.refund"
    for person, may_edit in ((ada, True), (quinn, False)):
        text = browser_of(person).get(address, headers={"X-Requested-With": "fetch"}).content.decode()
        assert "<html" not in text
        assert "Finance manual, chapter 4" in text
        assert "AEGIS (bootstrap)" in text
        assert ("Edit the role" in text) is may_edit
    assert "<html" in browser_of(ada).get(address).content.decode()  # a page of its own without JavaScript
    assert browser_of(ada).get("/matrix/why/?role=x&capability=y").status_code == 404


def test_without_parameters_grants_and_locks_are_answered(
    configured: object, quinn: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(quinn)
    asked = {"who": "agent:reply-writer", "what": "ticket.reply"}
    said = ask(browser, **asked)
    assert "Only after people approve." in said
    assert "policy lead" in said
    assert "Parameters not given" in said
    strict = ask(browser, **asked, parameters='{"no_such_parameter": 1}')
    assert "break the contract" in strict
    assert "Parameters not given" not in strict
