"""A working morning at the inbox: thirty requests decided by keyboard alone, on a portal with its real pages and engine.

No mouse is used: every step is a key. The morning holds whatever the inbox can do: an approval, a rejection with its reason, a
claim, several decided together with one taken out, an edit that somebody else decides, and what a key must not do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from aegis.identity.models import User
from approvals.models import ApprovalRequest, Decision
from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from orchestration.records import store
from tests.browser.axe import LOOKS, faults_of, overflow_of, put_on, small_targets_of
from tests.browser.house import DESK, LOUD
from tests.engine import house

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

REQUESTS = 30
PARAMETERS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {"type": "string", "maxLength": 60}},
}


@pytest.fixture
def pending(person: Callable[..., User], ada: User, sam: User, monkeypatch: pytest.MonkeyPatch) -> list[ApprovalRequest]:
    """Zoe's runs, each of which waits for one of the leads; leads may write notes themselves."""
    person("mia", "Support leads")
    docs = house.documents(effect="gate")
    grant = {"capability": "note.write", "effect": "gate", "policy": "leads"}
    for one in docs:
        match one["kind"], one["metadata"]["name"]:
            case "Capability", _:
                one["spec"]["parameters"] = PARAMETERS
            case "Role", "Support leads":
                one["spec"]["grants"] = [grant]
    house.bootstrap(docs)
    zoe, runs = person("zoe", "Support leads"), []
    for number in range(REQUESTS):
        note = {**house.NOTE, "resource": {"type": "note", "id": f"N-{number:02}"}}
        monkeypatch.setattr(house, "answers", {"write": Done({"note": note}, confidence=0.9)})
        runs.append(house.submit(zoe, {"id": f"n-{number:02}"}))
        house.drive(runs[-1])
    return [house.request_of(run) for run in runs]


@pytest.fixture
def sit_down(chromium: Browser, live_server, browser_of: Callable[..., Client]) -> Iterator[Callable[[User], Page]]:
    """A browser of somebody who has signed in. Whatever it complains about fails the test."""
    faults: list[str] = []
    contexts = []

    def sit(who: User) -> Page:
        context = chromium.new_context(base_url=live_server.url, viewport=DESK, reduced_motion="reduce")
        context.add_init_script(LOUD)
        cookie = next(iter(browser_of(who).cookies.values()))
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": live_server.url}])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        return page

    yield sit
    for context in contexts:
        context.close()
    assert faults == []


def look(page: Page, name: str) -> None:
    faults = []
    for one in (LOOKS[0], LOOKS[2]):
        put_on(page, one)
        faults += [*faults_of(page, one), *overflow_of(page), *small_targets_of(page)]
    put_on(page, LOOKS[0])
    assert faults == [], name


def keys(page: Page, *pressed: str) -> None:
    for key in pressed:
        page.keyboard.press(key)


def opened(page: Page) -> str:
    """The id of the request beside the list."""
    expect(page.locator("#ib-pane")).not_to_have_attribute("inert", "")
    return page.locator(".ib-detail").get_attribute("data-for") or ""


def decide(page: Page, key: str, reason: str) -> str:
    """The form of `key`, the reason, and Enter on the button that names the act; the next request opens."""
    here = opened(page)
    keys(page, key)
    expect(page.locator(".ib-form:not([hidden]) [data-reason]")).to_be_focused()
    page.keyboard.type(reason)
    keys(page, "Tab", "Enter")
    expect(page.locator(".ag-messages")).to_contain_text("Approved:" if key == "a" else "Rejected:")
    return here


def status_of(request_id: str) -> str:
    return ApprovalRequest.objects.get(pk=request_id).status


def test_thirty_requests_are_decided_by_keyboard_alone(
    pending: list[ApprovalRequest], sam: User, sit_down: Callable[[User], Page]
) -> None:
    page = sit_down(sam)
    page.goto("/approvals/")
    expect(page.locator("[data-row]")).to_have_count(REQUESTS)
    look(page, "morning-list")

    first = decide(page, "a", "fine")
    assert status_of(first) == "approved"

    # A claim, seen at once, and let go by deciding.
    claimed = opened(page)
    keys(page, "t")
    expect(page.locator(".ib-detail")).to_contain_text("Sam took it")
    assert ApprovalRequest.objects.get(pk=claimed).claimed_by == sam
    rejected = decide(page, "r", "the customer changed their mind")
    assert (rejected, status_of(rejected)) == (claimed, "rejected")
    made = Decision.objects.get(request=rejected)
    assert made.seconds_open is not None

    # An edit: another text, checked, for somebody else to decide.
    edited = opened(page)
    keys(page, "e")
    expect(page.locator("#f-text")).to_be_focused()
    keys(page, "Control+a")
    page.keyboard.type("good morning")
    look(page, "morning-edit")
    page.locator("#f-text").focus()
    keys(page, "Tab")
    page.keyboard.type("friendlier")
    keys(page, "Tab", "Enter")
    expect(page.locator(".ag-messages")).to_contain_text("Somebody else decides")
    expect(page.locator("#eligibility")).to_contain_text("You cannot decide this")
    expect(page.locator("[data-row]")).to_have_count(REQUESTS - 3)

    # Ten together, one of them taken out on the page that shows what each changes.
    keys(page, "j")
    for _ in range(10):
        here = page.locator("[data-row][aria-current=true]").get_attribute("data-row") or ""
        keys(page, "x")
        expect(page.locator(f"[data-pick][value='{here}']")).to_be_checked()
        keys(page, "j")
        expect(page.locator(f"[data-row='{here}']")).not_to_have_attribute("aria-current", "true")
    expect(page.locator("[data-picked]")).to_have_text("10 selected")
    page.locator("#ib-together button[type=submit]").focus()
    keys(page, "Enter")
    expect(page.locator("[name=pick]")).to_have_count(10)
    look(page, "morning-together")
    vetoed = page.locator("[name=pick]").nth(3)
    spared = vetoed.get_attribute("value") or ""
    vetoed.focus()
    keys(page, "Space")
    page.locator("#together-reason").focus()
    page.keyboard.type("all as agreed")
    keys(page, "Tab", "Enter")
    expect(page.locator(".ag-messages")).to_contain_text("9 requests")
    assert status_of(spared) == "open"

    # The rest one by one; the last says that it was the last.
    rest = REQUESTS - 3 - 9
    expect(page.locator("[data-row]")).to_have_count(rest)
    expect(page.locator("#question")).to_be_visible()
    for number in range(rest):
        decide(page, "r" if number % 5 == 4 else "a", f"looked at, number {number}")
    expect(page.locator(".ag-messages")).to_contain_text("That was the last one you can decide.")
    assert Decision.objects.filter(person=sam).count() == REQUESTS - 1
    assert ApprovalRequest.objects.filter(status="open").count() == 1

    # And what sam wrote, mia decides.
    mia = sit_down(User.objects.get(username="mia"))
    mia.goto("/approvals/")
    expect(mia.locator("#question")).to_be_visible()
    expect(mia.locator(".ib-detail")).to_contain_text("Edited by Sam")
    look(mia, "morning-edited")
    assert decide(mia, "a", "better indeed") == edited
    request = ApprovalRequest.objects.get(pk=edited)
    found = Run.objects.get(pk=request.run_id)
    house.drive(found)
    assert found.status == Run.Status.COMPLETED
    proposal = Event.objects.filter(stream=found.stream, type="step.edited")
    assert proposal.count() == 1
    assert "good morning" in [body[1]["text"] for number in range(REQUESTS) if (body := store.read("note", f"N-{number:02}"))]
