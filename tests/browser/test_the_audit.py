"""The audit in a browser: time narrowed by mouse and by keys, a facet, the panel, an export equal to the list; axe."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House
from tests.browser.test_accessibility import DIAGONAL, Scene, faults_in

pytestmark = pytest.mark.browser


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


def listed(page: Page, address: str) -> None:
    """The search follows the journal: at most a few seconds behind."""
    page.goto(address)
    for _ in range(40):
        if page.locator(".au-row").count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError("nothing is listed")


def test_time_is_narrowed_by_dragging_over_the_histogram(house: House) -> None:
    page = house.page_of("quinn")
    listed(page, "/audit/?span=24h&event=x")
    box = page.locator("#au-hist").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 30)
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 30, steps=4)
    expect(page.locator("#au-hint")).to_contain_text("From ")
    with page.expect_navigation():
        page.mouse.up()

    assert set(asked(page)) == {"from"}  # to the end: open
    expect(page.locator(".au-count .ag-chip", has_text="From:")).to_be_visible()


def test_time_is_narrowed_by_keys_alone(house: House) -> None:
    page = house.page_of("quinn")
    listed(page, "/audit/?span=24h")
    page.locator(".h-slot").last.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".h-slot.is-chosen")).to_have_count(3)
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert set(asked(page)) == {"from", "to"}
    assert asked(page)["from"][0] < asked(page)["to"][0]


def test_a_facet_narrows_to_as_many_events_as_it_said(house: House) -> None:
    page = house.page_of("quinn")
    listed(page, "/audit/?span=7d")
    box = page.locator("input[name=outcome]").first
    number = "".join(sign for sign in box.locator("xpath=..").locator(".ag-num").inner_text() if sign.isdigit())
    with page.expect_navigation():
        box.check()

    assert "outcome" in asked(page)
    shown = "".join(sign for sign in page.locator(".au-count h2").inner_text() if sign.isdigit())
    assert int(shown) >= int(number)  # the house works on while we look


def test_an_export_holds_what_the_list_shows_in_its_order(house: House, tmp_path: Path) -> None:
    page = house.page_of("quinn")
    listed(page, "/audit/?span=all&type=run.submitted")
    page.locator(".ag-menu summary", has_text="Export").click()
    with page.expect_download() as waiting:
        page.locator("[data-export=jsonl]").click()
    rows = [json.loads(line) for line in Path(waiting.value.path()).read_text().splitlines()]

    shown = [int("".join(sign for sign in text if sign.isdigit())) for text in page.locator(".au-time small").all_inner_texts()]
    assert [row["position"] for row in rows][: len(shown)] == shown
    assert {row["type"] for row in rows} == {"run.submitted"}


def test_what_nothing_fits_offers_each_filter_with_what_it_would_give(house: House) -> None:
    page = house.page_of("quinn")
    listed(page, "/audit/?span=all&type=run.submitted")
    # No text: the search is an event itself, and its own words would find it as soon as it is followed.
    page.goto("/audit/?span=all&type=run.submitted&outcome=nosuch")

    lines = page.locator(".au-drop li")
    expect(lines).to_have_count(2)
    expect(lines.filter(has_text="nosuch")).to_contain_text("event")
    expect(lines.filter(has_text="Event: run.submitted")).to_contain_text("still none")


def test_axe_finds_nothing_on_the_audit(house: House) -> None:
    page = house.page_of("quinn")
    listed(page, "/audit/?span=24h")

    def opened(page: Page) -> None:
        page.locator(".au-row").first.click()
        page.wait_for_selector("#au-pt")

    scenes = [
        Scene("audit-day", "/audit/?span=24h", looks=DIAGONAL),
        Scene("audit-day-panel", "/audit/?span=24h", opened),
        Scene("audit-none", "/audit/?q=nosuchword&type=run.submitted", looks=DIAGONAL),
    ]
    assert faults_in(page, scenes) == ""
    if folder := os.environ.get("AEGIS_SHOTS"):
        for name, width, scheme in (("light", 1440, "light"), ("dark", 1440, "dark"), ("phone", 390, "light")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto("/audit/?span=24h")
            if width > 1000:
                opened(page)
            page.screenshot(path=f"{folder}/audit-{name}.png")
