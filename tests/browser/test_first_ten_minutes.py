"""The first ten minutes of a newcomer, on the running demo: the tour of the README, in a browser, person by person."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.house import House

pytestmark = pytest.mark.browser

FAKE_INVOICE = (
    "The invoice I paid this morning was a fake one, the account belongs to a fraudster. Can the transfer still be stopped?"
)
WORD = "xylophonist"
REJECTED_FOR = "Too cold for somebody who lost money; the quokka template is kinder"


def diff_of(page: Page) -> dict[str, tuple[str, str]]:
    """Field -> what stands in the record, what is proposed; as the open request shows them."""
    rows = page.locator("#diff tbody tr:visible").all()
    cells = [(row.locator("th").inner_text(), row.locator("td").all_inner_texts()) for row in rows]
    return {field: (now.strip(), proposed.strip()) for field, (_, now, proposed) in cells}


def open_from_the_inbox(page: Page, key: str) -> None:
    row = page.locator(".ib-row__link", has_text=f"ticket {key}?")
    row.click()
    expect(page.locator("#question")).to_have_text(f"Reply to a customer: ticket {key}?")


def test_an_operator_sees_work_arrive_approves_it_and_finds_it_by_a_word_of_the_reason(house: House) -> None:
    home = house.sign_in_anew("olivia")
    waiting = home.locator(".hm-sub", has_text="Decisions").locator(".ag-n")
    badge = home.locator("[data-count=approvals]")
    before = int(waiting.inner_text())
    assert before > 0
    expect(badge).to_contain_text(str(before))
    home.evaluate("window.neverReloaded = true")

    key = house.named("tour-1")
    house.arrives(id=key, text=FAKE_INVOICE)
    expect(waiting).to_have_text(str(before + 1))
    expect(badge).to_contain_text(str(before + 1))
    assert home.evaluate("window.neverReloaded")

    watching = house.page_of("olivia")
    watching.goto(f"/runs/?q={key}")
    watching.get_by_role("link", name=key).click()
    status = watching.locator("[data-mirrored=run-tags]")
    expect(status).to_contain_text("Waiting for a decision")
    watching.evaluate("window.neverReloaded = true")

    desk = house.page_of("olivia")
    desk.goto("/approvals/")
    open_from_the_inbox(desk, key)
    shown = diff_of(desk)
    assert shown["Status"] == ("open", "answered")
    assert shown["Reply subject"][0] == "nothing"
    assert key in shown["Reply subject"][1]
    assert "Harbourline Support" in shown["Reply body"][1]
    assert shown["Template"] == ("nothing", "recall_payment/1")
    assert "Text" not in shown  # unchanged fields are folded away
    desk.get_by_role("button", name=re.compile("Show .* unchanged")).click()
    assert FAKE_INVOICE[:60] in diff_of(desk)["Text"][0]
    assert "Support operators" in desk.locator("#eligibility").inner_text()

    desk.get_by_role("button", name="Approve", exact=True).click()
    desk.get_by_label("Why is this right?").fill(f"Kind, and it promises nothing. Checked with the {WORD}.")
    desk.get_by_role("button", name=f"Approve: Reply to a customer: ticket {key}").click()
    expect(desk.locator(".ag-messages")).to_contain_text("The next request is open")
    expect(desk.locator("#question")).not_to_contain_text(key)

    expect(status).to_contain_text("Completed")
    expect(watching.locator("#timeline")).to_contain_text("is done: answered")
    assert watching.evaluate("window.neverReloaded")

    desk.get_by_role("link", name="Audit", exact=True).first.click()
    desk.get_by_label("Search events").fill(WORD)
    desk.get_by_role("button", name="Search", exact=True).click()
    found = desk.locator(".au-row")
    expect(found.first).to_contain_text("Olivia Okafor")
    expect(found.first).to_contain_text(WORD)
    found.first.click()
    expect(desk.locator("#au-panel")).to_contain_text(WORD)
    expect(desk.locator("#au-panel")).to_contain_text("Hash")


def test_a_lead_rejects_and_the_run_ends_along_its_rejected_path(house: House) -> None:
    desk = house.page_of("sam")
    key = house.named("tour-2")
    run = house.submit("olivia", id=key, text=FAKE_INVOICE)
    house.wait_for_status("olivia", run, "waiting_decision")

    desk.goto("/approvals/")
    open_from_the_inbox(desk, key)
    desk.get_by_role("button", name="Reject", exact=True).click()
    desk.get_by_role("button", name=f"Reject: Reply to a customer: ticket {key}").click(force=True)
    expect(desk.locator("#form-reject [data-missing]")).to_have_text("Still missing: a reason")  # nothing was sent
    desk.get_by_label("Why not?").fill(REJECTED_FOR)
    desk.get_by_role("button", name=f"Reject: Reply to a customer: ticket {key}").click()
    expect(desk.locator(".ag-messages")).to_contain_text("Reject")

    house.wait_for_status("olivia", run, "completed")
    desk.goto(f"/runs/{run}/")
    expect(desk.locator("#timeline")).to_contain_text("is done: assigned")
    desk.goto("/approvals/?tab=done")
    expect(desk.locator(".ib-row", has_text=key)).to_contain_text("Rejected by Sam Lindqvist")


def test_nobody_decides_what_they_requested(house: House) -> None:
    key = house.named("tour-own")
    run = house.submit("olivia", id=key, text=FAKE_INVOICE)
    house.wait_for_status("olivia", run, "waiting_decision")
    desk = house.page_of("olivia")
    desk.goto("/approvals/?tab=requested")
    open_from_the_inbox(desk, key)
    expect(desk.locator("#eligibility")).to_contain_text("You cannot decide this: you started the run")
    assert desk.locator("form[action*=decide], [data-act]").count() == 0


def test_a_review_item_is_claimed_and_answered_through_the_form_of_its_contract(house: House) -> None:
    desk = house.page_of("olivia")
    key = house.named("tour-3")
    run = house.submit("olivia", id=key, text="???")
    house.wait_for_status("olivia", run, "waiting_review")

    desk.goto("/review/")
    desk.locator(".rv-row__link", has_text=key).click()
    expect(desk.get_by_role("heading", level=1)).to_have_text(f"{key}: Classify")
    desk.get_by_role("button", name="Claim", exact=True).click()
    expect(desk.get_by_text("You have claimed it.")).to_be_visible()

    desk.get_by_label("Intent", exact=True).fill("card_declined")
    desk.get_by_label("Confidence in percent").fill("many")
    desk.get_by_label("Urgency").select_option("P2")
    desk.get_by_label("Reason").fill("Called the customer: the card was declined at a petrol station")
    with house.watch.expecting("422"):
        desk.get_by_role("button", name="Complete").click()
        expect(desk.locator("[aria-invalid=true]")).to_be_focused()
    assert desk.get_by_label("Reason").input_value().startswith("Called the customer")

    desk.get_by_label("Confidence in percent").fill("100")
    desk.get_by_role("button", name="Complete").click()
    house.wait_for_status("olivia", run, "waiting_decision", "completed")
    desk.goto(f"/runs/{run}/")
    expect(desk.locator("#timeline")).to_contain_text("Olivia Okafor")
    expect(desk.locator("#timeline")).to_contain_text("card_declined")  # the rule that routed what she chose


def test_an_admin_changes_a_routing_table_after_reading_what_it_would_change(house: House) -> None:
    desk = house.page_of("ada")
    desk.goto("/orchestration/routingtable/")
    desk.get_by_role("link", name="support-routing").or_(desk.get_by_role("link", name="Support routing")).first.click()
    desk.get_by_role("link", name="Edit", exact=True).click()
    document = desk.get_by_label("The document of support-routing")
    text = document.input_value()
    rule = text.index("id: pin_change\n")  # the document's own layout
    was, now = re.search(r"urgency: (P\d)", text[rule:])[1], "P1"  # type: ignore[index]
    wanted = text[:rule] + text[rule:].replace(f"urgency: {was}", f"urgency: {now}", 1)

    document.fill(wanted.replace("legal_review: bool", "legal_review: boool"))
    with house.watch.expecting("422"):
        desk.get_by_role("button", name="Check").click()
        expect(desk.get_by_role("heading", name="Faults")).to_be_visible()
    assert "boool" in document.input_value()

    document.fill(wanted)
    desk.get_by_role("button", name="Check").click()
    expect(desk.locator("#outcome")).to_contain_text("checked, no fault")
    expect(desk.locator("#outcome")).to_contain_text(f"pin_change].then.urgency: was {was}, now {now}")

    desk.get_by_label("Reason").fill("People who ask for a new PIN wait at the till")
    desk.get_by_role("button", name="Apply").click()
    expect(desk.locator(".ag-title")).to_contain_text("version 2")
    desk.get_by_role("link", name="History", exact=True).click()
    newest = desk.locator("tbody tr").first
    expect(newest).to_contain_text("Version 2")
    expect(newest).to_contain_text("Ada Moreau")
    expect(newest).to_contain_text("wait at the till")
    desk.get_by_role("link", name="Version 1").click()
    expect(desk.locator("#main")).to_contain_text("pin_change")


def test_an_auditor_sees_everything_decides_nothing_and_verifies(house: House) -> None:
    desk = house.page_of("quinn")
    desk.goto("/approvals/?tab=waiting")
    desk.locator(".ib-row__link").first.click()
    expect(desk.locator("#question")).to_be_visible()
    assert desk.locator("#diff").is_visible()
    assert desk.locator("form[action*=decide], [data-act]").count() == 0
    expect(desk.locator("#eligibility")).to_contain_text("cannot")

    desk.goto("/review/")
    desk.locator(".rv-row__link").first.click()
    expect(desk.get_by_text("You can read this item")).to_be_visible()
    assert desk.locator("main form").count() == 0

    desk.goto("/runs/?status=waiting_decision")
    desk.locator(".rl-table tbody a").first.click()
    expect(desk.locator("#timeline")).to_be_visible()
    assert desk.locator("main form").count() == 0

    desk.goto("/open/RoutingTable/?name=support-routing")
    assert desk.get_by_role("link", name="Edit", exact=True).count() == 0

    desk.goto("/audit/")
    desk.get_by_role("link", name="Verify", exact=True).click()
    desk.get_by_role("button", name="Verify now").click()
    expect(desk.get_by_role("region", name="The last verification")).to_contain_text("checks passed", timeout=30_000)
    expect(desk.locator(".ag-integrity")).to_have_attribute("data-tone", re.compile("green|amber"))


def test_an_operator_is_told_which_right_is_missing_and_hidden_things_do_not_exist(house: House) -> None:
    admin, operator = house.page_of("ada"), house.page_of("olivia")
    admin.goto("/open/Agent/?name=support-writer")
    hidden = admin.url.removeprefix(house.url)

    with house.watch.expecting("403", "404"):
        for address in ("/matrix/", "/orchestration/agent/new/"):
            answer = operator.goto(address)
            assert answer is not None
            assert answer.status == 403, address
            refusal = operator.locator(".ag-refusal")
            expect(refusal).to_contain_text("Missing right")
            expect(refusal).to_contain_text("Admins")

        pages = []
        for address in (hidden, f"{hidden}edit/", hidden.replace(hidden.split("/")[-2], "0" * 8), "/runs/" + "0" * 32 + "/"):
            answer = operator.goto(address)
            assert answer is not None
            assert answer.status == 404, address
            pages.append(operator.locator("main").inner_html())
        assert len(set(pages)) == 1  # hidden and unknown look the same

    assert operator.locator(".ag-nav").get_by_role("link", name="Agents").count() == 0
