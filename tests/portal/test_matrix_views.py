"""The matrix by agent and by person, two columns compared, the sheet and the page to print: one address, one content."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from aegis.core import canonical
from aegis.core.actors import SYSTEM
from aegis.identity import grants
from aegis.identity.areas import area
from aegis.identity.models import User
from audit import journal
from audit.models import Event
from tests.portal.documents import document, everything, keyed

pytestmark = pytest.mark.django_db


def said(answer: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode()))).strip()


def cell(browser: Client, query: str, key: str, capability: str) -> str:
    page = browser.get(f"/matrix/?{query}").content.decode()
    row = page.split(f'data-capability="{capability}"')[1].split("</tr>")[0]
    found = row.split(f'role="gridcell" data-role="{key}"')[1].split("</td>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", found))).strip()


def heads(browser: Client, query: str) -> list[str]:
    page = browser.get(f"/matrix/?{query}").content.decode()
    return [html.unescape(found) for found in re.findall(r'<th class="mx-h[^"]*" data-role="([^"]+)"', page)]


@pytest.fixture
def matrix(ada: User, sam: User, quinn: User) -> None:
    """reply-writer has two roles: what the one allows the other gates."""
    from approvals import changes

    careful = document("Role", "careful", {"grants": [{"capability": "ticket.read", "effect": "gate", "policy": "lead"}]})
    found = everything()
    for one in found:
        if one["kind"] == "Agent":
            one["spec"]["roles"] = ["support-desk", "careful"]
    changes.bootstrap(keyed([*found, careful]))


@pytest.fixture
def reader(matrix: None, person: Callable[..., User], browser_of: Callable[..., Client]) -> Client:
    """Zoe, who may read access and neither people nor agents."""
    zoe = person("zoe", "Readers")
    grants.grant(Group.objects.get(name="Readers"), area("access"), "view", actor=SYSTEM, reason="test")
    return browser_of(zoe)


@pytest.fixture
def auditor(matrix: None, quinn: User, browser_of: Callable[..., Client]) -> Client:
    return browser_of(quinn)


@pytest.mark.parametrize(
    ("by", "key", "capability", "words"),
    [
        ("agent", "agent:reply-writer", "ticket.read", "gate lead · through careful"),
        ("agent", "agent:reply-writer", "ticket.reply", "gate lead · through support-desk"),
        ("person", "person:sam", "ticket.refund", "deny through Support leads"),
        ("person", "person:sam", "ticket.read", "empty"),
    ],
)
def test_a_cell_is_the_answer_through_all_roles_with_those_that_lead_to_it(
    auditor: Client, by: str, key: str, capability: str, words: str
) -> None:
    assert cell(auditor, f"by={by}", key, capability).endswith(f"{capability}: {words}")


def test_a_lock_is_told_where_it_raises_what_an_agent_may(auditor: Client) -> None:
    assert "under a floor lock" in cell(auditor, "by=agent", "agent:reply-writer", "ticket.refund")
    assert "raised by a floor lock" in cell(auditor, "by=agent", "agent:reply-writer", "ticket.refund")


def test_the_views_are_read_only_also_for_who_may_edit(matrix: None, ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    for by in ("agent", "person"):
        page = browser.get(f"/matrix/?by={by}").content.decode()
        assert 'aria-readonly="true"' in page
        assert "data-editable" not in page
    assert "data-editable" in browser.get("/matrix/").content.decode()


def test_who_may_see_neither_people_nor_agents_sees_himself_and_counts_nobody(reader: Client) -> None:
    assert heads(reader, "by=person") == ["person:zoe"]
    assert heads(reader, "by=agent") == []
    for path in ("/matrix/", "/matrix/export/", "/matrix/print/"):
        for by in ("agent", "person"):
            answer = reader.get(f"{path}?by={by}").content.decode()
            assert "reply-writer" not in answer
            assert "sam" not in answer.lower().replace("same", "")


@pytest.mark.parametrize(("hidden", "unknown"), [("person:sam", "person:tom"), ("agent:reply-writer", "agent:nobody-there")])
def test_whom_one_may_not_see_is_as_unknown_as_who_is_not_there(reader: Client, hidden: str, unknown: str) -> None:
    for who in (hidden, unknown):
        assert reader.get(f"/matrix/why/?who={who}&capability=ticket.read").status_code == 404
    by = hidden.split(":")[0]
    both = [
        reader.get("/matrix/print/", {"by": by, "compare": who, "with": "person:zoe", "name": who.split(":")[1]})
        for who in (hidden, unknown)
    ]
    assert said(both[0]).replace("sam", "tom").replace("reply-writer", "nobody-there") == said(both[1])


def test_why_tells_what_decides_and_leads_to_the_explainer(auditor: Client) -> None:
    fetched = auditor.get(
        "/matrix/why/?who=agent:reply-writer&capability=ticket.read", headers={"X-Requested-With": "fetch"}
    ).content.decode()
    assert "<html" not in fetched
    assert "a stricter cell decides" in fetched
    assert "who=agent%3Areply-writer&amp;what=ticket.read#answer" in fetched or "who=agent%3Areply-writer" in fetched
    assert auditor.get("/matrix/why/?who=agent:reply-writer&capability=no.such").status_code == 404
    whole = said(auditor.get("/matrix/why/?who=person:sam&capability=ticket.refund"))
    assert "Role Support leads denies it" in whole


def rows_of(page: str) -> list[str]:
    return re.findall(r'data-capability="([^"]+)"', page)


@pytest.mark.parametrize(
    ("of", "names"),
    [
        ("ticket", ["ticket.read", "ticket.refund", "ticket.reply"]),
        ("ticket.refund", ["ticket.refund"]),
        ("no.such", ["ticket.read", "ticket.refund", "ticket.reply"]),
    ],
)
def test_by_capability_draws_one_or_those_of_a_type_of_resource_across_all_roles(
    auditor: Client, of: str, names: list[str]
) -> None:
    query = f"by=capability&of={of}"
    assert rows_of(auditor.get(f"/matrix/?{query}").content.decode()) == names
    assert heads(auditor, query) == heads(auditor, "") == ["careful", "support-desk", "Support leads"]
    for role in heads(auditor, ""):
        assert cell(auditor, query, role, "ticket.refund") == cell(auditor, "", role, "ticket.refund")
    assert "raised to its gate" in cell(auditor, query, "support-desk", "ticket.refund")
    assert "support-desk allow if parameters.amount_cents <= 5000" in said(auditor.get(f"/matrix/print/?{query}"))


def test_by_capability_two_roles_are_compared_and_those_with_a_cell_for_it_chosen(auditor: Client) -> None:
    query = "by=capability&of=ticket.refund"
    assert heads(auditor, f"{query}&roles=granted") == ["support-desk", "Support leads"]
    pair = f"{query}&compare=Support leads&with=support-desk&differences=on"
    assert heads(auditor, pair) == ["Support leads", "support-desk"]
    assert rows_of(auditor.get(f"/matrix/?{pair}").content.decode()) == ["ticket.refund"]


def test_by_capability_a_cell_is_edited_by_who_may_edit_alone(
    auditor: Client, ada: User, browser_of: Callable[..., Client]
) -> None:
    assert "data-editable" not in auditor.get("/matrix/?by=capability").content.decode()
    browser = browser_of(ada)
    browser.post("/matrix/cell/", {"do": "keep", "role": "careful", "capability": "ticket.refund", "effect": "deny"})
    page = browser.get("/matrix/?by=capability&of=ticket.refund").content.decode()
    assert page.count("is-unsaved") == 1
    assert page.count("data-editable") == 3


def test_who_may_not_read_access_sees_no_column_of_any_view(
    matrix: None, person: Callable[..., User], browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(person("tess", "Guests"))
    for path in ("/matrix/", "/matrix/export/", "/matrix/print/"):
        answer = browser.get(f"{path}?by=capability&of=ticket.refund")
        assert answer.status_code == 403
        assert "support-desk" not in answer.content.decode()


PAIR = "compare=support-desk&with=careful"


def test_two_columns_stand_side_by_side_and_what_differs_is_said(auditor: Client) -> None:
    page = auditor.get(f"/matrix/?{PAIR}").content.decode()
    assert heads(auditor, PAIR) == ["support-desk", "careful"]
    assert heads(auditor, "compare=careful&with=support-desk") == ["careful", "support-desk"]
    assert page.count("data-capability=") == 3
    assert page.count("mx-differs") == 3


def test_only_differences_leaves_what_both_say_alike(auditor: Client) -> None:
    pair = "by=person&compare=person:sam&with=person:ada&differences=on"
    page = auditor.get(f"/matrix/?{pair}").content.decode()
    assert re.findall(r'data-capability="([^"]+)"', page) == ["ticket.refund"]
    alike = auditor.get("/matrix/?by=person&compare=person:quinn&with=person:ada&differences=on")
    assert "Both say the same of every capability." in said(alike)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "by=agent",
        "by=person",
        "by=capability&of=ticket.refund",
        "by=capability&of=ticket",
        f"{PAIR}&differences=on",
        "find=refund",
    ],
)
def test_sheet_and_print_hold_what_the_page_shows(auditor: Client, query: str) -> None:
    page = auditor.get(f"/matrix/?{query}").content.decode()
    for path in ("/matrix/export/", "/matrix/print/"):
        assert html.escape(f"{path}?{auditor.get(f'/matrix/?{query}').context['shown'].query}") in page
    rows = list(csv.reader(StringIO(auditor.get(f"/matrix/export/?{query}").content.decode())))[1:]
    shown = {row[1] for row in rows}
    assert shown == ({"ticket.refund"} if "find" in query else set(re.findall(r'data-capability="([^"]+)"', page)))
    assert {row[4] for row in rows} == set(heads(auditor, query))
    paper = said(auditor.get(f"/matrix/print/?{query}"))
    assert all(name in paper for name in shown)


def test_the_printed_page_says_every_cell_in_words_which_version_when_and_who(auditor: Client, quinn: User) -> None:
    page = said(auditor.get("/matrix/print/"))
    assert "Access matrix, version 1" in page
    assert f"printed by {quinn.display_name}" in page
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", page)
    assert "support-desk allow if parameters.amount_cents <= 5000 raised to its gate by the floor lock" in page
    assert "No cell, denied: careful" in page
    assert "Finance manual, chapter 4" in page
    assert "2027-06-30" in page


def test_an_export_is_an_event_and_a_look_at_its_head_is_none(auditor: Client, quinn: User) -> None:
    for path in ("/matrix/export/", "/matrix/print/"):
        auditor.head(path)
        assert not Event.objects.filter(type="export.created").exists()
    answer = auditor.get("/matrix/export/?by=agent&find=refund")
    event = Event.objects.get(type="export.created")
    assert event.actor_ref == str(quinn.pk)
    data = canonical.parse(event.line)["data"]
    assert data == {"what": "the access matrix as a sheet", "rows": 1, "digest": canonical.digest(answer.content)}
    assert canonical.parse(journal.payload(event.stream, event.seq, "query") or b'""') == "by=agent&find=refund"
    auditor.get("/matrix/print/")
    assert Event.objects.filter(type="export.created").count() == 2


@pytest.mark.parametrize("strange", ["%ED%A0%80", "9" * 5000, "%3Cscript%3Ealert(1)%3C/script%3E", "'", "person:", "agent:"])
def test_nothing_typed_into_the_address_breaks_a_view(auditor: Client, strange: str) -> None:
    for path in ("/matrix/", "/matrix/export/", "/matrix/print/"):
        for by in ("agent", "person", "capability", strange):
            names = ("of", "name", "find", "compare", "with", "roles", "differences")
            query = "&".join([f"by={by}", *(f"{name}={strange}" for name in names)])
            answer = auditor.get(f"{path}?{query}")
            assert answer.status_code == 200
            assert "<script>alert" not in answer.content.decode()
    assert auditor.get(f"/matrix/why/?who={strange}&capability={strange}").status_code == 404
    assert auditor.get("/matrix/?by=agent&compare=%00").status_code == 400, "a NUL is refused at the door"
