"""invoice-change in the browser: one controller, two approvers, a no, a ledger that refuses, agents that fail or abstain."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import claim, complete, decide, open_request, run_of, timeline
from tests.browser.house import BUILD, House

pytestmark = pytest.mark.browser


def rests_as(house: House, key: str, status: str) -> str:
    """The run of a sample of the demo, once it rests so."""
    run = run_of(house, "felix", key)
    house.wait_for_status("felix", run, status)
    return run


def test_a_small_change_was_posted_without_anybody(house: House) -> None:
    run = rests_as(house, "IC-101", "completed")

    expect(timeline(house, "felix", run).locator("#timeline")).to_contain_text("is done: posted")


def test_a_controller_allows_a_medium_change(house: House) -> None:
    run = rests_as(house, "IC-102", "waiting_decision")

    decide(house.page_of("felix"), "INV-2042", "Approve", "As agreed on the phone")

    house.wait_for_status("felix", run, "completed")


def test_a_large_change_takes_a_controller_and_then_the_treasury(house: House) -> None:
    run = rests_as(house, "IC-103", "waiting_decision")
    second = house.page_of("tara")
    second.goto("/approvals/")
    expect(second.locator(".ib-row__link", has_text="INV-2044")).to_have_count(0)  # her stage comes second

    decide(house.page_of("felix"), "INV-2044", "Approve", "Delivered, PO-7001")
    assert house.status("felix", run) == "waiting_decision"
    open_request(second, "INV-2044")
    second.screenshot(path=BUILD / "invoice-change-request.png", full_page=True)
    decide(second, "INV-2044", "Approve", "Liquidity is there")

    house.wait_for_status("felix", run, "completed")
    page = timeline(house, "felix", run)
    expect(page.locator("#timeline")).to_contain_text("Tara Owusu")
    expect(page.locator("#timeline")).to_contain_text("is done: posted")


def test_the_treasury_says_no_and_the_invoice_stays_as_it_was(house: House) -> None:
    run = rests_as(house, "IC-104", "waiting_decision")
    decide(house.page_of("felix"), "INV-2045", "Approve", "For the treasury to judge")

    decide(house.page_of("tara"), "INV-2045", "Reject", "Twenty seats were never ordered")

    house.wait_for_status("felix", run, "completed")
    expect(timeline(house, "felix", run).locator("#timeline")).to_contain_text("is done: declined")


def test_a_posting_that_the_ledger_refuses_is_seen_undone(house: House) -> None:
    run = rests_as(house, "IC-106", "failed")

    page = timeline(house, "felix", run)
    expect(page.locator("#timeline")).to_contain_text("invoice.unamend")
    page.screenshot(path=BUILD / "invoice-change-undone.png", full_page=True)


def test_an_agent_that_failed_and_one_that_abstained_wait_and_a_controller_goes_on(house: House) -> None:
    damaged = rests_as(house, "IC-109", "waiting_review")
    rests_as(house, "IC-110", "waiting_review")

    desk = house.page_of("paul")  # had felix answered for the auditor, nobody could decide: he is the only controller
    claim(desk, "IC-109")
    desk.get_by_label("Purchase order").fill("PO-7009")
    complete(desk, "Compared with the paper order: it agrees")

    house.wait_for_status("felix", damaged, "waiting_decision")
