"""Saved views: an address with filters, kept under a name. One rule says who sees it, and it never widens what he sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from aegis.core.actors import user_actor
from aegis.core.canonical import parse
from aegis.core.errors import Conflict, Invalid, NotAuthenticated
from aegis.identity.models import User
from aegis.portal.models import SavedView
from aegis.portal.saved import listing, pages, verbs
from aegis.portal.saved.pages import PAGES
from audit.models import Event, Payload

pytestmark = pytest.mark.django_db

Browser = Callable[..., Client]
LISTS = {"approvals": "/approvals/", "queues": "/review/", "runs": "/runs/"}
HOSTILE = "<img src=x onerror=alert(1)>\"'"


@pytest.fixture
def tom(person: Callable[..., User]) -> User:
    """Of sam's group."""
    return person("tom", "Support leads")


def saved(person: User, name: str = "Urgent", query: str = "status=failed&workflow=notes", page: str = "runs") -> SavedView:
    return verbs.save(page, name, query, actor=user_actor(person.pk, auth="session"))


def shared(person: User, name: str = "Urgent", **more: Any) -> SavedView:
    group = person.groups.get()
    row = saved(person, name, **more)
    return verbs.change(row.pk, name=name, group=str(group.pk), actor=user_actor(person.pk, auth="session"))


def names(person: User) -> list[str]:
    return [line.view.name for line in listing.lines(person)]


def recorded() -> list[tuple[str, dict[str, Any]]]:
    return [(row.type, parse(row.line)["data"]) for row in Event.objects.filter(type__startswith="view.").order_by("id")]


@pytest.mark.parametrize(("key", "address"), LISTS.items())
def test_a_view_is_saved_from_its_list_and_opens_it_again(sam: User, browser_of: Browser, key: str, address: str) -> None:
    browser, query = browser_of(sam), {"approvals": "risk=high", "queues": "tab=done", "runs": "status=failed"}[key]

    before = browser.get(f"{address}?{query}&part=x&before=y").content.decode()
    answer = browser.post("/views/save/", {"page": key, "name": "Mine", "query": f"{query}&before=y&evil=1"})
    after = browser.get(f"{address}?{query}").content.decode()

    assert f'name="query" value="{query}"' in before
    assert answer["Location"] == f"{address}?{query}"
    assert f'<a href="{address}?{query}" aria-current="true"><bdi class="sv-name">Mine</bdi>' in after
    assert 'name="query"' not in after, "what is saved already is not offered again"


def test_only_filters_of_the_list_are_kept_in_one_order(sam: User) -> None:
    row = saved(sam, query="?part=list&q=a%20b&status=failed&status=&next=//evil.example"[1:])

    assert row.query == "status=failed&q=a+b"
    assert PAGES["runs"].query_of(QueryDict("q=a b&status=failed")) == row.query


def test_every_filter_of_the_inbox_can_be_kept() -> None:
    from approvals.pages import inbox
    from orchestration.pages import reviewboard, runlist

    assert set(PAGES["approvals"].keys) == {"tab", "q", *inbox.Filters.NARROWING}
    assert set(PAGES["runs"].keys) == set(runlist.Filters.__dataclass_fields__) - {"before"}
    assert set(PAGES["queues"].keys) >= set(reviewboard.Filters.__dataclass_fields__)


def test_a_private_view_is_its_owners_alone(sam: User, tom: User, root: User) -> None:
    saved(sam)

    assert (names(sam), names(tom), names(root)) == (["Urgent"], [], [])
    assert recorded() == [], "what nobody else sees is nobody's business"


def test_a_shared_view_is_seen_by_the_group_and_by_nobody_else(sam: User, tom: User, olivia: User, root: User) -> None:
    row = shared(sam)

    assert (names(sam), names(tom), names(olivia), names(root)) == (["Urgent"], ["Urgent"], [], [])
    assert recorded() == [("view.shared", {"view": str(row.pk), "page": "runs", "group": "Support leads"})]
    (event,) = Event.objects.filter(type="view.shared")
    assert "Urgent" not in event.line, "the name is what somebody typed: a payload"
    assert Payload.objects.get(stream=event.stream, seq=event.seq, name="name").body == '"Urgent"'


def test_who_leaves_the_group_no_longer_sees_it(sam: User, tom: User) -> None:
    row = shared(sam)
    verbs.open_first(row.pk, is_first=True, actor=user_actor(tom.pk, auth="session"))
    tom.groups.clear()

    assert names(tom) == []
    tom.refresh_from_db()
    assert listing.first_address(tom, "runs") == "/runs/", "nor does it open first any more"


def test_a_shared_view_shows_each_reader_his_own_list(sam: User, tom: User, browser_of: Browser) -> None:
    """The address names what its author could see; the reader, who may not, gets the empty list and no name."""
    hidden = f"workflow:{uuid4()}"
    shared(sam, "Secret flow", page="approvals", query=f"workflow={hidden}")

    page = browser_of(tom).get("/approvals/", {"workflow": hidden}).content.decode()

    assert "Nothing matches these filters" in page


def test_a_view_is_shared_only_with_a_group_of_ones_own(sam: User, olivia: User) -> None:
    row, foreign = saved(sam), olivia.groups.get()

    for group in (str(foreign.pk), "0", "x", "9" * 400, "\x00"):
        with pytest.raises(Invalid, match="cannot be shared"):
            verbs.change(row.pk, name="Urgent", group=group, actor=user_actor(sam.pk, auth="session"))
    assert names(olivia) == []


def test_renamed_taken_back_and_deleted_are_on_record_while_others_see_it(sam: User) -> None:
    actor, group = user_actor(sam.pk, auth="session"), str(sam.groups.get().pk)
    row = shared(sam)
    verbs.change(row.pk, name="Later", group=group, actor=actor)
    verbs.change(row.pk, name="Later", group=group, actor=actor)
    verbs.change(row.pk, name="Later", group="", actor=actor)
    verbs.change(row.pk, name="Mine", group="", actor=actor)
    verbs.change(row.pk, name="Mine", group=group, actor=actor)
    verbs.delete(row.pk, actor=actor)

    assert [kind for kind, _ in recorded()] == ["view.shared", "view.renamed", "view.unshared", "view.shared", "view.deleted"]


def test_a_reader_changes_nothing_and_is_told_whose_it_is(sam: User, tom: User, browser_of: Browser) -> None:
    row = shared(sam)
    for verb in ("change", "delete"):
        answer = browser_of(tom).post(f"/views/{row.pk}/{verb}/", {"name": "Theirs", "group": ""})
        assert answer.status_code == 403
        assert "only its owner changes it" in answer.content.decode()
    page = browser_of(tom).get("/views/").content.decode()

    assert "Keep</button>" not in page
    assert SavedView.objects.get().name == "Urgent"


@pytest.mark.parametrize("verb", ["change", "delete", "first"])
def test_what_is_hidden_is_unknown(sam: User, olivia: User, root: User, browser_of: Browser, verb: str) -> None:
    row = saved(sam)
    for other in (olivia, root):
        browser = browser_of(other)
        form = {"name": "x", "group": "", "on": "1"}
        hidden, unknown = (browser.post(f"/views/{pk}/{verb}/", form) for pk in (row.pk, uuid4()))
        assert (hidden.status_code, hidden.content) == (404, unknown.content)


def test_once_the_owner_is_gone_the_group_keeps_order(sam: User, tom: User) -> None:
    row = shared(sam)
    User.objects.filter(pk=sam.pk).update(is_active=False)
    verbs.delete(row.pk, actor=user_actor(tom.pk, auth="session"))

    assert not SavedView.objects.exists()
    with pytest.raises(NotAuthenticated):
        saved(sam, "More")


def test_a_view_opens_first_for_the_person_who_said_so_alone(sam: User, tom: User, browser_of: Browser) -> None:
    row = shared(sam, page="approvals", query="risk=high")
    browser, link = browser_of(tom), 'href="/views/open/approvals/"'
    browser.post(f"/views/{row.pk}/first/", {"on": "1"})

    assert (link in browser.get("/").content.decode(), link in browser_of(sam).get("/").content.decode()) == (True, False)
    assert browser.get("/views/open/approvals/")["Location"] == "/approvals/?risk=high"
    assert browser_of(sam).get("/views/open/approvals/")["Location"] == "/approvals/"
    browser.post(f"/views/{row.pk}/first/", {"on": "0"})
    assert link not in browser.get("/").content.decode()


def test_one_view_opens_first_to_a_list_and_none_once_it_is_gone(sam: User) -> None:
    actor = user_actor(sam.pk, auth="session")
    one, two = saved(sam, "One"), saved(sam, "Two", "status=held")
    for row in (one, two):
        verbs.open_first(row.pk, is_first=True, actor=actor)
    sam.refresh_from_db()
    assert listing.first_address(sam, "runs") == "/runs/?status=held"
    verbs.delete(two.pk, actor=actor)
    assert listing.first_address(sam, "runs") == "/runs/"


def test_a_list_that_there_is_not_opens_nothing(sam: User, browser_of: Browser) -> None:
    assert browser_of(sam).get("/views/open/nowhere/").status_code == 404


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 61, "a\x00b", "a\nb", "right\u202eleft", "zero\u200bwidth", "half\ud800"], ids=repr
)
def test_a_name_that_cannot_be_shown_is_refused_and_comes_back(sam: User, browser_of: Browser, name: str) -> None:
    with pytest.raises(Invalid):
        saved(sam, name)
    name = name.replace("\ud800", "")  # a form cannot carry it: Django reads it as the sign of a broken character
    answer = browser_of(sam).post("/views/save/", {"page": "runs", "name": name, "query": "status=failed"})
    assert answer.status_code == (302 if name == "half" else 422)


@pytest.mark.parametrize("query", ["", "part=list", "status=", "q=%00", "q=" + "x" * 1000, "q=" + "x" * 9000, "q=%ff&" * 900])
def test_a_query_that_is_none_or_too_long_is_refused(sam: User, browser_of: Browser, query: str) -> None:
    answer = browser_of(sam).post("/views/save/", {"page": "runs", "name": "x", "query": query})

    assert answer.status_code in (400, 422)
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("page", ["", "nowhere", "runs\x00", "x" * 500])
def test_an_unknown_list_is_not_found(sam: User, browser_of: Browser, page: str) -> None:
    assert browser_of(sam).post("/views/save/", {"page": page, "name": "x", "query": "q=1"}).status_code == 404


def test_hostile_names_and_filters_stay_text(sam: User, tom: User, browser_of: Browser) -> None:
    shared(sam, HOSTILE, query=f"q={HOSTILE}")
    for address in ("/views/", "/runs/"):
        page = browser_of(tom).get(address).content.decode()
        assert "<img src=x" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_a_name_is_taken_once_to_a_list(sam: User, tom: User, browser_of: Browser) -> None:
    saved(sam)
    saved(sam, page="approvals", query="risk=high")
    saved(tom)
    with pytest.raises(Conflict, match="already"):
        saved(sam, query="status=held")
    again = browser_of(sam).post("/views/save/", {"page": "runs", "name": "Urgent", "query": "status=held"})

    assert again.status_code == 409
    assert 'value="Urgent"' in again.content.decode(), "what was typed comes back"
    other = saved(sam, "Other")
    with pytest.raises(Conflict, match="already"):
        verbs.change(other.pk, name="Urgent", group="", actor=user_actor(sam.pk, auth="session"))


def test_a_person_keeps_so_many_and_no_more(sam: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "MAX_VIEWS", 2)
    saved(sam, "One"), saved(sam, "Two", page="approvals", query="risk=high")

    with pytest.raises(Conflict, match="delete one first"):
        saved(sam, "Three")


def test_the_menu_costs_one_query_however_many_there_are(sam: User, django_assert_num_queries: Any) -> None:
    for number in range(7):
        shared(sam, f"View {number}")
    with django_assert_num_queries(1):
        assert len(listing.menu(sam, "runs", QueryDict("")).own) == 7
    with django_assert_num_queries(0):
        listing.opened_first(sam)


def test_every_list_stands_where_it_says() -> None:
    assert {key: reverse(page.route) for key, page in pages.PAGES.items()} == {**LISTS, "audit": "/audit/"}
