"""qa-release in the browser: a risky build is sent back, tested again and released; where nothing can be said, it waits."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import claim, complete, decide, run_of, timeline
from tests.browser.house import BUILD, House

pytestmark = pytest.mark.browser

RISKY = "checkout-2026.11.1"  # a sample of the demo: it came in by the pipeline, so rosa may decide about it
MOBILE = "mobile-7.2"


def build(house: House, name: str, build: str, **more: str) -> str:
    return house.start("rosa", "qa-release", {"id": house.named(name), "product": "checkout", "build": build, **more})


def test_a_build_with_little_risk_is_released_without_anybody(house: House) -> None:
    run = build(house, "qa-clean", "r2", suite="checkout")

    house.wait_for_status("rosa", run, "completed")

    expect(timeline(house, "rosa", run).locator("#timeline")).to_contain_text("is done: released")


def test_a_build_that_nobody_can_judge_waits_with_its_reason(house: House) -> None:
    silent = build(house, "qa-silent", "b1", report='<testsuites><testsuite name="s"/></testsuites>')
    crashed = build(house, "qa-crash", "r4", suite="checkout")

    house.wait_for_status("rosa", silent, "waiting_review")
    house.wait_for_status("rosa", crashed, "waiting_review")

    expect(timeline(house, "rosa", silent).locator("#timeline")).to_contain_text("holds no tests")
    expect(timeline(house, "rosa", crashed).locator("#timeline")).to_contain_text("killed by signal 6")


def test_a_risky_build_is_sent_back_and_its_next_one_closes_the_tickets(house: House) -> None:
    run = run_of(house, "rosa", RISKY)
    house.wait_for_status("rosa", run, "waiting_decision")
    desk = house.page_of("rosa")

    decide(desk, RISKY, "Reject", "Not with broken payments")
    house.wait_for_status("rosa", run, "waiting_review")
    claim(desk, RISKY)
    desk.get_by_label("Decision").select_option("retest")
    desk.get_by_label("Build to test").fill("r2")
    desk.get_by_label("What was done").fill("The currencies are back")
    complete(desk, "There is another build")

    house.wait_for_status("rosa", run, "completed")
    page = timeline(house, "rosa", run)
    expect(page.locator("#timeline")).to_contain_text("is done: released")
    expect(page.locator("#timeline")).to_contain_text("Rosa Demir")
    page.screenshot(path=BUILD / "qa-release-run.png", full_page=True)


def test_a_manager_lets_a_risky_build_out(house: House) -> None:
    run = run_of(house, "rosa", MOBILE)
    house.wait_for_status("rosa", run, "waiting_decision")

    decide(house.page_of("rosa"), MOBILE, "Approve", "Uploads are known to be slow in this lab")

    house.wait_for_status("rosa", run, "completed")
