"""Questions about rights, the permissions page and unused grants in a browser: axe, widths, small targets, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House
from tests.browser.test_the_workshop import look

pytestmark = pytest.mark.browser


@pytest.fixture
def desk(house: House) -> Page:
    """ada at her desk."""
    return house.page_of("ada")


def test_who_can_do_it_and_what_can_it_do(desk: Page) -> None:
    desk.goto("/matrix/")
    desk.get_by_role("link", name="Who can do it?").click()
    desk.get_by_label("Capability").fill("invoice.amend")
    desk.get_by_role("button", name="Show").click()
    expect(desk.locator(".mx-deciders").first).to_be_visible()
    look(desk, "explain-who")
    desk.goto("/matrix/what/?who=person:felix")
    look(desk, "explain-what")


def test_a_person_is_put_into_a_group_with_a_reason(desk: Page) -> None:
    desk.goto("/permissions/")
    look(desk, "permissions")
    desk.goto("/permissions/")  # looking thins lists out
    desk.get_by_role("link", name="Treasury").first.click()
    desk.locator("select[name=person]").select_option("felix")
    desk.locator("form[action='/permissions/join/'] input[name=reason]").fill("stands in for Tara this week")
    desk.get_by_role("button", name="Add", exact=True).click()
    expect(desk.locator("main")).to_contain_text("stands in for Tara this week")
    look(desk, "permissions-group")
    desk.reload()
    desk.get_by_role("link", name="Felix Brandt").first.click()
    look(desk, "permissions-person")
    desk.goto("/permissions/")
    desk.get_by_role("link", name="Admins").first.click()
    expect(desk.locator("main")).to_contain_text("You are in this group")


def test_unused_grants(desk: Page) -> None:
    desk.goto("/matrix/unused/")
    expect(desk.locator("main")).to_contain_text("cells that no verdict rested on since")
    look(desk, "unused")


def test_the_matrix_by_agent_two_compared_and_to_print(desk: Page) -> None:
    desk.goto("/matrix/?by=agent")
    look(desk, "matrix-by-agent")
    desk.goto("/matrix/?compare=invoice-clerk&with=Treasury&differences=on")
    look(desk, "matrix-compared")
    desk.goto("/matrix/print/")
    look(desk, "matrix-to-print")
    desk.goto("/matrix/?by=agent")
    desk.locator(".mx-cell").first.focus()
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("Enter")
    expect(desk.locator("#mx-pop")).to_contain_text("Ask with facts")
