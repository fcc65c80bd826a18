"""Two capabilities side by side: whose cells differ, who is listed, and how many questions it asks."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aegis.core.actors import SYSTEM, user_actor
from aegis.identity import grants
from aegis.identity.areas import area
from aegis.identity.models import User
from approvals import changes
from tests.portal.documents import document, everything, keyed

pytestmark = pytest.mark.django_db
AT = "/matrix/capabilities/"
BOTH = {"one": "ticket.read", "other": "ticket.refund"}


@pytest.fixture
def matrix(ada: User, sam: User, quinn: User) -> None:
    alike = [{"capability": name, "effect": "gate", "policy": "lead"} for name in ("ticket.read", "ticket.refund")]
    changes.bootstrap(
        keyed([*everything(), document("Role", "alike", {"grants": alike}), document("Role", "bare", {"grants": []})])
    )


def rows(page: Any) -> dict[str, tuple[bool, list[str]]]:
    """Subject -> whether it is marked as differing, and what its two cells say."""
    found = {}
    for row in page.content.decode().split('<tr class="mx-row" data-subject="')[1:]:
        row = row.split("</tr>")[0]
        cells = [re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", one))).strip() for one in row.split("<td ")[1:]]
        found[html.unescape(row.split('"')[0])] = ("mx-differs" in row, [one.partition(": ")[2] for one in cells])
    return found


def test_each_role_has_a_cell_for_both_and_what_differs_is_marked(matrix: None, quinn: User, browser_of: Any) -> None:
    found = rows(browser_of(quinn).get(AT, BOTH))

    assert list(found) == ["alike", "support-desk", "Support leads"]  # bare has a cell for neither
    assert found["support-desk"][0] is True
    assert found["support-desk"][1][0] == "allow"
    assert found["support-desk"][1][1].startswith("allow if under a floor lock, raised to its gate")
    assert found["Support leads"] == (True, ["empty", "deny"])
    assert found["alike"][1][0].startswith("gate")


def test_only_differences_leaves_what_is_alike(matrix: None, quinn: User, browser_of: Any) -> None:
    browser = browser_of(quinn)
    assert rows(browser.get(AT, {"one": "ticket.read", "other": "ticket.reply"}))["alike"][0] is True
    every = rows(browser.get(AT, {**BOTH, "differences": "on"}))

    assert {name for name, (is_marked, _) in rows(browser.get(AT, BOTH)).items() if is_marked} == every.keys()
    assert all(is_marked for is_marked, _ in every.values())


def test_the_columns_stand_as_asked_and_agree_with_the_matrix(matrix: None, quinn: User, browser_of: Any) -> None:
    browser = browser_of(quinn)
    found = rows(browser.get(AT, BOTH))
    turned = rows(browser.get(AT, {"one": BOTH["other"], "other": BOTH["one"]}))

    assert {name: said[::-1] for name, (_, said) in found.items()} == {name: said for name, (_, said) in turned.items()}
    agents = rows(browser.get(AT, {**BOTH, "of": "agent"}))
    assert agents.keys() == {"agent:reply-writer"}
    grid = browser.get("/matrix/?by=agent").content.decode()
    for said in agents["agent:reply-writer"][1]:
        assert said.split(" under")[0] in re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", grid)))


def test_whom_the_reader_may_not_see_is_in_no_row(matrix: None, person: Callable[..., User], browser_of: Any) -> None:
    zoe = person("zoe", "Readers")
    grants.grant(Group.objects.get(name="Readers"), area("access"), "view", actor=SYSTEM, reason="test")
    browser: Client = browser_of(zoe)

    for of in ("agent", "person"):
        page = browser.get(AT, {**BOTH, "of": of})
        assert rows(page) == {}
        assert "reply-writer" not in page.content.decode()
        assert "person:sam" not in page.content.decode()
    assert browser_of(person("tess", "Guests")).get(AT, BOTH).status_code == 403


@pytest.mark.parametrize(
    "asked", [{}, {"one": "ticket.read"}, {"one": "ticket.read", "other": "ticket.read"}, {"one": "no.such"}]
)
def test_without_two_of_them_it_asks_for_two(matrix: None, quinn: User, browser_of: Any, asked: dict[str, str]) -> None:
    page = browser_of(quinn).get(AT, asked)

    assert "Choose two capabilities." in page.content.decode()
    assert rows(page) == {}


@pytest.mark.parametrize("of", ["role", "agent", "person"])
def test_it_asks_as_many_questions_for_many_as_for_few(
    matrix: None, ada: User, person: Callable[..., User], browser_of: Any, of: str
) -> None:
    browser, counts = browser_of(ada), []
    for number in range(2):
        browser.get(AT, {**BOTH, "of": of})  # loads the matrix, once per process
        with CaptureQueriesContext(connection) as asked:
            browser.get(AT, {**BOTH, "of": of})
        counts.append(len(asked))
        cell = {"capability": "ticket.read", "effect": "allow"}
        more = [document("Role", f"more-{number}-{index}", {"grants": [cell]}) for index in range(6)]
        for index in range(6):
            person(f"p{number}{index}", "Support leads")
        changes.propose(keyed(more), author=ada, actor=user_actor(ada.pk, auth="session"), reason="more")

    assert counts[0] == counts[1]
