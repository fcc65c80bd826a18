"""One demo and one browser for all of these tests; each test fails on whatever its pages complained about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.house import BUILD, SAMPLES, House, Watch, logins_of, wait_for
from tests.support.serving import serving


@pytest.fixture(scope="session")
def running_house(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """`manage.py serve --demo` in a folder of its own, with every sample request come to rest."""
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("demo")
    with serving(folder, "--demo") as portal:
        portal.start().wait_ready(180)  # it loads every reference workflow first
        found = House(portal, chromium, logins_of(portal.data_dir))
        found.page_of("olivia").close()
        wait_for(lambda: _resting(found) >= SAMPLES, "the sample requests rest", seconds=120)
        yield found
        for context in found.contexts.values():
            context.close()
        portal.stop()


@pytest.fixture
def house(running_house: House) -> Iterator[House]:
    """The demo, with a watch on this test's pages alone."""
    running_house.watch = Watch()
    running_house.new_reports()
    yield running_house
    running_house.close_pages()
    assert running_house.watch.faults == []
    assert running_house.new_reports() == []


def _resting(house: House) -> int:
    moving = ("running", "waiting_retry")
    runs = house.contexts["olivia"].request.get("/api/v1/runs").json()["runs"]
    return sum(run["status"] not in moving for run in runs)
