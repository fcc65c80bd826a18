"""A cell says who made it what it is, when and why; the sheet holds what the page shows."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from aegis.core.actors import user_actor
from aegis.core.kinds import get_kind
from aegis.identity.models import User
from aegis.portal.matrix import export
from approvals import changes
from tests.portal.documents import keyed

pytestmark = pytest.mark.django_db


def why(browser: Client, capability: str) -> str:
    page = browser.get(
        "/matrix/why/", {"role": "support-desk", "capability": capability}, headers={"X-Requested-With": "fetch"}
    )
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def amend(author: User, reason: str, **cell: Any) -> None:
    role = get_kind("Role").dump("support-desk")
    assert role is not None
    role["spec"]["grants"][0].update(cell)
    changes.propose(keyed([role]), author=author, actor=user_actor(author.pk, auth="session"), reason=reason)


def test_a_cell_names_the_change_that_made_it_not_the_last_change_of_its_role(
    configured: object, ada: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(ada)
    assert "First configuration of this installation" in why(browser, "ticket.read")
    amend(ada, "Spring cleaning", when="record.open == true")

    assert f"version 2, by {ada.display_name}" in why(browser, "ticket.read")
    assert "Spring cleaning" in why(browser, "ticket.read")
    other = why(browser, "ticket.reply")
    assert "version 1, by AEGIS (bootstrap)" in other
    assert "Spring cleaning" not in other


def sheet(browser: Client, address: str = "") -> list[dict[str, str]]:
    answer = browser.get(f"/matrix/export/{address}")
    assert answer["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(StringIO(answer.content.decode())))


def test_the_sheet_holds_the_cells_that_the_page_shows(
    configured: object, quinn: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(quinn)
    found = {(line["role"], line["capability"]): line for line in sheet(browser)}
    page = browser.get("/matrix/").content.decode()

    assert len(found) == page.count('role="gridcell"')
    assert found["support-desk", "ticket.refund"]["cell"] == "allow if"
    assert found["support-desk", "ticket.refund"]["raised by a lock"] == "yes"
    assert found["support-desk", "ticket.refund"]["floor locks"] == "refund-floor"
    assert found["Support leads", "ticket.read"]["cell"] == "empty"
    few = sheet(browser, "?roles=agents&find=reply")
    assert [(line["role"], line["capability"]) for line in few] == [("support-desk", "ticket.reply")]


def test_the_sheet_is_refused_to_who_may_not_read_the_matrix(
    configured: object, olivia: User, browser_of: Callable[..., Client]
) -> None:
    page, exported = (browser_of(olivia).get(path).status_code for path in ("/matrix/", "/matrix/export/"))
    assert page == exported


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_text_of_the_sheet_is_run_by_a_spreadsheet(text: str) -> None:
    assert export._plain(text) == f"'{text}"
