"""Home, the open request and a run, walked with Tab alone: order, names, visible focus, no trap, the skip link first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.house import House

pytestmark = pytest.mark.browser

MOST_STOPS = 400
# How everything that can take the focus looks without it; what each stop adds to that makes the focus visible.
REMEMBER = """() => {
    window.looks = new WeakMap();
    window.lookOf = e => { const s = getComputedStyle(e);
        const outline = s.outlineStyle === 'none' ? '' : s.outlineStyle + s.outlineWidth + s.outlineColor;
        return [outline, s.boxShadow, s.stroke, s.strokeWidth].join('|'); };
    document.querySelectorAll('*').forEach(e => looks.set(e, lookOf(e)));
}"""
STOP = """() => {
    const e = document.activeElement;
    if (!e || e === document.body) return null;
    const box = e.getBoundingClientRect();
    const near = [e, e.parentElement, e.parentElement && e.parentElement.parentElement, ...e.querySelectorAll('rect')]
        .filter(Boolean);
    const inset = Math.min(3, box.width / 4, box.height / 4);
    const points = [[box.left + box.width / 2, box.top + box.height / 2], [box.left + inset, box.top + inset],
        [box.right - inset, box.bottom - inset], [box.left + inset, box.bottom - inset], [box.right - inset, box.top + inset]];
    const isTop = points.some(([x, y]) => { const hit = document.elementFromPoint(x, y);
        return hit && (e.contains(hit) || hit.contains(e) && hit.matches('label,summary,a')); });
    const before = window.last; window.last = e;
    const region = e.closest('svg,table,ol,ul,form,details,article,section,nav,aside,header,footer,main') || document.body;
    const sameRegion = before && region === window.lastRegion; window.lastRegion = region;
    const top = region.getBoundingClientRect().top - region.scrollTop;
    return {
        what: e.tagName.toLowerCase() + '#' + e.id + ' "' + (e.innerText || e.value || '').trim().slice(0, 40) + '"',
        follows: !before || Boolean(before.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING),
        isSeen: near.some(n => looks.get(n) !== lookOf(n)),
        isTop, area: Math.round(box.width * box.height),
        y: Math.round(box.top - top), bottom: Math.round(box.bottom - top),
        sameRegion: Boolean(sameRegion) && !e.closest('svg'), tabIndex: e.tabIndex,
    };
}"""


@dataclass(frozen=True, slots=True)
class Stop:
    """Where Tab came to, with the name and role that assistive technology hears."""

    name: str
    role: str
    facts: dict[str, Any]

    @property
    def what(self) -> str:
        return f"{self.role} {self.name!r} ({self.facts['what']})"


def walk(page: Page) -> list[Stop]:
    """Every stop of Tab from the top of the page until it leaves the document."""
    page.evaluate(REMEMBER)
    session = page.context.new_cdp_session(page)
    stops: list[Stop] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        facts = page.evaluate(STOP)
        if facts is None or (stops and facts["what"] == stops[0].facts["what"]):
            return stops
        name, role = _heard(session)
        stops.append(Stop(name, role, facts))
    raise AssertionError(f"Tab does not leave the page; it ends on {[stop.what for stop in stops[-5:]]}")


def faults_of(stops: list[Stop]) -> list[str]:
    faults = []
    for before, stop in zip([None, *stops], stops, strict=False):
        facts = stop.facts
        if not stop.name:
            faults.append(f"no name: {stop.what}")
        if not facts["isSeen"]:
            faults.append(f"focus is not visible: {stop.what}")
        if not facts["area"] or not facts["isTop"]:
            faults.append(f"out of sight or covered while focused: {stop.what}")
        if facts["tabIndex"] != 0 or not facts["follows"]:
            faults.append(f"out of order: {stop.what}")
        if before and facts["sameRegion"] and facts["bottom"] <= before.facts["y"]:
            faults.append(f"jumps up: {before.what} -> {stop.what}")
    return faults


def _heard(session: CDPSession) -> tuple[str, str]:
    found = session.send("Runtime.evaluate", {"expression": "document.activeElement"})["result"]["objectId"]
    node = session.send("Accessibility.getPartialAXTree", {"objectId": found, "fetchRelatives": False})["nodes"][0]
    return (node.get("name", {}).get("value", "").strip(), node.get("role", {}).get("value", ""))


def check(page: Page) -> list[Stop]:
    stops = walk(page)
    assert stops[0].name == "Skip to the content"
    assert faults_of(stops) == []
    return stops


def test_home_is_walked_in_reading_order(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/")
    names = [stop.name for stop in check(page)]
    wanted = ["Skip to the content", "Home", "Approvals", "Navigation", "Search everything", "Decisions", "Review items"]
    places = [next(place for place, name in enumerate(names) if name.startswith(want)) for want in wanted]
    assert places == sorted(places), names


def test_the_open_request_is_walked_from_list_to_diff_to_actions(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/approvals/")
    page.locator(".ib-row__link").first.click()
    page.wait_for_url("**/approvals/*-*/")
    page.reload()
    expect(page.locator(".ib-row__link").first).to_be_visible()
    stops = check(page)
    names = [stop.name for stop in stops]
    wanted = [
        "Skip to the content",
        "Approvals",
        "Mine to decide",
        "Medium",
        "Exact parameters and digest",
        "Approve",
        "Reject",
    ]
    places = [max(place for place, name in enumerate(names) if name.startswith(want)) for want in wanted]
    assert places == sorted(places), names
    assert [stop.role for stop in stops[-2:]] == ["button", "button"]


def test_a_run_is_walked_from_what_is_now_to_graph_to_timeline(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/runs/?status=waiting_decision")
    page.locator(".rl-table tbody a").first.click()
    expect(page.locator("#timeline")).to_be_visible()
    names = [stop.name for stop in check(page)]
    wanted = ["Skip to the content", "Runs", "Cancel run", "Workflow graph", "Open all"]
    places = [max(place for place, name in enumerate(names) if name.startswith(want)) for want in wanted]
    assert places == sorted(places), names


def test_the_skip_link_leads_past_the_navigation(house: House) -> None:
    page = house.page_of("olivia")
    for address in ("/", "/approvals/", "/runs/", "/audit/"):
        page.goto(address)
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Tab")
        assert page.evaluate("Boolean(document.activeElement.closest('main'))")


def test_a_dialog_keeps_the_focus_and_gives_it_back(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/")
    opener = page.get_by_role("button", name="Search everything")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Search everything")
    expect(dialog).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
