"""A working morning by keyboard alone, on a portal with its real pages and engine: thirty requests, and a change of the matrix.

No mouse is used: every step is a key. The morning holds whatever the inbox can do: an approval, a rejection with its reason, a
claim, several decided together with one taken out, an edit that somebody else decides, and what a key must not do. The change
goes the whole way: proposed in the grid, read in words, approved by two others, applied, explained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.identity.models import User
from approvals.models import ApprovalRequest, ChangeSet, Decision
from audit import journal
from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine.models import Run
from orchestration.records import store
from tests.browser.axe import LOOKS, faults_of, overflow_of, put_on, small_targets_of
from tests.browser.house import DESK, LOUD
from tests.conftest import PASSWORD
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
def sit_down(chromium: Browser, live_server, browser_of: Callable[..., Client]) -> Iterator[Callable[[User | None], Page]]:
    """A browser of somebody who has signed in, or of nobody yet. Whatever it complains about fails the test."""
    faults: list[str] = []
    contexts = []

    def sit(who: User | None) -> Page:
        context = chromium.new_context(base_url=live_server.url, viewport=DESK, reduced_motion="reduce")
        context.add_init_script(LOUD)
        if who is not None:
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
    page.wait_for_load_state()  # a key pressed before the scripts run is lost
    return here


def status_of(request_id: str) -> str:
    return ApprovalRequest.objects.get(pk=request_id).status


def test_thirty_requests_are_decided_by_keyboard_alone(
    pending: list[ApprovalRequest], sam: User, sit_down: Callable[[User | None], Page]
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
    page.wait_for_load_state()
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
    page.wait_for_load_state()
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


WHY = "The clerk keeps the notes of the morning by itself"
ASKED = ("agent:clerk", "note.write", "N-1")


@pytest.fixture
def matrix(person: Callable[..., User], ada: User, sam: User) -> None:
    """A matrix whose clerk has no cell for `note.write`, of high risk; the leads approve what is guarded, two of them."""
    person("mia", "Support leads")
    docs = house.documents()
    for one in docs:
        match one["kind"], one["metadata"]["name"]:
            case "Capability", _:
                one["spec"] |= {"risk": "high", "parameters": PARAMETERS}
                low = {**one["spec"], "risk": "low", "resource": "memo"}
            case "Role", "clerk":
                one["spec"]["grants"] = [{"capability": "memo.write", "effect": "allow"}]
    stages = [{"groups": ["Admins", "Support leads"], "quorum": 2}]
    policy = {"stages": stages, "deadline": "3d", "reason": "always", "risk": "high"}
    house.bootstrap(
        [*docs, house.document("Capability", "memo.write", low), house.document("ApprovalPolicy", "config-change", policy)]
    )


def tab_to(page: Page, selector: str) -> None:
    """Tab until the focus is there: whoever has no mouse gets there, too."""
    for _ in range(80):
        keys(page, "Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")


def explained(page: Page) -> str:
    """What the page answers to "may the clerk write note N-1 now, and why"."""
    page.goto("/matrix/")
    tab_to(page, "[name=who]")
    for word in ASKED:
        page.keyboard.type(word)
        keys(page, "Tab")
    keys(page, "Enter")
    expect(page.locator("#answer")).to_be_focused()
    return page.locator("#answer").inner_text()


def why_of(event: Event) -> Json:
    return canonical.parse(journal.payload(event.stream, event.seq, "reason") or b"null")


def approve_by_link(page: Page, who: str, request: ApprovalRequest, reason: str) -> None:
    """Sign in on the way to the request, read the change, and approve it: what is of high risk has its subject typed."""
    page.goto(f"/approvals/{request.pk}/")
    expect(page.locator("[name=username]")).to_be_focused()
    page.keyboard.type(who)
    tab_to(page, "[name=password]")
    page.keyboard.type(PASSWORD)
    keys(page, "Enter")
    expect(page.locator(f".ib-detail[data-for='{request.pk}']")).to_contain_text("note.write")
    expect(page.locator(".ib-detail")).to_contain_text(WHY)
    page.wait_for_load_state()  # a key pressed before the scripts run is lost
    keys(page, "a")
    expect(page.locator("#reason-approve")).to_be_focused()
    page.keyboard.type(reason)
    tab_to(page, "#typed-approve")
    page.keyboard.type(page.locator("#typed-approve").get_attribute("data-must") or "")
    keys(page, "Tab", "Enter")
    expect(page.locator(".ag-messages")).to_contain_text("Approved:")


def test_a_change_of_the_matrix_is_proposed_reviewed_approved_applied_and_explained_by_keyboard(
    matrix: None, ada: User, sam: User, sit_down: Callable[[User | None], Page]
) -> None:
    desk = sit_down(ada)
    assert "No. No role of clerk grants note.write." in explained(desk)

    # The cell: arrows, Space.
    desk.goto("/matrix/")
    tab_to(desk, ".mx-cell")
    keys(desk, "Control+Home", "ArrowDown")
    cell = desk.locator("tr[data-capability='note.write'] td[data-role=clerk] .mx-cell")
    expect(cell).to_be_focused()
    keys(desk, "Space")
    expect(desk.locator("#mx-unsaved")).to_have_text("1 change")
    expect(cell).to_contain_text("allow")
    tab_to(desk, "a[href='/matrix/review/']")
    keys(desk, "Enter")

    # The review, in words.
    expect(desk.get_by_role("heading", name="Review changes")).to_be_visible()
    expect(desk.locator(".mx-review")).to_contain_text("clerk may note.write without asking.")
    expect(desk.locator(".mx-review")).to_contain_text("Two others must approve this")
    look(desk, "matrix-review")
    tab_to(desk, "#mx-reason")
    desk.keyboard.type(WHY)
    tab_to(desk, "button[value=apply]")
    keys(desk, "Enter")
    expect(desk.locator(".ag-messages")).to_contain_text("others decide")
    request = ApprovalRequest.objects.get()
    change = ChangeSet.objects.get(pk=request.pk)
    expect(desk.locator("#eligibility")).to_contain_text("you proposed this change")

    # Two others, each in a browser of their own; after the first nothing has changed.
    votes = {"sam": "the clerk was right all week", "mia": "I have read his notes as well"}
    approve_by_link(sit_down(None), "sam", request, votes["sam"])
    change.refresh_from_db()
    assert change.status == ChangeSet.Status.PROPOSED
    assert "No. No role of clerk grants note.write." in explained(desk)
    approve_by_link(sit_down(None), "mia", request, votes["mia"])
    change.refresh_from_db()
    assert change.status == ChangeSet.Status.APPLIED

    answer = explained(desk)
    assert "Yes, without a vote. Role clerk allows note.write." in answer
    assert "clerk/note.write" in answer  # the grant, by its name

    # The journal: who, why, who approved.
    decided = Event.objects.filter(stream=f"request:{request.pk}", type="decision.made").order_by("seq")
    assert [(one.actor_ref, why_of(one)) for one in decided] == [
        (str(User.objects.get(username=name).pk), reason) for name, reason in votes.items()
    ]
    proposed = Event.objects.get(type="config.proposed")
    applied = Event.objects.filter(stream="config:Role", type="config.applied").latest("seq")
    assert [(one.actor_ref, why_of(one)) for one in (proposed, applied)] == [(str(ada.pk), WHY)] * 2
    assert canonical.parse(applied.line)["cause"].startswith(f"request:{request.pk}/")
