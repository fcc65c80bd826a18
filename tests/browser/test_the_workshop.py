"""What is changed and looked into: editor, dry run, comparing releases, the grid of a table, a run and its child."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import LOOKS, faults_of, overflow_of, put_on, small_targets_of
from tests.browser.desk import run_of
from tests.browser.house import BUILD, House
from tests.browser.test_accessibility import thin_out

pytestmark = pytest.mark.browser


@pytest.fixture
def desk(house: House) -> Page:
    return house.page_of("ada")


def look(page: Page, name: str) -> None:
    """axe and the width of the page, light at a desk and dark on a phone."""
    thin_out(page)
    faults = []
    for one in (LOOKS[0], LOOKS[2]):
        put_on(page, one)
        faults += [*faults_of(page, one), *overflow_of(page), *small_targets_of(page)]
        page.screenshot(path=BUILD / f"{name}-{one}.png", full_page=True)
    put_on(page, LOOKS[0])
    assert faults == []


def open_document(page: Page, kind: str, name: str) -> None:
    page.goto(f"/open/{kind}/?name={name}")


def part(page: Page, word: str) -> None:
    page.locator(".ag-doc-tabs").get_by_role("link", name=word).click()


def test_a_finding_is_mended_in_the_editor_and_the_releases_are_compared(house: House, desk: Page) -> None:
    open_document(desk, "Workflow", "qa-release")
    part(desk, "Edit")
    text = desk.locator("#document-text")
    sound = text.input_value()

    text.fill(sound.replace("agent: qa-runner", "agent: qa-runer", 1))
    expect(desk.locator("#document-faults")).to_contain_text("did you mean qa-runner")
    look(desk, "editor-finding")
    text.fill(sound.replace("title: Released", "title: Released to all", 1))
    expect(desk.locator("#document-state")).to_contain_text("checked, no fault")
    desk.locator("#document-reason").fill("The old title did not say to whom")
    desk.get_by_role("button", name="Apply").click()
    expect(desk.locator(".ag-title__sub")).to_contain_text("version 2")

    run = house.start(
        "rosa", "qa-release", {"id": house.named("qa-second"), "product": "checkout", "build": "r2", "suite": "checkout"}
    )
    house.wait_for_status("rosa", run, "completed")
    open_document(desk, "Workflow", "qa-release")
    look(desk, "workflow-versions")
    desk.get_by_role("button", name="Show what differs").click()
    expect(desk.get_by_role("heading", name="Version 2 since version 1")).to_be_visible()
    expect(desk.locator("main")).to_contain_text("Released to all")
    look(desk, "compare")


def test_a_sample_is_tried_by_who_may_start_and_offered_to_nobody_else(house: House, desk: Page) -> None:
    open_document(desk, "Workflow", "qa-release")
    expect(desk.locator(".ag-doc-tabs")).not_to_contain_text("Try")

    page = house.page_of("rosa")
    open_document(page, "Workflow", "qa-release")
    part(page, "Try")
    page.get_by_role("link", name="a clean build goes out by itself").click()
    page.get_by_role("button", name="Try it").click()

    expect(page.locator("#result")).to_contain_text("completed")
    look(page, "tried")


def test_a_row_that_breaks_a_test_of_its_table_is_not_applied(house: House, desk: Page) -> None:
    open_document(desk, "RoutingTable", "support-routing")
    stands = desk.locator(".ag-title__sub").inner_text()
    part(desk, "Grid")
    row = desk.locator(".ag-tgrid tr").filter(has=desk.locator('input[value="card_declined"]'))

    row.locator(".ag-tgrid__then input").first.fill("l2")
    expect(desk.locator("#grid-findings")).to_contain_text("fails")
    desk.locator("#grid-reason").fill("Everything to the second line")
    with house.watch.expecting("422", "409"):
        desk.get_by_role("button", name="Apply").click(force=True)
        expect(desk.locator("#grid-findings")).to_contain_text("fails")
        look(desk, "grid-refused")

    open_document(desk, "RoutingTable", "support-routing")
    assert "version" in stands
    expect(desk.locator(".ag-title__sub")).to_have_text(stands, use_inner_text=True)


def test_a_run_leads_to_its_parts_and_each_part_back(house: House) -> None:
    page = house.page_of("mina")
    parent = run_of(house, "mina", "news-steel")
    page.goto(f"/runs/{parent}/")
    look(page, "run-parent")

    page.get_by_role("row").filter(has_text="branch facts").get_by_role("link").click()
    expect(page.locator("#run-live")).to_contain_text("A part of")
    look(page, "run-child")
    page.locator("#run-live").get_by_role("link", name="RUN-").first.click()

    page.wait_for_url(f"**/runs/{parent}/")
