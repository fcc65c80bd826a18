"""What a person may not see looks exactly like what does not exist, on every page, list, search and link."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from aegis.identity.models import User
from aegis.portal.governed.kinds import KindPages, all_pages
from orchestration.agents.models import Agent

pytestmark = pytest.mark.django_db

PAGES = ("", "edit/", "history/", "history/1/")


def base(kind: KindPages) -> str:
    meta = kind.model._meta
    return f"/{meta.app_label}/{meta.model_name}/"


@pytest.mark.parametrize("kind", all_pages(), ids=lambda kind: kind.kind)
def test_a_hidden_document_answers_the_same_bytes_as_an_unknown_one(
    configured: object, olivia: User, root: User, browser_of: Callable[..., Client], kind: KindPages
) -> None:
    row = kind.model._default_manager.first()
    assert row is not None
    for person in (olivia, root):
        browser = browser_of(person)
        for page in PAGES:
            hidden = browser.get(f"{base(kind)}{row.pk}/{page}")
            unknown = browser.get(f"{base(kind)}{uuid4()}/{page}")
            assert hidden.status_code == unknown.status_code == 404
            assert hidden.content == unknown.content
            assert row.name not in hidden.content.decode().split("<main")[1]


def test_a_link_by_name_answers_the_same_for_hidden_and_unknown(
    configured: object, olivia: User, browser_of: Callable[..., Client]
) -> None:
    browser = browser_of(olivia)
    answers = [
        browser.get("/open/Agent/", {"name": "reply-writer"}),
        browser.get("/open/Agent/", {"name": "nobody"}),
        browser.get("/open/Nothing/", {"name": "reply-writer"}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_lists_and_search_tell_nothing_of_hidden_documents(
    configured: object, olivia: User, root: User, browser_of: Callable[..., Client]
) -> None:
    for person in (olivia, root):
        browser = browser_of(person)
        for kind in all_pages():
            html = browser.get(base(kind)).content.decode().split("<main")[1]
            assert "0 entries" in html
            for row in kind.model._default_manager.all():
                assert row.name not in html
                found = browser.get("/search/", {"q": row.name}).content.decode()
                assert row.name not in found.replace(f"“{row.name}”", "").replace(row.name.title(), "")


def test_a_grant_on_one_row_shows_that_row_and_no_other(
    configured: object, olivia: User, may: Callable[..., None], browser_of: Callable[..., Client]
) -> None:
    agent = Agent.objects.get()
    may(olivia, agent, "view")
    browser = browser_of(olivia)

    assert browser.get(f"/orchestration/agent/{agent.pk}/").status_code == 200
    assert "1 entry" in browser.get("/orchestration/agent/").content.decode()
    assert "Reply writer" in browser.get("/search/", {"q": "reply"}).content.decode()
    edit = browser.get(f"/orchestration/agent/{agent.pk}/edit/")
    assert edit.status_code == 403
    assert "Admins" in edit.content.decode()  # the group that can give the right


def test_the_matrix_is_refused_with_the_right_and_who_gives_it(
    configured: object, olivia: User, root: User, browser_of: Callable[..., Client]
) -> None:
    for person in (olivia, root):
        answer = browser_of(person).get("/matrix/")
        assert answer.status_code == 403
        html = answer.content.decode()
        assert "view (access)" in html
        assert "Admins" in html
        assert "ticket.refund" not in html
