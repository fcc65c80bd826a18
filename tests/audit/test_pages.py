from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aegis.core import clock
from aegis.core.actors import agent_actor, user_actor
from aegis.identity.models import User
from audit import journal
from audit.drafts import Context, Draft
from audit.models import Event, Payload, Verification
from tests.support.following import caught_up
from tests.support.journal_guard import lifted

HOSTILE = '<script>alert(1)</script>{{ 7|add:"7" }}"\'&'


@pytest.fixture
def noted(quinn: User) -> Callable[..., Event]:
    def record(reason: str = "", *, stream: str = "config:Probe", actor: Any = None, **fields: Any) -> Event:
        data = {"code": fields.pop("code", "c")}
        payloads = {"reason": reason.encode()} if reason else {}
        about = {"scope": "system", "run_id": fields.pop("run_id", None)}
        with transaction.atomic():
            journal.append(
                Context(stream=stream, **about),
                [Draft("probe.noted", actor or user_actor(quinn.pk, auth="session"), data, payloads, **fields)],
                clock.now(),
            )
        return Event.objects.latest("id")

    return record


@pytest.fixture
def auditor(quinn: User, browser_of: Callable[..., Client]) -> Client:
    return browser_of(quinn)


def get(client: Client, url: str, status: int = 200) -> str:
    caught_up()
    response = client.get(url)
    assert response.status_code == status
    return response.content.decode()


def test_a_row_says_who_did_what_on_whose_behalf_by_which_rule_and_why(
    auditor: Client, noted: Callable[..., Event], sam: User
) -> None:
    noted(
        "Canary clean for 30 minutes",
        actor=agent_actor(uuid4()),
        agent="release-steward",
        on_behalf=str(sam.pk),
        matrix=311,
        outcome="done",
    )

    page = get(auditor, "/audit/?outcome=done")

    for words in (
        "<b>release-steward</b> noted <b>c</b>",
        "on behalf of Sam",
        "matrix 311",
        "<q>Canary clean for 30 minutes</q>",
    ):
        assert words in page
    assert 'data-tone="green"' in page


def test_filters_live_in_the_address_and_are_drawn_again(auditor: Client, noted: Callable[..., Event]) -> None:
    noted("bank details", outcome="denied")
    page = get(auditor, "/audit/?q=bank&outcome=denied&span=7d")

    assert re.search(r'name="q"[^>]*value="bank"', page)
    assert re.search(r'value="denied" checked', page)
    assert "Drop filter Outcome: denied" in page
    assert 'href="/audit/?q=bank&amp;span=7d"' in page
    assert re.search(r'is-on"[^>]*aria-current="true">7 days', page)


def test_nothing_found_offers_to_drop_single_filters(auditor: Client, noted: Callable[..., Event]) -> None:
    noted()
    page = get(auditor, "/audit/?q=unheard-of&outcome=denied")

    assert "No event fits all of these filters" in page
    assert "Drop <b>Text: unheard-of</b>" in page
    assert "Drop <b>Outcome: denied</b>" in page


def test_the_panel_shows_facts_payload_causes_and_place(auditor: Client, noted: Callable[..., Event]) -> None:
    run = uuid4()
    cause = noted("first", run_id=run)
    event = noted('{"amount":"1610.00","due":"2026-12-07"}', cause=f"{cause.stream}/{cause.seq}", run_id=run)
    noted()

    page = get(auditor, f"/audit/?event={event.stream}/{event.seq}")

    assert "&quot;amount&quot;: &quot;1610.00&quot;" in page
    assert event.leaf in page
    assert cause.leaf in page  # the previous hash
    assert "What led to it" in page
    assert f'href="/audit/events/config:Probe/{cause.seq}/"' in page
    assert f"?run={run}" in page
    assert f'href="/audit/events/config:Probe/{event.seq + 1}/"' in page


def test_an_erased_payload_stays_in_place(auditor: Client, noted: Callable[..., Event]) -> None:
    event = noted("a name that must go")
    Payload.objects.filter(stream=event.stream).update(body="", salt="", erased_at=clock.now())

    page = get(auditor, f"/audit/events/{event.stream}/{event.seq}/")

    assert "Erased" in page
    assert "commitment still proves" in page
    assert "a name that must go" not in page


@pytest.mark.parametrize("url", ["/audit/?event={place}", "/audit/events/{place}/", "/audit/events/{place}/panel/"])
def test_what_agents_and_people_wrote_is_never_markup(auditor: Client, noted: Callable[..., Event], url: str) -> None:
    event = noted(HOSTILE, code=HOSTILE, agent="<b>x", step="<i>", capability="<u>", actor=agent_actor(uuid4()), cause="<s>:1")

    page = get(auditor, url.format(place=f"{event.stream}/{event.seq}"))

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<b>x" not in page.replace("<b>&lt;b&gt;x", "")
    assert "<s>:1" not in page


def test_pages_hold_no_inline_script_style_or_handler(auditor: Client, noted: Callable[..., Event]) -> None:
    event = noted("x")
    for url in (f"/audit/?event={event.stream}/{event.seq}", "/audit/?q=nothing-at-all", reverse("audit:verify")):
        main = get(auditor, url).partition("<main")[2].partition("</main>")[0]
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", main)


def test_an_event_of_others_looks_like_an_unknown_one(
    noted: Callable[..., Event], olivia: User, browser_of: Callable[..., Client]
) -> None:
    event = noted("not for olivia")
    client = browser_of(olivia)

    for suffix in ("", "panel/"):
        hidden = client.get(f"/audit/events/{event.stream}/{event.seq}/{suffix}")
        unknown = client.get(f"/audit/events/{event.stream}/{event.seq + 40}/{suffix}")
        assert hidden.status_code == unknown.status_code == 404
        assert "not for olivia" not in hidden.content.decode()
    assert "not for olivia" not in get(client, f"/audit/?event={event.stream}/{event.seq}&span=all")


@pytest.mark.parametrize("event", ["", "x", "x/", "/1", "config:Probe/99999999999999", "config:Probe/-1", "config:Probe/²"])
def test_a_broken_event_in_the_address_opens_nothing(auditor: Client, event: str) -> None:
    assert 'id="au-panel" aria-label="The chosen event" data-closed="/audit/" hidden' in get(auditor, f"/audit/?event={event}")


def test_a_search_is_recorded_once_and_a_poll_of_the_panel_is_not(auditor: Client, noted: Callable[..., Event]) -> None:
    event = noted()
    for _ in range(2):
        get(auditor, "/audit/?q=invoice")
        get(auditor, "/audit/")
        get(auditor, f"/audit/events/{event.stream}/{event.seq}/panel/")

    assert Event.objects.filter(type="audit.searched").count() == 1


def test_the_number_of_queries_does_not_grow_with_the_rows(auditor: Client, noted: Callable[..., Event], person: Any) -> None:
    def queries() -> list[str]:
        caught_up()
        with CaptureQueriesContext(connection) as captured:
            assert auditor.get("/audit/?span=7d").status_code == 200
        return [query["sql"] for query in captured]

    noted("one", run_id=uuid4())
    queries()
    few = len(queries())
    for number in range(20):
        noted(
            f"reason {number}",
            run_id=uuid4(),
            stream=f"config:P{number}",
            actor=user_actor(person(f"p{number}").pk, auth="session"),
        )

    assert len(queries()) == few
    assert few <= 52


def test_older_events_are_one_link_away(auditor: Client, noted: Callable[..., Event]) -> None:
    for number in range(60):
        noted(code=f"code-{number:02}")
    page = get(auditor, "/audit/?type=probe.noted")
    older = re.search(r'href="([^"]*before=\d+)" rel="next"', page)

    assert older is not None
    second = get(auditor, older[1].replace("&amp;", "&"))
    assert "code-59" in page
    assert "code-09" not in page
    assert "code-09" in second
    assert "code-10" not in second
    assert "These are all of them." in second


def test_the_badge_follows_the_last_verification_of_everything(auditor: Client, noted: Callable[..., Event]) -> None:
    assert "Not verified yet" in get(auditor, "/audit/")
    event = noted()
    auditor.post(reverse("audit:verify"))
    assert 'data-state="good"' in get(auditor, "/audit/")

    with lifted():
        Event.objects.filter(pk=event.pk).update(outcome="forged")
    auditor.post(reverse("audit:verify"), {"stream": "access:0"})
    assert 'data-state="good"' in get(auditor, "/audit/")  # one stream says nothing about the rest
    auditor.post(reverse("audit:verify"))
    page = get(auditor, "/audit/")
    assert 'data-state="broken"' in page
    assert f"{event.stream}#{event.seq}" in page
    assert "column outcome" in get(auditor, reverse("audit:verify"))


def test_verifying_is_a_post_and_recorded_with_its_actor(auditor: Client, noted: Callable[..., Event], quinn: User) -> None:
    noted()
    get(auditor, reverse("audit:verify"))
    assert not Verification.objects.exists()

    assert auditor.post(reverse("audit:verify")).status_code == 302

    event = Event.objects.get(type="journal.verified")
    assert (event.actor_ref, event.outcome) == (str(quinn.pk), "whole")


def test_only_who_may_view_audit_may_verify(sam: User, browser_of: Callable[..., Client], noted: Callable[..., Event]) -> None:
    client = browser_of(sam)

    assert client.get(reverse("audit:verify")).status_code == 404
    assert client.post(reverse("audit:verify")).status_code == 404
    assert not Verification.objects.exists()
    assert reverse("audit:verify") not in get(client, "/audit/")


def test_strangers_are_sent_to_sign_in(noted: Callable[..., Event]) -> None:
    event = noted("secret")
    for url in (
        "/audit/",
        f"/audit/events/{event.stream}/{event.seq}/",
        f"/audit/events/{event.stream}/{event.seq}/panel/",
        "/audit/verify/",
    ):
        response = Client().get(url)
        assert response.status_code == 302
        assert "/login/" in response["Location"]


def test_a_search_that_cannot_be_meant_names_the_field(auditor: Client) -> None:
    assert "write it like 2026-11-23T07:00" in get(auditor, "/audit/?from=yesterday", 422)


@pytest.mark.parametrize(
    "query",
    ["from=0001-01-01T00:00:00%2B14:00", "to=9999-12-31T23:59:59-14:00", "from=2026-11-23T07:00:00%2B99:00", "to=10000-01-01"],
)
def test_a_moment_that_utc_has_no_year_for_is_no_moment(auditor: Client, query: str) -> None:
    assert "write it like 2026-11-23T07:00" in get(auditor, f"/audit/?{query}", 422)


def test_the_first_and_the_last_moment_are_moments(auditor: Client) -> None:
    get(auditor, "/audit/?from=0001-01-01T00:00:00&to=9999-12-31T23:59:59Z")


def test_the_panel_tells_what_an_event_changed(auditor: Client, noted: Callable[..., Event]) -> None:
    event = Event.objects.filter(type="access.group_joined").latest("id")
    address = f"/audit/events/{event.stream}/{event.seq}/panel/"

    page = get(auditor, address)

    assert '<h3 id="au-changed">What changed</h3>' in page
    assert re.search(r"Member of[\s\S]*?<ins class=\"ag-ins\">[^<]+</ins>", page)
    other = noted()
    assert "au-changed" not in get(auditor, f"/audit/events/{other.stream}/{other.seq}/panel/")
