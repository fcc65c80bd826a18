"""What only a browser shows: no console error, no report against the policy, axe, the keyboard, and text that is never lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from aegis.identity.models import User
from aegis.portal.health import CSP_REPORTS
from approvals import changes
from orchestration.routing.models import RoutingTable
from tests.portal.documents import document, everything, keyed

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES = (
    "/", "/matrix/", "/matrix/?by=capability&of=ticket.refund",
    "/matrix/cell/?role=support-desk&capability=ticket.refund", "/matrix/review/",
    "/matrix/?who=agent:reply-writer&what=ticket.read", "/orchestration/agent/", "/identity/user/",
    "/open/Agent/?name=reply-writer", "/open/Workflow/?name=intake", "/open/RoutingTable/?name=desk",
    "/open/Role/?name=support-desk",
    "/open/ApprovalPolicy/?name=lead", "/open/FloorLock/?name=refund-floor", "/open/Contract/?name=ticket@1",
    "/open/Capability/?name=ticket.refund", "/open/ReviewQueue/?name=intake-review", "/orchestration/role/new/",
    "/password_change/",
)  # fmt: skip


@pytest.fixture
def house(ada: User, sam: User) -> User:
    changes.bootstrap(keyed(everything()))
    return ada


@pytest.fixture
def open_as(chromium: Browser, live_server: Any, browser_of: Callable[..., Client]) -> Iterator[Callable[..., Page]]:
    """A page signed in as a person; the test fails on any console error or policy report."""
    contexts, faults, before = [], [], CSP_REPORTS._value.get()

    def opened(person: User, **options: Any) -> Page:
        context = chromium.new_context(base_url=live_server.url, timezone_id="Asia/Tokyo", **options)
        session = browser_of(person).cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []
    assert CSP_REPORTS._value.get() == before


def axe_faults(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": WCAG}).response["violations"]
    return [f"{page.url}: {fault['id']} {[node['target'] for node in fault['nodes']][:3]}" for fault in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_is_free_of_faults_that_axe_finds(
    house: User, open_as: Callable[..., Page], scheme: str, width: int
) -> None:
    page = open_as(house, color_scheme=scheme, viewport={"width": width, "height": 844})
    for path in PAGES:
        page.goto(path)
        assert axe_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_cells_are_changed_by_keyboard_and_what_is_typed_survives_a_reload(house: User, open_as: Callable[..., Page]) -> None:
    for width, scheme in ((1440, "light"), (390, "dark")):
        page = open_as(house, color_scheme=scheme, viewport={"width": width, "height": 844})
        page.goto("/matrix/?role=support-desk&find=ticket.re")
        cell = page.locator('tr[data-capability="ticket.read"] td[data-role="support-desk"] .mx-cell')
        cell.focus()
        page.keyboard.press("Space")
        expect(page.locator("#mx-unsaved")).to_have_text("1 change")
        expect(cell).to_contain_text("gate")
        page.keyboard.press("e")
        expect(page.locator("#mx-editor [name=effect]:checked")).to_be_focused()
        page.get_by_label("allow", exact=True).check()
        page.locator("#mx-editor [name=when]").fill("record.open ==")
        expect(page.locator("#mx-check .ag-faults")).to_contain_text("when 1:")
        page.reload()
        cell.focus()
        page.keyboard.press("e")
        expect(page.locator("#mx-editor [name=when]")).to_have_value("record.open ==")
        page.locator("#mx-editor [name=when]").fill("record.open == true")
        expect(page.locator("#mx-check .mx-reads")).to_contain_text("may ticket.read without asking if record.open == true")
        assert axe_faults(page) == []
        page.get_by_role("button", name="Keep in my changes").click()
        expect(cell).to_contain_text("allow if")
        expect(cell).to_be_focused()
        assert axe_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto("/matrix/review/")
        assert axe_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#mx-reason").fill("Half a sen")
        page.reload()
        expect(page.locator("#mx-reason")).to_have_value("Half a sen")
        page.wait_for_load_state("networkidle")


def test_signing_in_and_out_works_by_keyboard(
    house: User, open_as: Callable[..., Page], chromium: Browser, live_server: Any
) -> None:
    page = chromium.new_context(base_url=live_server.url).new_page()
    page.goto("/matrix/")
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery staple")
    page.keyboard.press("Enter")
    page.wait_for_url("**/matrix/")
    page.locator(".ag-account summary").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Log out").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/logout/")
    page.goto("/")
    assert "/login/" in page.url
    page.context.close()


def test_the_matrix_is_walked_by_arrows_and_told_by_enter(house: User, open_as: Callable[..., Page]) -> None:
    page = open_as(house)
    page.goto("/matrix/")
    assert page.locator('.mx-cell[tabindex="0"]').count() == 1

    page.locator('.mx-cell[tabindex="0"]').focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
    cell = page.evaluate(
        "document.activeElement.closest('td').dataset.role + ' ' + document.activeElement.closest('tr').dataset.capability"
    )
    assert cell == "Support leads ticket.refund"

    page.keyboard.press("Enter")
    page.locator("#mx-pop[open]").wait_for()
    assert "Support leads × ticket.refund" in page.locator("#mx-pop").inner_text()
    assert axe_faults(page) == []
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "mx-cell"  # back where one was


def test_search_opens_by_ctrl_k_and_leads_by_enter(house: User, open_as: Callable[..., Page]) -> None:
    page = open_as(house)
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("reply-w")
    page.get_by_role("link", name="Reply writer").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/orchestration/agent/*/")


def test_home_updates_by_itself_in_the_readers_zone(
    house: User, open_as: Callable[..., Page], as_actor: Callable[[User], Any]
) -> None:
    page = open_as(house)
    page.goto("/")
    assert "tester" not in page.locator("#home").inner_text()
    title = page.locator("#home time").first.get_attribute("title")
    assert title is not None
    assert title.endswith("UTC")

    role = document("Role", "tester", {"grants": []})
    changes.propose(keyed([role]), author=house, actor=as_actor(house), reason="test")
    page.locator("#home", has_text="tester").wait_for(timeout=15_000)


def test_a_live_part_waits_while_somebody_types(house: User, open_as: Callable[..., Page]) -> None:
    page = open_as(house)
    page.goto("/")
    page.route(
        "**/home/part/", lambda route: route.fulfill(status=200, body="<p id='swapped'>new</p>", headers={"ETag": 'W/"z"'})
    )
    page.evaluate("document.getElementById('home').insertAdjacentHTML('afterbegin', '<textarea id=typed></textarea>')")
    page.locator("#typed").click()
    page.keyboard.type("half a reason")
    page.wait_for_timeout(11_000)
    assert page.locator("#typed").input_value() == "half a reason"
    assert page.evaluate("document.activeElement.id") == "typed"

    page.locator("#typed").fill("")
    page.locator("h1").click()
    page.locator("#swapped").wait_for(state="attached", timeout=15_000)


def test_a_half_typed_document_is_not_left_without_asking(house: User, open_as: Callable[..., Page]) -> None:
    page = open_as(house)
    page.goto("/open/Role/?name=support-desk")
    page.get_by_role("link", name="Edit").click()
    page.locator("#document-text").press_sequentially("x")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="History").click(no_wait_after=True)
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    assert page.locator("#document-text").input_value().startswith("x")


def test_on_a_phone_no_column_is_cut(house: User, open_as: Callable[..., Page]) -> None:
    page = open_as(house, viewport={"width": 390, "height": 844})
    page.goto("/orchestration/agent/")
    assert page.locator(".ag-scroll-x").evaluate("box => box.scrollWidth - box.clientWidth") <= 0
    page.goto("/open/RoutingTable/?name=desk")
    rules = page.get_by_role("region", name="Rules, scrolls sideways")
    assert rules.evaluate("box => box.scrollWidth > box.clientWidth")
    assert page.get_by_text("The rules go on to the right").is_visible()
    assert axe_faults(page) == []
    page.goto("/audit/verify/")
    assert page.locator(".au-vr").evaluate("form => innerWidth - form.getBoundingClientRect().right") >= 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_grid_of_a_table_follows_what_is_typed_and_moves_like_a_sheet(
    house: User, open_as: Callable[..., Page], scheme: str
) -> None:
    table = RoutingTable.objects.get(name="desk")
    page = open_as(house, color_scheme=scheme, viewport={"width": 1440, "height": 900})
    page.goto(f"/orchestration/routingtable/{table.pk}/grid/")
    assert axe_faults(page) == []

    page.get_by_role("button", name="Add a row", exact=True).click()
    field = page.locator('[name="r0.out.case"]')
    field.fill("")
    expect(page.locator("#grid-findings")).to_contain_text("/spec/rules/0/then/case")
    field.press("ArrowDown")
    assert page.evaluate("document.activeElement.name") == "r1.out.case"
    field.fill("elsewhere")
    page.get_by_role("button", name=re.compile("Ask it about")).click()
    expect(page.locator("#grid-replay")).to_contain_text("There is no recorded input")
    assert field.input_value() == "elsewhere"  # asking left what was typed
    assert axe_faults(page) == []
