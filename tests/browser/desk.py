"""What a person does at the desk, in any workflow: decide a request, take a review item, read a run."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.house import House

LABELS = {"Approve": "Why is this right?", "Reject": "Why not?"}


def open_request(page: Page, about: str) -> str:
    """The request in the inbox that is about this; returns its question without the mark."""
    page.goto("/approvals/")
    page.locator(".ib-row__link", has_text=about).first.click()
    expect(page.locator("#question")).to_contain_text(about)
    return page.locator("#question").inner_text().rstrip("?")


def decide(page: Page, about: str, verdict: str, reason: str) -> None:
    question = open_request(page, about)
    page.get_by_role("button", name=verdict, exact=True).click()
    page.get_by_label(LABELS[verdict]).fill(reason)
    subject = page.locator(f"#typed-{verdict.lower()}")
    if subject.count():  # high risk: what it is about is typed
        subject.fill(subject.get_attribute("data-must") or "")
    page.get_by_role("button", name=f"{verdict}: {question}").click()
    expect(page.locator(".ag-messages")).to_be_visible()


def claim(page: Page, key: str) -> None:
    page.goto("/review/")
    page.locator(".rv-row__link", has_text=key).first.click()
    page.get_by_role("button", name="Claim", exact=True).click()
    expect(page.get_by_text("You have claimed it.")).to_be_visible()


def complete(page: Page, reason: str) -> None:
    page.get_by_label("Reason", exact=True).fill(reason)
    page.get_by_role("button", name="Complete").click()
    expect(page.get_by_role("button", name="Complete")).to_have_count(0)


def run_of(house: House, person: str, key: str) -> str:
    """The id of the newest run about this business key."""
    house.page_of(person).close()
    runs = house.contexts[person].request.get("/api/v1/runs").json()["runs"]
    found: str = next(run["id"] for run in runs if run["business_key"] == key)
    return found


def timeline(house: House, person: str, run: str) -> Page:
    page = house.page_of(person)
    page.goto(f"/runs/{run}/")
    return page
