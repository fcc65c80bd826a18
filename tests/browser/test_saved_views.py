"""A view is saved, opened, shared and made the first one by keyboard alone; its menu and page have no fault of axe."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House
from tests.browser.test_accessibility import DIAGONAL, Scene, faults_in

pytestmark = pytest.mark.browser


def open_menu(page: Page) -> None:
    page.locator(".sv-menu summary").focus()
    page.keyboard.press("Enter")


def test_a_view_lives_by_the_keyboard(house: House) -> None:
    page = house.page_of("olivia")
    name = f"High risks {house.tag}"
    page.goto("/approvals/?risk=high")
    open_menu(page)
    page.keyboard.press("Tab")
    page.keyboard.type(name)
    page.wait_for_timeout(5_500)  # the list polls meanwhile; what is typed must stay
    expect(page.locator("#sv-name-approvals")).to_have_value(name)
    page.keyboard.press("Enter")
    expect(page.locator(".sv-menu summary")).to_contain_text(name)

    page.goto("/views/")
    first = page.get_by_role("button", name=f"Open this first {name}")
    first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".ag-nav a", has_text="Approvals").first).to_have_attribute("href", "/views/open/approvals/")
    page.locator(".sv-line", has_text=name).locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Keep").press("Enter")
    expect(page.get_by_text(f"“{name}” is shared with")).to_be_visible()
    assert faults_in(page, scenes()) == ""


def test_being_told_of_a_view_of_the_audit_is_a_few_keys_away(house: House) -> None:
    page = house.page_of("quinn")
    name = f"Access {house.tag}"
    page.goto("/audit/?lane=access")
    open_menu(page)
    page.locator("#sv-name-audit").fill(name)
    page.keyboard.press("Enter")
    expect(page.locator(".sv-menu summary")).to_contain_text(name)
    open_menu(page)
    tell = page.get_by_role("button", name=f"Tell me by mail of {name}")
    for _ in range(20):  # past the views that are saved already
        page.keyboard.press("Tab")
        if tell.evaluate("one => one === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"You will be told of “{name}” by mail")).to_be_visible()
    open_menu(page)
    expect(page.get_by_role("button", name=f"Stop telling me of {name}")).to_be_visible()
    told = [
        Scene("audit-views", "/audit/?lane=access", open_menu, looks=DIAGONAL),
        Scene("views-told", "/views/"),
        Scene("notifications-told", "/approvals/notifications/", looks=DIAGONAL),
    ]
    assert faults_in(page, told) == ""


def scenes() -> list[Scene]:
    return [
        Scene("inbox-views", "/approvals/?risk=low", open_menu, is_fixed=True, looks=DIAGONAL),
        Scene("runs-views", "/runs/?status=completed", open_menu, looks=DIAGONAL),
        Scene("reviews-views", "/review/?tab=done", open_menu, looks=DIAGONAL),
        Scene("views", "/views/"),
        Scene("views-change", "/views/", lambda page: page.locator(".sv-line summary").first.click()),
    ]
