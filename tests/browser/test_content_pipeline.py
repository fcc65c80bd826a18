"""content-pipeline in the browser: the briefs of the demo, each to its end: published, declined, or mended by a person."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk import claim, complete, decide, run_of, timeline
from tests.browser.house import BUILD, House

pytestmark = pytest.mark.browser


def test_guides_and_news_without_objections_were_published_by_themselves(house: House) -> None:
    for brief in ("guide-descale", "news-steel"):
        house.wait_for_status("mina", run_of(house, "mina", brief), "completed")

    page = timeline(house, "mina", run_of(house, "mina", "news-steel"))

    expect(page.locator("#timeline")).to_contain_text("is done: published")
    page.screenshot(path=BUILD / "content-pipeline-run.png", full_page=True)


def test_an_editor_says_no_and_the_article_stays_a_draft(house: House) -> None:
    run = run_of(house, "mina", "offer-october")
    house.wait_for_status("mina", run, "waiting_decision")

    decide(house.page_of("mina"), "offer-october", "Reject", "We do not sell it in October")

    house.wait_for_status("mina", run, "completed")
    expect(timeline(house, "mina", run).locator("#timeline")).to_contain_text("is done: declined")


def test_health_claims_go_out_when_an_editor_and_a_reviewer_agree(house: House) -> None:
    run = run_of(house, "mina", "health-oats")
    house.wait_for_status("mina", run, "waiting_decision")

    decide(house.page_of("mina"), "health-oats", "Approve", "Well written, and it promises nothing")
    assert house.status("mina", run) == "waiting_decision"
    decide(house.page_of("hugo"), "health-oats", "Approve", "The claim stands in the register")

    house.wait_for_status("mina", run, "completed")
    expect(timeline(house, "mina", run).locator("#timeline")).to_contain_text("is done: published")


def test_what_the_store_does_not_know_is_said_by_a_person_with_its_source(house: House) -> None:
    run = run_of(house, "mina", "news-weight")
    desk = house.page_of("mina")

    claim(desk, "news-weight")
    desk.get_by_label("Verdict").select_option("supported")
    desk.get_by_label("Where it stands").fill("Scales in the laboratory, 12 October")
    complete(desk, "I have weighed it")

    house.wait_for_status("mina", run, "completed")


def test_personal_data_is_taken_out_by_a_person_before_an_article_goes_out(house: House) -> None:
    run = run_of(house, "mina", "news-customer")
    house.wait_for_status("mina", run, "waiting_review")
    desk = house.page_of("mina")

    claim(desk, "news-customer")
    desk.get_by_label("Text").fill("# A customer writes to us\n\nOne customer has used her kettle every day.\n")
    complete(desk, "Her name and address are nobody's business")

    house.wait_for_status("mina", run, "completed")
    expect(timeline(house, "mina", run).locator("#timeline")).to_contain_text("is done: published")


def test_a_failed_agent_is_in_the_queue_with_its_reason(house: House) -> None:
    run = run_of(house, "mina", "news-winter")

    house.wait_for_status("mina", run, "waiting_review")

    expect(timeline(house, "mina", run).locator("#timeline")).to_contain_text("winter-campaign")
