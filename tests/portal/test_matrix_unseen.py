"""Of agents and people whom its reader may not see the matrix tells nothing, not even that there are any.

Every page, sheet, answer and command is asked twice: as things are, and where the agents and people that the reader may not see
are not there. Both answers are the same, to the byte. Two things are told on purpose, and left out here: that nobody at all
could approve a change (promise 8), and that nobody at all works on a queue (promise 12).
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.identity import grants, people
from aegis.identity.areas import area
from aegis.identity.models import User
from orchestration.agents.models import Agent
from orchestration.authority import live, reviewing
from orchestration.engine import explaining
from tests.support.api import client_of

pytestmark = pytest.mark.django_db

PAGES = [
    "/matrix/",
    "/matrix/?roles=people",
    "/matrix/?by=capability&of=ticket.refund",
    "/matrix/?by=agent",
    "/matrix/?by=person",
    "/matrix/?by=agent&name=reply-writer",
    "/matrix/?by=agent&compare=agent:reply-writer&with=agent:other",
    "/matrix/?who=agent:reply-writer&what=ticket.read",
    "/matrix/?who=reply-writer&what=ticket.read",
    "/matrix/?who=person:sam&what=ticket.refund",
    "/matrix/?who=person:zoe&what=ticket.refund&requester=sam",
    "/matrix/who/?capability=ticket.refund",
    "/matrix/who/?capability=ticket.read",
    "/matrix/what/?who=agent:reply-writer",
    "/matrix/what/?who=person:sam",
    "/matrix/what/?who=role:support-desk",
    "/matrix/why/?who=agent:reply-writer&capability=ticket.read",
    "/matrix/unused/",
    "/matrix/print/",
    "/matrix/print/?by=agent",
    "/matrix/print/?by=person",
    "/matrix/export/?by=agent",
    "/matrix/export/?by=person",
    "/matrix/review/",
    "/open/Role/?name=support-desk",
    "/open/Role/?name=Support+leads",
    "/open/Capability/?name=ticket.refund",
    "/open/FloorLock/?name=refund-floor",
    "/open/ApprovalPolicy/?name=lead",
    "/orchestration/role/",
    "/orchestration/capability/",
]
ANSWERS = [
    "may?who=agent:reply-writer&capability=ticket.read",
    "may?who=person:sam&capability=ticket.refund",
    "who?capability=ticket.refund",
    "what?who=agent:reply-writer",
    "what?who=person:sam",
    "what?who=role:support-desk",
]
COMMANDS = [
    ("may", "agent:reply-writer", "ticket.read"),
    ("who", "ticket.refund"),
    ("what", "agent:reply-writer"),
    ("what", "person:sam"),
]


@pytest.fixture
def zoe(configured: object, person: Callable[..., User]) -> User:
    """She may read and edit access, and read policies and queues; but neither people nor agents. Two admins could approve."""
    person("ben", "Admins")
    zoe = person("zoe", "Readers")
    for name, verb in (("access", "view"), ("access", "edit"), ("approvals", "view"), ("queues", "view")):
        grants.grant(Group.objects.get(name="Readers"), area(name), verb, actor=SYSTEM, reason="test")
    return zoe


@pytest.fixture
def without_them(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on there is no agent, and no active person in a group of the matrix."""

    def work() -> None:
        User.objects.filter(username="sam").update(is_active=False)
        stands = live.current()
        alone = stands._replace(matrix=replace(stands.matrix, agents={}))
        monkeypatch.setattr(live, "current", lambda *args, **more: alone)

    return work


def reached(browser: Client, address: str) -> tuple[int, str]:
    answer = browser.get(address, follow=True)
    new_each_time = r'name="csrfmiddlewaretoken" value="[^"]+"|<time .*?</time>'
    return answer.status_code, re.sub(new_each_time, "", answer.content.decode())


@pytest.mark.parametrize("address", PAGES)
def test_no_page_tells_whether_there_are_others(
    zoe: User, browser_of: Callable[..., Client], without_them: Callable[[], None], address: str
) -> None:
    browser = browser_of(zoe)
    for role, effect in (("support-desk", "deny"), ("Support leads", "allow")):
        browser.post("/matrix/cell/", {"do": "keep", "role": role, "capability": "ticket.read", "effect": effect})
    there = reached(browser, address)
    without_them()

    alone = reached(browser, address)
    assert [line for line in there[1].splitlines() if line not in alone[1]] == []
    assert there == alone
    assert there[0] == (404 if "why" in address else 200)


def test_an_unused_grant_is_held_by_those_that_the_reader_may_see(
    zoe: User, quinn: User, browser_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = clock.db_now() + timedelta(days=91)
    monkeypatch.setattr(reviewing.clock, "db_now", lambda: later)

    for reader, words in ((zoe, "none you may see"), (quinn, "1 agent")):
        page = said(browser_of(reader).get("/matrix/unused/").content.decode())
        assert f"ticket.read support-desk allow {words}" in page
        assert "Only agents that you may see are counted." in page


@pytest.mark.parametrize("address", ANSWERS)
def test_no_answer_of_the_api_tells_whether_there_are_others(zoe: User, without_them: Callable[[], None], address: str) -> None:
    api = client_of(zoe)
    there = api.get(f"/api/v1/access/{address}")
    without_them()

    alone = api.get(f"/api/v1/access/{address}")
    assert (there.status_code, there.json()) == (alone.status_code, alone.json())
    assert there.status_code == (200 if address.startswith(("who", "what?who=role")) else 422)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_tells_whether_there_are_others(zoe: User, without_them: Callable[[], None], words: tuple[str, ...]) -> None:
    there = told(*words)
    without_them()

    assert told(*words) == there
    assert there[1] or there[2]


def told(*words: str) -> tuple[int, str, str]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command("aegis", "explain", "--as", "zoe", *words, stdout=out, stderr=err)
    except SystemExit as done:
        code = int(done.code or 0)
    return code, out.getvalue(), err.getvalue()


def said(answer: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer))).strip()


def test_the_head_of_a_role_counts_those_that_the_reader_may_see(
    zoe: User, quinn: User, browser_of: Callable[..., Client]
) -> None:
    for reader, agents, members in ((zoe, "none you may see", "none you may see"), (quinn, "1 agent", "1 person")):
        page = browser_of(reader).get("/matrix/").content.decode()
        heads = {name: said(words) for name, words in re.findall(r'data-role="([^"]+)"[^>]*scope="col">(.*?)</th>', page)}
        assert heads == {"support-desk": f"support-desk {agents}", "Support leads": f"Support leads {members}"}
        assert "only agents and people that you may see are counted" in said(page)


def test_of_a_group_that_one_is_in_oneself_is_counted(
    zoe: User, person: Callable[..., User], browser_of: Callable[..., Client]
) -> None:
    people.add_to_group(zoe.pk, "Support leads", actor=SYSTEM, reason="test")
    browser = browser_of(zoe)

    assert "1 person" in said(browser.get("/matrix/?roles=people").content.decode())
    assert "zoe deny" in said(browser.get("/matrix/who/?capability=ticket.refund").content.decode())
    for address, words in (
        ("/open/Role/?name=Support+leads", "The active members of the group “Support leads”: 1 person that you may see."),
        ("/open/ApprovalPolicy/?name=lead", "Support leads (1 person you may see)"),
        ("/open/ReviewQueue/?name=intake-review", "Support leads (1 person you may see)"),
    ):
        assert words in said(browser.get(address, follow=True).content.decode())


@pytest.mark.parametrize("address", ["/open/ApprovalPolicy/?name=lead", "/open/ReviewQueue/?name=intake-review"])
def test_who_sees_people_is_told_how_many_of_them_decide_or_work(
    zoe: User, quinn: User, browser_of: Callable[..., Client], address: str
) -> None:
    assert "Support leads (none you may see)" in said(browser_of(zoe).get(address, follow=True).content.decode())
    assert "Support leads (1 person you may see)" in said(browser_of(quinn).get(address, follow=True).content.decode())


def test_one_agent_that_the_reader_may_see_is_told_and_judged_as_ever(
    zoe: User, quinn: User, may: Callable[..., None], browser_of: Callable[..., Client]
) -> None:
    asked = "/matrix/?who=agent:reply-writer&what=ticket.reply"
    before = said(browser_of(quinn).get(asked).content.decode().split('id="answer"')[1].split("</section>")[0])
    may(zoe, Agent.objects.get(name="reply-writer"), "view")
    browser = browser_of(zoe)

    page = browser.get(asked).content.decode()
    assert said(page.split('id="answer"')[1].split("</section>")[0]) == before
    assert '<option value="agent:reply-writer">' in page
    assert "reply-writer gate gate lead or deny" in said(browser.get("/matrix/who/?capability=ticket.refund").content.decode())
    assert "1 agent" in said(browser.get("/matrix/?roles=agents").content.decode())


def test_a_list_that_is_too_long_says_so_of_those_that_the_reader_may_see(
    zoe: User, quinn: User, person: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "MAX_PEOPLE", 1)
    person("tara", "Support leads")

    asked = {"capability": "ticket.refund"}
    assert client_of(quinn).get("/api/v1/access/who", asked).json()["is_cut"] is True
    assert client_of(zoe).get("/api/v1/access/who", asked).json()["is_cut"] is False
