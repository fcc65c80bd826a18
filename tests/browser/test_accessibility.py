"""No page has a WCAG A or AA fault that axe finds, scrolls sideways or has too small a target; pictures are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import LOOKS, Look, faults_of, overflow_of, put_on, small_targets_of
from tests.browser.house import BUILD, House

pytestmark = pytest.mark.browser

DIAGONAL = (LOOKS[0], LOOKS[2])  # of pages that share a template: light at a desk, dark on a phone


@dataclass(frozen=True, slots=True)
class Scene:
    """A page, and what to do on it before looking."""

    name: str
    address: str
    prepare: Callable[[Page], object] = lambda page: None
    is_fixed: bool = False  # fills the window and scrolls inside
    looks: tuple[Look, ...] = LOOKS


def faults_in(page: Page, scenes: Iterable[Scene]) -> str:
    """Every scene in each of its looks; each width is measured and pictured once, as a scheme changes colours alone.

    "" when there is no fault.
    """
    faults: list[str] = []
    for scene in scenes:
        page.goto(scene.address)
        scene.prepare(page)
        thin_out(page)
        for look in scene.looks:
            put_on(page, look)
            found = faults_of(page, look)
            if look in DIAGONAL:
                found += [*overflow_of(page), *small_targets_of(page)]
                page.screenshot(path=BUILD / f"{scene.name}-{look}.png", full_page=not scene.is_fixed)
            faults += [f"{scene.name}, {fault}" for fault in found]
        put_on(page, LOOKS[0])
    return "\n".join(faults)


def thin_out(page: Page) -> None:
    """Rows of a list share a template: a dozen tell axe what a hundred would, in a tenth of the time; so do columns."""
    page.evaluate(
        """most => {
            document.querySelectorAll('main tbody, main ol').forEach(
                list => [...list.children].slice(most).forEach(row => row.remove()));
            const matrix = document.getElementById('mx-table');
            if (!matrix) return;
            [...matrix.tBodies].slice(4).forEach(body => body.remove());
            matrix.querySelectorAll('tr').forEach(row => [...row.querySelectorAll('[data-role]')].slice(3, -3)
                .filter(cell => !cell.matches('.is-picked') && !cell.contains(document.activeElement))
                .forEach(cell => cell.remove()));
        }""",
        20 if page.locator("#timeline").count() else 10,
    )


def first(page: Page, address: str, selector: str) -> str:
    """Where the first such link of a page leads."""
    page.goto(address)
    href = page.locator(selector).first.get_attribute("href")
    assert href is not None
    return href


def form(name: str) -> Callable[[Page], object]:
    """Opens a form of the request by its button, and types half a reason."""

    def prepare(page: Page) -> None:
        page.get_by_role("button", name=name, exact=True).click()
        page.locator(f"#reason-{name.lower()}").fill("Half a reason")

    return prepare


def press(name: str) -> Callable[[Page], object]:
    return lambda page: page.get_by_role("button", name=name).first.click()


def of_an_operator(page: Page) -> Iterator[Scene]:
    request = first(page, "/approvals/", ".ib-row__link")
    done = first(page, "/runs/?status=completed", ".rl-table tbody a")
    waiting = first(page, "/runs/?status=waiting_decision", ".rl-table tbody a")
    yield Scene("home", "/")
    yield Scene("home-search", "/", lambda page: page.keyboard.press("Control+k"), is_fixed=True, looks=DIAGONAL)
    yield Scene("home-account", "/", lambda page: page.locator(".ag-account summary").click(), is_fixed=True, looks=DIAGONAL)
    yield Scene("inbox", "/approvals/", lambda page: expect(page.locator("#question")).to_be_visible(), is_fixed=True)
    yield Scene("inbox-empty", "/approvals/?tab=waiting", is_fixed=True, looks=DIAGONAL)
    yield Scene("inbox-keys", "/approvals/", press("Keys"), is_fixed=True, looks=DIAGONAL)
    yield Scene("request", request, is_fixed=True)
    yield Scene("request-all", request, lambda page: page.locator("#parameters summary").click(), is_fixed=True, looks=DIAGONAL)
    yield Scene("request-approve", request, form("Approve"), is_fixed=True)
    yield Scene("request-reject", request, form("Reject"), is_fixed=True, looks=DIAGONAL)
    yield Scene("runs", "/runs/")
    yield Scene("runs-empty", "/runs/?status=failed", looks=DIAGONAL)
    yield Scene("run-done", done, press("Open all"))
    yield Scene("run-waiting", waiting, looks=DIAGONAL)
    yield Scene("run-cancel", waiting, lambda page: page.locator("#act-cancel summary").click(), looks=DIAGONAL)
    yield Scene("run-event", first(page, done, "a[href*='/events/']"), looks=DIAGONAL)
    yield Scene("reviews", "/review/")
    yield Scene("dead-letters", "/dead-letters/")
    yield Scene("review-item", first(page, "/review/", ".rv-row__link"))
    yield Scene("password", "/password_change/", looks=DIAGONAL)


def of_an_auditor(page: Page) -> Iterator[Scene]:
    yield Scene("audit", "/audit/")
    yield Scene("audit-empty", "/audit/?q=nosuchword&outcome=denied", looks=DIAGONAL)
    yield Scene(
        "audit-panel", "/audit/", lambda page: (page.locator(".au-row").first.click(), page.wait_for_selector("#au-pt"))
    )
    page.goto("/audit/?q=ticket.reply")
    panel = page.locator("#au-list a").first.get_attribute("data-panel") or ""
    yield Scene("audit-event", panel.removesuffix("panel/"), looks=DIAGONAL)
    yield Scene("metrics", "/metrics/?span=24h")
    yield Scene("audit-verify", "/audit/verify/")
    yield Scene(
        "audit-verified",
        "/audit/verify/",
        lambda page: (press("Verify now")(page), page.wait_for_selector(".au-vc")),
        looks=DIAGONAL,
    )
    yield Scene("request-read-only", first(page, "/approvals/?tab=waiting", ".ib-row__link"), is_fixed=True, looks=DIAGONAL)
    yield Scene("review-item-read-only", first(page, "/review/", ".rv-row__link"), looks=DIAGONAL)


def of_an_admin(page: Page) -> Iterator[Scene]:
    """The matrix, and of each governed kind its list and of one document every part."""
    yield Scene("matrix", "/matrix/")
    yield Scene("matrix-pair", "/matrix/capabilities/?one=article.draft&other=article.publish", looks=DIAGONAL)
    yield Scene(
        "matrix-cell",
        "/matrix/",
        lambda page: (page.locator(".mx-cell").first.click(), page.wait_for_selector("#mx-pop[open]")),
    )
    yield Scene("matrix-why", "/matrix/?who=agent:support-writer&what=ticket.reply", looks=DIAGONAL)
    yield Scene("people", "/identity/user/", looks=DIAGONAL)
    yield Scene("halts", "/guards/", looks=DIAGONAL)
    yield Scene("emergency", "/emergency/", looks=DIAGONAL)
    for name, address in kinds(page):
        yield Scene(f"{name}-list", address, looks=DIAGONAL)
        document = first(page, address, "#main tbody a")
        yield Scene(f"{name}-overview", document)
        page.goto(document)
        tabs = page.locator(".ag-doc-tabs a")
        parts = {tab.inner_text().strip(): tab.get_attribute("href") or "" for tab in tabs.all()}
        for part, href in parts.items():
            if part != "Overview":
                yield Scene(f"{name}-{part.lower().replace(' ', '-')}", href, looks=DIAGONAL)
    yield Scene("role-faults", "/orchestration/role/new/", check_nonsense, looks=DIAGONAL)


def check_nonsense(page: Page) -> None:
    page.locator("#document-text").fill("metadata: {name: tester}\nspec: {grants: [{capability: no.such, effect: maybe}]}\n")
    page.get_by_role("button", name="Check").click()
    page.wait_for_selector("#document-faults")


def kinds(page: Page) -> list[tuple[str, str]]:
    """Name and list of every governed kind, from the sidebar."""
    page.goto("/")
    links = page.locator(".ag-nav ul").nth(1).locator("a").all()
    found = [
        ((link.text_content() or "").strip().lower().replace(" ", "-"), link.get_attribute("href") or "") for link in links
    ]
    return [(name, address) for name, address in found if name not in ("access-matrix", "people", "floor-locks")]


def test_axe_finds_nothing_on_the_pages_of_an_operator(house: House) -> None:
    page = house.page_of("olivia")
    assert faults_in(page, of_an_operator(page)) == ""


def test_axe_finds_nothing_on_the_pages_of_an_auditor(house: House) -> None:
    page = house.page_of("quinn")
    assert faults_in(page, of_an_auditor(page)) == ""


def test_axe_finds_nothing_on_the_pages_of_an_admin(house: House) -> None:
    page = house.page_of("ada")
    with house.watch.expecting("422"):
        assert faults_in(page, of_an_admin(page)) == ""


def test_axe_finds_nothing_on_what_strangers_and_the_refused_see(house: House) -> None:
    context = house.new_context()
    stranger = context.new_page()
    house.watch.follow(stranger)
    scenes = [
        Scene("login", "/login/"),
        Scene("login-failed", "/login/", lambda page: sign_in_wrongly(page), looks=DIAGONAL),
    ]
    assert faults_in(stranger, scenes) == ""
    context.close()
    with house.watch.expecting("403", "404"):
        refused = [Scene("refused", "/matrix/", looks=DIAGONAL), Scene("unknown", "/runs/" + "0" * 8 + "/", looks=DIAGONAL)]
        assert faults_in(house.page_of("olivia"), refused) == ""


def sign_in_wrongly(page: Page) -> None:
    page.get_by_label("User name").fill("nobody-of-that-name")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
