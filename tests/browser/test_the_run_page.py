"""The page of a run: what is open, typed or looked at outlasts its refresh; links lead to an event, filters are links."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.desk import run_of
from tests.browser.house import House

pytestmark = pytest.mark.browser

NEW = "<li>new</li>" * 3


def refreshed(page: Page) -> None:
    """The next answer to the page's poll brings three rows more, above all others."""

    def changed(route: Route) -> None:
        headers = {name: value for name, value in route.request.headers.items() if name.lower() != "if-none-match"}
        answer = route.fetch(headers=headers)
        route.fulfill(response=answer, body=answer.text().replace('<ol class="rn-evs">', f'<ol class="rn-evs">{NEW}'))

    page.route(re.compile(r"/runs/.*part=live"), changed)
    expect(page.get_by_text("new", exact=True)).to_have_count(3, timeout=15_000)


@pytest.fixture
def page(house: House) -> Page:
    run = run_of(house, "nils", "inc-305")
    house.wait_for_status("nils", run, "completed")
    page = house.page_of("nils")
    page.goto(f"/runs/{run}/")
    return page


def test_a_refresh_closes_no_fold_and_moves_neither_focus_nor_what_is_read(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    row = page.locator(".rn-ev").nth(5)
    row.locator("summary").first.click()
    row.evaluate("row => row.scrollIntoView({ block: 'center' })")
    assert page.evaluate("document.querySelector('#run-live').getBoundingClientRect().top") < 0
    anchor = row.get_attribute("id")
    before = row.bounding_box()

    refreshed(page)

    again = page.locator(f"#{anchor}")
    expect(again.locator("details").first).to_have_attribute("open", "")
    assert page.evaluate("document.activeElement.closest('.rn-ev').id") == anchor
    after = again.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 3


def test_a_link_to_an_event_is_copied_and_leads_there_past_a_filter(page: Page) -> None:
    row = page.locator(".rn-ev").nth(3)
    anchor = row.get_attribute("id") or ""
    row.locator("summary").first.click()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row.get_by_role("button", name="Copy link").first.press("Enter")
    expect(page.locator(".ag-toast")).to_contain_text("Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith(f"#{anchor}")

    page.goto(link.replace("#", "?lane=approvals&agent=nobody#"))

    target = page.locator(f"#{anchor}")
    expect(target.locator("details").first).to_have_attribute("open", "")
    expect(target).to_be_in_viewport()
    assert "nobody" not in page.url


def test_where_the_clipboard_is_refused_a_selection_is_copied(page: Page) -> None:
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    row = page.locator(".rn-ev").nth(3)
    row.locator("summary").first.click()
    button = row.get_by_role("button", name="Copy link").first
    button.press("Enter")
    expect(page.locator(".ag-toast")).to_contain_text("Copied")
    expect(button).to_be_focused()


def test_lanes_and_agents_are_addresses(page: Page) -> None:
    page.get_by_label("Agents", exact=True).get_by_role("link").first.click()
    assert "agent=" in page.url
    rows = page.locator(".rn-ev").count()
    page.get_by_label("Lanes").get_by_role("link", name="agents").click()
    assert "lane=agents" in page.url
    assert "agent=" in page.url
    assert page.locator(".rn-ev").count() <= rows
    page.get_by_role("link", name="Everything").click()
    assert "agent=" not in page.url


def test_a_typed_reason_outlasts_the_refresh_of_its_form(house: House) -> None:
    run = house.submit("olivia", id=house.named("TYPED"), text="my order came broken, please refund 30 dollars")
    page = house.page_of("olivia")
    page.goto(f"/runs/{run}/")
    page.locator("#act-cancel summary").click()
    page.locator("#cancel-reason").fill("The customer took it back, and")
    page.locator("#act-cancel summary").click()
    page.locator("h1").first.click()

    refreshed(page)

    page.locator("#act-cancel summary").click()
    expect(page.locator("#cancel-reason")).to_have_value("The customer took it back, and")
