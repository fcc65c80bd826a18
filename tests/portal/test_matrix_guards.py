"""What the views by agent and by person, two columns compared and the record of an export must not do."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.test import Client

from aegis.identity.models import User
from aegis.portal.matrix import subjects
from aegis.portal.matrix.cells import Cell
from aegis.portal.matrix.grid import Row
from approvals import changes
from audit.access import stream_of
from audit.models import Event
from orchestration.authority import live
from orchestration.authority.matrix import Capability
from orchestration.contracts.checker import compile_schema
from tests.portal.documents import document, everything, keyed

pytestmark = pytest.mark.django_db


def said(answer: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode()))).strip()


def heads(answer: Any) -> list[str]:
    return [html.unescape(found) for found in re.findall(r'<th class="mx-h[^"]*" data-role="([^"]+)"', answer.content.decode())]


def rows(answer: Any) -> list[str]:
    return re.findall(r'data-capability="([^"]+)"', answer.content.decode())


@pytest.fixture
def auditor(ada: User, sam: User, quinn: User, browser_of: Callable[..., Client]) -> Client:
    """Of two agents: the name of the one is in the name of the other, which has a role that gates what the other allows."""
    refund = {"capability": "ticket.refund", "effect": "gate", "policy": "lead"}
    reply = {"capability": "ticket.reply", "effect": "allow", "when": "-1 < 5"}
    careful = document("Role", "careful", {"grants": [refund, reply]})
    found = everything()
    agent = next(one for one in found if one["kind"] == "Agent")
    both = {**agent, "metadata": {"name": f"a-{agent['metadata']['name']}"}}
    both["spec"] = {**agent["spec"], "roles": ["support-desk", "careful"]}
    changes.bootstrap(keyed([*found, careful, both]))
    return browser_of(quinn)


def test_one_is_found_by_its_whole_name_however_many_have_it_in_theirs(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "MAX_COLUMNS", 1)

    for who in ("agent:reply-writer", "agent:a-reply-writer"):
        assert f"{who.removeprefix('agent:')} × ticket.read" in said(
            auditor.get("/matrix/why/", {"who": who, "capability": "ticket.read"})
        )
    assert auditor.get("/matrix/why/?who=agent:writer&capability=ticket.read").status_code == 404


@pytest.mark.parametrize(("by", "one"), [("agent", "a-reply-writer"), ("person", "sam")])
def test_more_than_are_drawn_are_said_to_be_there(auditor: Client, monkeypatch: pytest.MonkeyPatch, by: str, one: str) -> None:
    monkeypatch.setattr(subjects, "MAX_COLUMNS", 1)

    cut, whole = (auditor.get("/matrix/", {"by": by, "name": name}) for name in ("", one))
    assert len(heads(cut)) == len(heads(whole)) == 1
    assert "the first 1 by name; find the others" in said(cut)
    assert "find the others" not in said(whole)


def test_a_group_that_has_the_name_of_a_role_of_agents_gives_its_people_nothing(
    auditor: Client, person: Callable[..., User]
) -> None:
    person("pat", "support-desk")
    page = auditor.get("/matrix/?by=person&name=pat")

    assert "Pat no role" in said(page)
    assert "ticket.read: empty" in said(page)


def test_the_condition_of_a_cell_that_does_not_lead_is_not_told(auditor: Client) -> None:
    paper = said(auditor.get("/matrix/print/?by=agent&name=a-reply-writer&find=refund"))

    assert "gate lead · through careful" in paper
    assert "amount_cents" not in paper


def test_an_agent_that_the_matrix_does_not_know_has_no_column(auditor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    stands = live.current()
    older = stands._replace(matrix=replace(stands.matrix, agents={}))
    monkeypatch.setattr(live, "current", lambda: older)

    assert heads(auditor.get("/matrix/?by=agent")) == []
    assert auditor.get("/matrix/why/?who=agent:reply-writer&capability=ticket.read").status_code == 404


@pytest.mark.parametrize(
    "query", ["compare=careful", "with=careful", "compare=careful&with=careful", "compare=careful&with=no"]
)
def test_one_column_is_compared_with_nothing(auditor: Client, query: str) -> None:
    page = auditor.get(f"/matrix/?{query}&differences=on")

    assert heads(page) == heads(auditor.get("/matrix/"))
    assert rows(page) == rows(auditor.get("/matrix/"))
    assert "two compared" not in said(page)


def test_without_being_asked_for_differences_alone_all_is_shown(auditor: Client) -> None:
    pair = "by=person&compare=person:sam&with=person:ada"

    assert rows(auditor.get(f"/matrix/?{pair}")) == ["ticket.read", "ticket.refund", "ticket.reply"]
    assert rows(auditor.get(f"/matrix/?{pair}&differences=on")) == ["ticket.refund"]


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        (("gate", "lead"), ("gate", "lead"), False),
        (("gate", "lead"), ("gate", "finance"), True),
        (("allow", ""), ("empty", ""), True),
        (("allow", ""), ("deny", ""), True),
    ],
)
def test_two_cells_differ_by_their_word_or_by_what_is_under_it(
    one: tuple[str, str], other: tuple[str, str], differs: bool
) -> None:
    known = Capability("t.x", "t", "low", "keyed", "", compile_schema({"type": "object"}), requester_too=False, digest="")
    cells = tuple(Cell(role, "t.x", *words) for role, words in (("a", one), ("b", other)))

    assert Row(known, "x", (), cells).differs is differs


@pytest.mark.parametrize("path", ["/matrix/export/", "/matrix/print/"])
def test_who_took_a_sheet_is_told_to_who_may_read_access_in_the_stream_of_that_person(
    auditor: Client, quinn: User, path: str
) -> None:
    auditor.get(path)

    event = Event.objects.get(type="export.created")
    assert (event.stream, event.scope, event.actor_ref) == (stream_of("user", str(quinn.pk)), "access", str(quinn.pk))


@pytest.mark.parametrize("path", ["/matrix/export/", "/matrix/print/"])
def test_who_may_not_read_access_takes_no_sheet_and_leaves_no_export_on_record(
    auditor: Client, olivia: User, browser_of: Callable[..., Client], path: str
) -> None:
    assert browser_of(olivia).get(path).status_code == 403
    assert not Event.objects.filter(type="export.created").exists()


def test_a_sheet_holds_nothing_that_a_spreadsheet_runs(auditor: Client) -> None:
    sheet = csv.reader(StringIO(auditor.get("/matrix/export/").content.decode()))

    found = [value for row in sheet for value in row]
    assert "'-1 < 5" in found
    assert not [value for value in found if value[:1] in ("=", "+", "-", "@", "\t", "\r")]
