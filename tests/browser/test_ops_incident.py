"""ops-incident in the browser: mended alone, mended after a yes, left alone after a no, undone; agents that fail or abstain."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import decide, run_of, timeline
from tests.browser.house import BUILD, House

pytestmark = pytest.mark.browser


def rests_as(house: House, key: str, status: str) -> str:
    """The run of a sample of the demo, once it rests so."""
    run = run_of(house, "nils", key)
    house.wait_for_status("nils", run, status)
    return run


def test_a_service_of_staging_was_mended_without_anybody(house: House) -> None:
    run = rests_as(house, "inc-305", "completed")

    expect(timeline(house, "nils", run).locator("#timeline")).to_contain_text("is done: restored")


def test_a_fix_in_production_is_applied_after_a_yes_and_verified(house: House) -> None:
    run = rests_as(house, "inc-301", "waiting_decision")

    decide(house.page_of("nils"), "production:payments", "Approve", "The release before was fine")

    house.wait_for_status("nils", run, "completed")
    page = timeline(house, "nils", run)
    expect(page.locator("#timeline")).to_contain_text("is done: restored")
    page.screenshot(path=BUILD / "ops-incident-restored.png", full_page=True)


def test_a_no_leaves_the_service_alone(house: House) -> None:
    run = rests_as(house, "inc-302", "waiting_decision")

    decide(house.page_of("nils"), "production:checkout", "Reject", "The sale ends in five minutes")

    house.wait_for_status("nils", run, "completed")
    expect(timeline(house, "nils", run).locator("#timeline")).to_contain_text("is done: declined")


def test_a_fix_that_does_not_help_is_seen_undone(house: House) -> None:
    run = rests_as(house, "inc-304", "waiting_decision")

    decide(house.page_of("nils"), "production:mail", "Approve", "More replicas should drain the queue")

    house.wait_for_status("nils", run, "failed")
    page = timeline(house, "nils", run)
    expect(page.locator("#timeline")).to_contain_text("service.restore")
    page.screenshot(path=BUILD / "ops-incident-undone.png", full_page=True)


def test_an_agent_that_failed_and_two_that_abstained_wait_for_a_person(house: House) -> None:
    for key, reason in (("inc-307", "is no text"), ("inc-308", "quite bad"), ("inc-309", "speak as much for")):
        run = rests_as(house, key, "waiting_review")
        expect(timeline(house, "nils", run).locator("#timeline")).to_contain_text(reason)
