"""An auditor is asked "who changed invoice 2042, and why?": from the question to evidence that verifies by itself."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.desk import decide, run_of
from tests.browser.house import BUILD, House
from tests.browser.test_the_audit import listed

pytestmark = pytest.mark.browser

WHY = "As agreed on the phone"
CLICKS = 10


class Hand:
    """Counts what the auditor presses: clicks, and Enter."""

    def __init__(self) -> None:
        self.count = 0

    def click(self, what: Locator) -> None:
        self.count += 1
        what.click()

    def enter(self, page: Page) -> None:
        self.count += 1
        page.keyboard.press("Enter")


def changed(house: House) -> str:
    """The run that changed the invoice, with the controller's yes; found as it is where another test said yes."""
    run = run_of(house, "felix", "IC-102")
    house.wait_for_status("felix", run, "waiting_decision", "completed")
    if house.status("felix", run) != "completed":
        decide(house.page_of("felix"), "INV-2042", "Approve", WHY)
        house.wait_for_status("felix", run, "completed")
    return run


def test_from_who_changed_it_and_why_to_the_verified_evidence(house: House, tmp_path: Path) -> None:
    run = changed(house)
    page, hand = house.page_of("quinn"), Hand()
    listed(page, "/audit/?span=all&q=INV-2042+approved")
    page.goto("/")

    hand.click(page.locator(".ag-side").get_by_role("link", name="Audit"))
    page.locator("[data-q], input[name=q]").first.fill("INV-2042 approved")
    hand.enter(page)
    hand.click(page.locator(".au-row", has_text="Felix").first)
    panel = page.locator("#au-panel")
    expect(panel).to_contain_text("Felix")
    expect(panel).to_contain_text(WHY)
    page.screenshot(path=BUILD / "auditor-why.png")
    hand.click(panel.get_by_role("link", name="All events of this run"))
    hand.click(page.locator(".au-row", has_text="is done: posted").first)
    hand.click(panel.get_by_role("link", name="Open RUN-"))
    expect(page).to_have_url(f"{house.url}/runs/{run}/")
    page.screenshot(path=BUILD / "auditor-run.png")
    with page.expect_download() as waiting:
        hand.click(page.get_by_role("link", name="Evidence"))

    assert hand.count < CLICKS
    with zipfile.ZipFile(waiting.value.path()) as bundle:
        bundle.extractall(tmp_path)
    script = next(tmp_path.rglob("verify.py"))
    said = subprocess.run(
        [sys.executable, "-I", script], cwd=script.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert WHY in "".join(path.read_text() for path in script.parent.rglob("*.html"))
