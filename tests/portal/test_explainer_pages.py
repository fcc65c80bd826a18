"""The explainer as pages, API and command: the same lines, what decides them linked, within what the reader may see."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import grants, people
from aegis.identity.areas import area
from aegis.identity.models import User
from orchestration.engine.guards import verbs
from tests.support.api import client_of

pytestmark = pytest.mark.django_db


def text(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.split("<main")[1].split("</main>")[0])))


def test_who_can_names_the_lock_the_cell_and_the_condition_with_links(configured, quinn, browser_of):
    page = browser_of(quinn).get("/matrix/who/", {"capability": "ticket.refund"}).content.decode()

    assert "Floor lock refund-floor raises the answer to its gate" in text(page)
    assert "Role support-desk allows it if parameters.amount_cents <= 5000" in text(page)
    assert "gate lead or deny, as the facts are" in text(page)
    assert "sam" in text(page)
    assert "/open/FloorLock/?name=refund-floor" in page
    assert "/open/Role/?name=Support+leads" in page


def test_what_can_an_agent_a_person_and_a_role_do(configured, quinn, browser_of):
    browser = browser_of(quinn)

    agent = text(browser.get("/matrix/what/", {"who": "agent:reply-writer"}).content.decode())
    person = text(browser.get("/matrix/what/", {"who": "person:sam"}).content.decode())
    role = text(browser.get("/matrix/what/", {"who": "role:support-desk"}).content.decode())

    assert "ticket.reply gate" in agent
    assert "ticket.refund deny" in person
    assert "2 other capabilities have no cell" in person
    assert "ticket.read allow" in role
    assert "there is no agent or person" in browser.get("/matrix/what/", {"who": "role:nothing"}).content.decode().lower()


def test_a_halt_is_told_with_its_reason_wherever_it_is_asked(configured, ada, quinn, browser_of):
    verbs.halt("agent", "reply-writer", actor=user_actor(ada.pk, auth="session"), reason="it writes nonsense")
    browser = browser_of(quinn)

    assert "it writes nonsense" in text(browser.get("/matrix/who/?capability=ticket.read").content.decode())
    asked = text(browser.get("/matrix/", {"who": "agent:reply-writer", "what": "ticket.read"}).content.decode())
    assert "Yes, without a vote." in asked
    assert "Nothing happens now all the same." in asked


def test_the_api_tells_the_same(configured, quinn, olivia):
    api = client_of(quinn)

    who = api.get("/api/v1/access/who", {"capability": "ticket.refund"}).json()
    what = api.get("/api/v1/access/what", {"who": "agent:reply-writer"}).json()
    may = api.get("/api/v1/access/may", {"who": "agent:reply-writer", "capability": "ticket.read", "on": "T-1"}).json()

    assert {(line["who"], line["answer"]) for line in who["lines"]} == {("agent:reply-writer", "gate"), ("person:sam", "deny")}
    assert {"what": "lock", "name": "refund-floor", "says": "raises the answer to its gate"} in who["lines"][0]["deciders"]
    assert len(what["lines"]) == 3
    assert (may["answer"], may["grants"]) == ("allow", ["support-desk/ticket.read"])
    assert api.get("/api/v1/access/who", {"capability": "no.such"}).status_code == 404
    for name in ("agent:nobody", "agent:sam"):  # sam is a person, not an agent
        assert api.get("/api/v1/access/may", {"who": name, "capability": "ticket.read"}).status_code == 422
    for name in ("person:sam", "sam"):
        assert api.get("/api/v1/access/may", {"who": name, "capability": "ticket.read"}).status_code == 200
    for address in ("may?who=agent:reply-writer&capability=ticket.read", "who?capability=ticket.read", "what?who=person:sam"):
        assert client_of(olivia).get(f"/api/v1/access/{address}").status_code == 403


def test_people_whom_the_reader_may_not_see_are_not_told_nor_counted(configured, person, sam, browser_of):
    zoe = person("zoe", "Readers")
    grants.grant(Group.objects.get(name="Readers"), area("access"), "view", actor=SYSTEM, reason="test")

    page = text(browser_of(zoe).get("/matrix/who/?capability=ticket.refund").content.decode())
    assert "sam" not in page
    assert "Nobody: no role of any agent or person you may see has a cell for it." in page
    assert "Only agents and people that you may see are listed." in page
    hidden = client_of(zoe).get("/api/v1/access/what", {"who": "person:sam"})
    unknown = client_of(zoe).get("/api/v1/access/what", {"who": "person:tom"})
    assert hidden.status_code == unknown.status_code == 422
    assert json.dumps(hidden.json()).replace("sam", "") == json.dumps(unknown.json()).replace("tom", "")


def test_the_command_tells_lines_and_its_exit_code_is_the_answer(configured, quinn):
    def run(*words: str) -> tuple[int, str]:
        out = io.StringIO()
        try:
            call_command("aegis", *words, stdout=out, stderr=io.StringIO())
        except SystemExit as done:
            return int(done.code or 0), out.getvalue()
        return 0, out.getvalue()

    assert run("explain", "may", "agent:reply-writer", "ticket.read")[0] == 0
    code, told = run("explain", "may", "agent:reply-writer", "ticket.reply")
    assert code == 1
    assert "under policy lead" in told
    assert "person:sam: deny" in run("explain", "who", "ticket.refund")[1]
    assert "ticket.read: allow" in run("explain", "--as", "quinn", "what", "role:support-desk")[1]


@pytest.mark.parametrize("address", ["/matrix/who/?capability=ticket.refund", "/matrix/what/?who=person:sam"])
def test_queries_do_not_grow_with_people(configured, quinn, person, browser_of: Callable[..., Client], address: str):
    browser = browser_of(quinn)
    browser.get(address)
    with CaptureQueriesContext(connection) as few:
        browser.get(address)
    for number in range(12):
        made: User = person(f"p{number}", "Support leads")
        people.add_to_group(made.pk, "Support leads", actor=SYSTEM, reason="test")
    with CaptureQueriesContext(connection) as many:
        browser.get(address)

    assert len(many) == len(few)
    assert len(few) <= 30
