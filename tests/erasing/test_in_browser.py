"""The page of erasures as a browser shows it: readable in every look, nothing hangs over its edge."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page

from orchestration.engine.erasing import verbs
from tests.browser.axe import LOOKS, faults_of, overflow_of, put_on, small_targets_of
from tests.erasing import house

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def opened(chromium: Browser, url: str, who: Any) -> Page:
    client = Client()
    client.force_login(who, backend="aegis.identity.backends.PersonBackend")
    context = chromium.new_context(base_url=url)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
    return context.new_page()


def test_the_pages_are_readable_in_every_look(chromium: Browser, live_server: Any, person: Any, ada: Any, sam: Any) -> None:
    people = {**house.furnished(person, effect="allow"), "sam": sam, "ada": ada}
    runs = [house.lived(people["zoe"], people["sam"], key) for key in (house.KEY, house.OTHER, "third")]
    house.erased(people, run=runs[0])
    asked = house.ask(people["pia"], run=runs[1])
    verbs.place_hold("run", run_id=runs[2].pk, actor=house.actor(people["max"]), reason="a lawsuit about the third")
    page = opened(chromium, live_server.url, people["pia"])
    addresses = {
        "list": "/erasures/", "preview": f"/erasures/?about={house.OTHER}",
        "held": f"/runs/{runs[2].pk}/", "run": f"/runs/{runs[0].pk}/",
    }  # fmt: skip
    for name, address in addresses.items():
        page.goto(address)
        for look in LOOKS:
            put_on(page, look)
            if pictures := os.environ.get("PICTURES"):
                page.screenshot(path=Path(pictures) / f"{name}-{LOOKS.index(look)}.png", full_page=True)
            if name in ("list", "preview"):
                assert faults_of(page, look) == []
                assert overflow_of(page) == []
                assert small_targets_of(page) == []
    page.context.close()
    page = opened(chromium, live_server.url, people["una"])
    page.goto(f"/approvals/{asked.pk}/")
    if pictures := os.environ.get("PICTURES"):
        page.screenshot(path=Path(pictures) / "request.png", full_page=True)
    assert "What is emptied" in page.content() or "payloads" in page.content()
    page.context.close()
