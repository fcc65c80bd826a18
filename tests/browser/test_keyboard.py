"""Keys move and open; no key decides; what was typed is never lost and never taken for a command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.house import House

pytestmark = pytest.mark.browser

HALF = "The customer wrote twice, and"


@pytest.fixture
def inbox(house: House) -> Iterator[Page]:
    """The inbox of olivia with a request open; fails if a decision was sent."""
    page = house.page_of("olivia")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/approvals/")
    expect(page.locator("#question")).to_be_visible()
    yield page
    assert [url for url in sent if "/decide/" in url] == []


@pytest.fixture
def without_single_keys(house: House) -> Iterator[None]:
    """Olivia switches them off in her account menu, and on again afterwards."""

    def switch(label: str) -> None:
        page = house.page_of("olivia")
        page.goto("/")
        page.get_by_label("account menu").click()
        page.get_by_role("button", name=label).click()
        page.wait_for_load_state()
        page.close()

    switch("Single-key shortcuts are on: switch off")
    yield
    switch("Single-key shortcuts are off: switch on")


def current(page: Page) -> str:
    """Which row of the list is the open one."""
    return page.locator("[data-row][aria-current=true]").get_attribute("data-row") or ""


def test_j_and_k_move_and_open_what_they_reach(inbox: Page) -> None:
    rows = [row.get_attribute("data-row") or "" for row in inbox.locator("[data-row]").all()]
    inbox.keyboard.press("j")
    expect(inbox.locator(".ib-detail")).to_have_attribute("data-for", rows[1])
    inbox.keyboard.press("j")
    expect(inbox.locator(".ib-detail")).to_have_attribute("data-for", rows[2])
    inbox.keyboard.press("k")
    expect(inbox.locator(".ib-detail")).to_have_attribute("data-for", rows[1])
    assert current(inbox) == rows[1]
    assert rows[1] in inbox.url

    inbox.keyboard.press("Enter")
    expect(inbox.locator("#question")).to_be_focused()


def test_a_and_r_open_forms_and_escape_closes_them(inbox: Page) -> None:
    for key, kind in (("a", "approve"), ("r", "reject")):
        inbox.keyboard.press(key)
        expect(inbox.locator(f"#reason-{kind}")).to_be_focused()
        assert inbox.locator(".ib-form:visible").count() == 1
        inbox.keyboard.press("Escape")
        expect(inbox.locator(f"#form-{kind}")).to_be_hidden()
        expect(inbox.locator(f"[data-act={kind}]")).to_be_focused()


def test_a_form_opened_while_the_next_request_loads_is_the_next_ones(inbox: Page) -> None:
    rows = [row.get_attribute("data-row") or "" for row in inbox.locator("[data-row]").all()]
    inbox.route("**/approvals/*part=pane*", lambda route: (inbox.wait_for_timeout(600), route.continue_()))
    inbox.keyboard.press("j")
    inbox.keyboard.press("r")
    assert inbox.locator(".ib-form:visible").count() == 0  # not that of the request that is about to go
    inbox.locator("#reason-reject:focus").wait_for()
    assert inbox.locator(".ib-detail").get_attribute("data-for") == rows[1]


def test_the_request_on_screen_takes_no_clicks_while_the_next_one_loads(inbox: Page) -> None:
    pane = inbox.locator("#ib-pane")
    inbox.route("**/approvals/*part=pane*", lambda route: (inbox.wait_for_timeout(600), route.continue_()))
    inbox.keyboard.press("j")
    expect(pane).to_have_attribute("inert", "")
    expect(pane).not_to_have_attribute("inert", "")


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_later_one(inbox: Page) -> None:
    rows = [row.get_attribute("data-row") or "" for row in inbox.locator("[data-row]").all()]
    held: list[Route] = []
    inbox.route(f"**/approvals/{rows[1]}/*part=pane*", lambda route: held.append(route))
    inbox.keyboard.press("j")
    inbox.keyboard.press("j")
    expect(inbox.locator(".ib-detail")).to_have_attribute("data-for", rows[2])
    with inbox.expect_response(lambda answer: rows[1] in answer.url):
        held[0].continue_()
    inbox.wait_for_timeout(300)
    assert inbox.locator(".ib-detail").get_attribute("data-for") == rows[2]
    assert rows[2] in inbox.url


def test_x_selects_and_lets_go_and_what_somebody_else_settled_is_selected_no_more(house: House, inbox: Page) -> None:
    key = house.named("selected")
    run = house.submit("sam", id=key, text="My transfer to the landlord failed twice, please tell me why.")
    expect(inbox.locator("#ib-live")).to_contain_text(key)
    bar, count = inbox.locator("#ib-together"), inbox.locator("[data-picked]")
    expect(bar).to_be_hidden()

    inbox.keyboard.press("x")
    expect(count).to_have_text("1 selected")
    inbox.keyboard.press("x")
    expect(bar).to_be_hidden()

    inbox.keyboard.press("x")
    inbox.locator("li", has_text=key).locator("[data-pick]").check()
    expect(count).to_have_text("2 selected")
    inbox.locator("[data-pick]:checked").first.focus()
    requester = house.page_of("sam")
    requester.goto(f"/runs/{run}/")
    requester.locator("#act-cancel summary").click()
    requester.locator("#cancel-reason").fill("sent twice")
    requester.get_by_role("button", name="Cancel the run").click()
    expect(count).to_have_text("1 selected")
    assert inbox.evaluate("document.activeElement.matches('[data-pick]:checked')")  # the list was drawn anew under the focus

    inbox.locator("[data-unpick]").click()
    expect(bar).to_be_hidden()
    assert inbox.locator("[data-pick]:checked").count() == 0


def test_a_slash_searches_and_a_question_mark_explains(inbox: Page) -> None:
    inbox.keyboard.press("/")
    expect(inbox.get_by_label("Search these requests")).to_be_focused()
    assert inbox.get_by_label("Search these requests").input_value() == ""
    inbox.keyboard.press("Escape")
    inbox.keyboard.press("?")
    expect(inbox.get_by_role("dialog", name="Keys")).to_be_visible()
    inbox.keyboard.press("a")
    assert inbox.locator(".ib-form:visible").count() == 0
    inbox.keyboard.press("Escape")
    expect(inbox.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_typing_in_a_field_triggers_nothing(inbox: Page) -> None:
    before = current(inbox)
    inbox.keyboard.press("a")
    inbox.locator("#reason-approve").press_sequentially("jkar/?")
    assert inbox.locator("#reason-approve").input_value() == "jkar/?"
    assert current(inbox) == before
    assert inbox.locator("#form-reject:visible, dialog[open]").count() == 0


def test_enter_in_the_reason_writes_a_line_and_sends_nothing(inbox: Page) -> None:
    inbox.keyboard.press("r")
    inbox.locator("#reason-reject").press_sequentially("one")
    inbox.keyboard.press("Enter")
    inbox.keyboard.press("Control+Enter")
    inbox.locator("#reason-reject").press_sequentially("two")
    assert inbox.locator("#reason-reject").input_value().startswith("one\n")


def test_single_keys_do_nothing_for_a_person_who_switched_them_off(without_single_keys: None, inbox: Page) -> None:
    before = current(inbox)
    for key in "jkar/?":
        inbox.keyboard.press(key)
    inbox.wait_for_timeout(300)
    assert current(inbox) == before
    assert inbox.locator(".ib-form:visible, dialog[open]").count() == 0
    assert inbox.evaluate("document.activeElement.tagName") not in ("INPUT", "TEXTAREA")

    inbox.keyboard.press("Control+k")  # no single key
    expect(inbox.get_by_role("dialog", name="Search everything")).to_be_visible()


def test_a_half_typed_reason_survives_a_live_refresh_and_a_reload(house: House, inbox: Page) -> None:
    inbox.keyboard.press("j")
    inbox.keyboard.press("r")
    inbox.locator("#reason-reject:focus").wait_for()
    inbox.keyboard.type(HALF)

    key = house.named("meanwhile")
    house.submit("sam", id=key, text="My transfer to the landlord failed twice, please tell me why.")
    expect(inbox.locator("#ib-live")).to_contain_text(key)  # the list was swapped under the reader's hands
    assert inbox.locator("#reason-reject").input_value() == HALF
    expect(inbox.locator("#reason-reject")).to_be_focused()
    inbox.keyboard.type(" more")

    inbox.reload()
    inbox.keyboard.press("r")
    assert inbox.locator("#reason-reject").input_value() == f"{HALF} more"
    inbox.locator("#reason-reject").fill("")


def test_a_reason_belongs_to_its_request(inbox: Page) -> None:
    inbox.keyboard.press("r")
    inbox.locator("#reason-reject").press_sequentially(HALF)
    first = inbox.locator(".ib-detail").get_attribute("data-for") or ""
    inbox.keyboard.press("Escape")
    inbox.keyboard.press("j")
    expect(inbox.locator(".ib-detail")).not_to_have_attribute("data-for", first)
    inbox.keyboard.press("r")
    assert inbox.locator("#reason-reject").input_value() == ""
    inbox.keyboard.press("Escape")
    inbox.keyboard.press("k")
    expect(inbox.locator(".ib-detail")).to_have_attribute("data-for", first)
    inbox.keyboard.press("r")
    assert inbox.locator("#reason-reject").input_value() == HALF
    inbox.locator("#reason-reject").fill("")


def test_the_audit_moves_by_keys_and_opens_by_enter(house: House) -> None:
    page = house.page_of("quinn")
    page.goto("/audit/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".au-row").nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#au-pt")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#au-panel")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_label("Search events")).to_be_focused()
