"""An engineer on call: from the alert to the runs that fail, and to the change that made them fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.axe import LOOKS, faults_of, overflow_of, put_on
from tests.browser.house import BUILD, House, Watch, logins_of, wait_for
from tests.browser.planted_shift import AGENT, REASON, RULE, TITLE
from tests.support.serving import ROOT, serving

pytestmark = pytest.mark.browser

ON_CALL = "ada"  # sees everything that is counted, and may act on alerts


@pytest.fixture(scope="module")
def troubled(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A demo of its own: what is planted would be in every figure of the other tests."""
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("troubled")
    with serving(folder, "--demo") as portal:
        portal.start().wait_ready(240)
        found = House(portal, chromium, logins_of(portal.data_dir))
        done = subprocess.run(
            [sys.executable, "-m", "tests.browser.planted_shift"],
            cwd=ROOT,
            env=portal.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield found
        for context in found.contexts.values():
            context.close()
        portal.stop()


@pytest.fixture
def house(troubled: House) -> Iterator[House]:
    troubled.watch = Watch()
    troubled.new_reports()
    yield troubled
    troubled.close_pages()
    assert troubled.watch.faults == []
    assert troubled.new_reports() == []


def test_from_the_alert_to_its_cause(house: House) -> None:
    page = house.page_of(ON_CALL)
    page.goto("/")
    wait_for(lambda: _fires(house), "the alert fires", seconds=120)
    page.reload()

    firing = page.locator(".hm-firing")
    expect(firing).to_contain_text(AGENT)
    page.screenshot(path=BUILD / "on-call-home.png")
    firing.get_by_role("link", name=TITLE).first.click()

    expect(page.locator(".al-why").first).to_contain_text("spreads above")
    expect(page.locator(".al-facts")).to_contain_text("Median")
    expect(page.locator(".al-svg .al-odd").first).to_be_attached()
    cause = page.locator(".al-changes li").first
    expect(cause).to_contain_text("before it began")
    expect(cause).to_contain_text(REASON)
    expect(cause).to_contain_text("terse")
    page.screenshot(path=BUILD / "on-call-episode.png", full_page=True)
    here = page.url

    page.get_by_role("link", name="The events behind it").click()
    rows = page.locator(".au-row")
    expect(rows.first).to_contain_text(AGENT)
    expect(rows.first).to_contain_text("failed")
    page.screenshot(path=BUILD / "on-call-failing.png")

    page.goto(here)
    page.locator(".al-changes li").first.get_by_role("link", name=f"History of Agent {AGENT}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Agent {AGENT}")
    expect(page.locator(".au-story li").first).to_contain_text("terse")
    page.screenshot(path=BUILD / "on-call-history.png", full_page=True)

    page.goto(here)
    page.keyboard.press("a")
    page.keyboard.type("Going back to the version before")
    page.locator("#act-acknowledge").get_by_role("button", name="Take on").click()
    expect(page.locator(".al-steps")).to_contain_text("Going back to the version before")
    expect(page.locator(".al-head")).to_contain_text("acknowledged")


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: f"{look.scheme}-{look.width}")
def test_every_page_of_alerts_reads_well_in_every_look(house: House, look) -> None:
    wait_for(lambda: _fires(house, "all"), "there is an alert", seconds=120)
    page = house.page_of(ON_CALL)
    page.goto("/alerts/?status=all")
    put_on(page, look)
    for name, address in (
        ("list", "/alerts/?status=all"),
        ("episode", page.locator("[data-row]", has_text=TITLE).first.get_attribute("href")),
        ("rule", f"/alerts/rules/{RULE}/?rehearse=1"),
        ("object", f"/audit/history/?object=Agent/{AGENT}"),
        ("home", "/"),
    ):
        page.goto(address or "")
        put_on(page, look)
        page.screenshot(path=BUILD / f"alerts-{name}-{look.scheme}-{look.width}.png", full_page=True)
        assert faults_of(page, look) == [], name
        assert overflow_of(page) == [], name


def _fires(house: House, show: str = "firing") -> bool:
    house.page_of(ON_CALL).close()
    body = house.contexts[ON_CALL].request.get(f"/alerts/?status={show}&rule={RULE}").text()
    return AGENT in body
