"""What strangers write stays text: the policy has no hole on any page, and nothing that was submitted ever runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.house import House, wait_for

pytestmark = pytest.mark.browser

MARK = "aegisRan"  # what every payload would set, could it run
PAYLOADS = (
    f"<script>window.{MARK}=1</script>",
    f"<img src=x onerror=window.{MARK}=2>",
    f"<svg onload=window.{MARK}=3><circle/></svg>",
    f'<a href="javascript:window.{MARK}=4" id=bait>my invoice</a>',
    f'"><details open ontoggle=window.{MARK}=5>',
    f'<div x-data x-init="window.{MARK}=6" x-html="1">x</div>',
    f'</script></textarea></template><iframe srcdoc="<script>parent.{MARK}=7</script>"></iframe>',
    "{{7*7}} {% debug %} ${7*7} [[7*7]]",
    f"<form action=/logout/><button formaction=javascript:window.{MARK}=8>press</button></form>",
)
TEXT = "Can you still stop the transfer? Please recall the payment. " + " ".join(PAYLOADS)
PAGES = (
    "/", "/approvals/", "/runs/", "/review/", "/dead-letters/", "/audit/", "/audit/verify/", "/matrix/", "/identity/user/",
    "/password_change/",
    "/open/Agent/?name=support-writer", "/open/Workflow/?name=support-intake", "/open/RoutingTable/?name=support-routing",
)  # fmt: skip


@pytest.fixture
def hostile(house: House) -> Iterator[str]:
    """A run, waiting for a decision, whose text, customer and key are hostile; every page of the test is looked over."""
    key = house.named("evil")
    house.page_of("sam").close()
    run = house.submit("sam", id=key, text=TEXT, customer=f"<img src=x onerror=window.{MARK}=10>")
    yield run
    for context in house.contexts.values():
        for page in context.pages:
            assert_nothing_ran(page)


def assert_nothing_ran(page: Page) -> None:
    assert page.evaluate(f"window.{MARK}") is None, page.url
    assert page.locator("#bait, iframe, [onerror], [onload], [x-init], [href^='javascript:']").count() == 0, page.url


def policy_of(response: Response | None) -> dict[str, list[str]]:
    assert response is not None
    text = response.headers.get("content-security-policy", "")
    return {words[0]: words[1:] for words in (part.split() for part in text.split(";")) if words}


def test_the_policy_of_every_page_allows_our_own_files_only(house: House) -> None:
    context = house.new_context()
    stranger = context.new_page()
    house.watch.follow(stranger)
    policies = [policy_of(stranger.goto("/login/"))]
    page = house.page_of("ada")
    policies += [policy_of(page.goto(address)) for address in PAGES]
    with house.watch.expecting("404"):
        policies.append(policy_of(page.goto("/no-such-page/")))
    for policy in policies:
        assert policy["default-src"] == ["'none'"]
        assert policy["script-src"] == ["'self'"]
        assert policy["style-src"] == ["'self'"]
        assert policy["base-uri"] == ["'none'"]
        assert policy["frame-ancestors"] == ["'none'"]
        assert not any("unsafe" in word or word == "*" for words in policy.values() for word in words)
    context.close()


def test_hostile_text_stays_text_on_inbox_request_run_and_audit(house: House, hostile: str) -> None:
    wait_for(lambda: house.status("sam", hostile) not in ("running", "waiting_retry"), "the run rests")
    page = house.page_of("olivia")
    page.goto(f"/runs/{hostile}/")
    page.get_by_role("button", name="Open all").click()
    expect(page.locator("#timeline")).to_contain_text(PAYLOADS[0])
    assert_nothing_ran(page)

    page.goto(f"/runs/?q=evil-{house.tag}")
    expect(page.locator(".rl-table tbody")).to_contain_text("evil")
    assert_nothing_ran(page)

    page.goto("/")
    assert_nothing_ran(page)
    page.goto("/audit/?q=onerror")
    assert_nothing_ran(page)
    page.goto(f"/audit/?run={hostile}")
    for row in (0, -1):
        page.locator(".au-row").nth(row).click()
        expect(page.locator("#au-pt")).to_be_focused()
        assert_nothing_ran(page)
    expect(page.locator("#au-panel")).to_contain_text("window.aegisRan")

    page.goto("/approvals/")
    page.locator(".ib-row__link", has_text=f"evil-{house.tag}").click()
    expect(page.locator("#question")).to_contain_text("evil")
    page.get_by_role("button", name="unchanged").click()
    expect(page.locator("#diff")).to_contain_text(PAYLOADS[1])
    expect(page.locator("#diff")).to_contain_text("{{7*7}}")
    for opened in page.locator("details.ib-more summary, #parameters summary").all():
        opened.click()
    assert_nothing_ran(page)


def test_hostile_text_stays_text_in_a_review_item_and_in_what_people_write(house: House) -> None:
    key = house.named("odd")
    house.page_of("sam").close()
    run = house.submit("sam", id=key, text=PAYLOADS[0])
    house.wait_for_status("sam", run, "waiting_review")
    page = house.page_of("olivia")
    page.goto("/review/")
    page.locator(".rv-row__link", has_text=f"odd-{house.tag}").click()
    expect(page.locator("main")).to_contain_text(PAYLOADS[0])
    item = page.url
    page.get_by_text("Cancel the run", exact=True).first.click()
    page.get_by_label("Why?").fill(" ".join(PAYLOADS))
    page.locator("form[action$=cancel\\/]").get_by_role("button").click()
    house.wait_for_status("sam", run, "cancelled")

    for address in (f"/runs/{run}/", f"/audit/?run={run}", item):
        wait_for(lambda address=address: is_shown(page, address), f"{address} shows what was written")
        assert_nothing_ran(page)


def is_shown(page: Page, address: str) -> bool:
    """Does the page show the payload? The search follows the journal, at times a moment later."""
    page.goto(address)
    return page.get_by_text(f"window.{MARK}=1").count() > 0


def test_hostile_search_words_and_addresses_stay_text(house: House) -> None:
    page = house.page_of("quinn")
    for payload in (PAYLOADS[1], PAYLOADS[4], PAYLOADS[7]):
        for address in ("/audit/", "/approvals/", "/runs/", "/orchestration/agent/"):
            page.goto(f"{address}?q={payload.replace('%', '%25').replace('#', '%23').replace('&', '%26')}")
            assert_nothing_ran(page)
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type(PAYLOADS[1])
    page.wait_for_timeout(500)
    assert_nothing_ran(page)


def test_a_hostile_document_is_told_off_in_text(house: House) -> None:
    page = house.page_of("ada")
    page.goto("/orchestration/role/new/")
    page.locator("#document-text").fill(
        json.dumps({"metadata": {"name": PAYLOADS[1], "title": PAYLOADS[0]}, "spec": {PAYLOADS[4]: []}})
    )
    page.locator("#document-reason").fill(PAYLOADS[6])
    with house.watch.expecting("422"):
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_role("heading", name="Faults")).to_be_visible()
    assert PAYLOADS[1] in page.locator("#document-text").input_value()
    assert_nothing_ran(page)
