"""The watch sees what it is there for: without these, a silent browser would look like a clean one."""

from __future__ import annotations

import pytest

from tests.browser.axe import LOOKS, faults_of, overflow_of, put_on, small_targets_of
from tests.browser.house import House, Watch, wait_for
from tests.browser.test_tab_order import faults_of as faults_of_walk
from tests.browser.test_tab_order import walk

pytestmark = pytest.mark.browser


def test_an_inline_script_does_not_run_and_is_reported_by_console_and_by_post(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/")
    seen = Watch()
    seen.follow(page)
    with house.watch.expecting("."):
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = true'}))")
        reports = wait_for(house.new_reports, "the report reaches the server")
        page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert "script-src" in reports[0]
    assert any("CSP: script-src" in fault for fault in seen.faults)


def test_errors_and_failed_requests_are_noticed(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/")
    seen = Watch()
    seen.follow(page)
    with house.watch.expecting("."):
        page.evaluate("setTimeout(() => { throw new Error('planted') })")
        page.evaluate("fetch('/no-such-page/')")
        page.route("**/home/part/", lambda route: route.abort("connectionfailed"))
        page.evaluate("fetch('/home/part/').catch(() => 0)")
        page.wait_for_timeout(300)
    told = "\n".join(seen.faults)
    assert "page error: planted" in told
    assert "answered 404" in told
    assert "failed: GET" in told


def test_axe_finds_what_is_planted_in_every_look(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/")
    page.evaluate(
        """() => document.querySelector('#main h1').insertAdjacentHTML('afterend',
            '<p class="ag-muted" id="pale">hardly read</p><img src="/static/aegis/favicon.svg" id="unnamed">')"""
    )
    page.evaluate("document.getElementById('pale').attributeStyleMap.set('opacity', '0.3')")
    for look in LOOKS:
        put_on(page, look)
        found = "\n".join(faults_of(page, look))
        assert "color-contrast at ['#pale']" in found, look
        assert ("image-alt" in found) == (look in (LOOKS[0], LOOKS[2]))
        assert overflow_of(page) == []
    page.evaluate("document.getElementById('pale').attributeStyleMap.set('min-width', '2000px')")
    assert overflow_of(page)


def test_what_is_too_small_to_press_is_found(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/")
    assert small_targets_of(page) == []
    page.evaluate(
        """() => document.querySelector('#main h1').insertAdjacentHTML('afterend',
            '<p>Words with <a href="/">a link</a> inside.</p><p><a href="/">i</a></p>' +
            '<label>All of it <input type="checkbox"></label>')"""
    )
    page.evaluate("document.querySelector('#main label').attributeStyleMap.set('line-height', '30px')")
    page.evaluate("document.querySelector('#main label').attributeStyleMap.set('display', 'inline-block')")
    found = small_targets_of(page)
    assert len(found) == 1
    assert "a. i" in found[0]


def test_the_walk_finds_stops_without_name_or_visible_focus_and_out_of_order(house: House) -> None:
    page = house.page_of("olivia")
    page.goto("/")
    page.evaluate(
        """() => {
            const add = (id, text, more) => document.querySelector('#main h1').append(
                Object.assign(document.createElement('button'), {id, textContent: text, ...more}));
            add('nameless', ''); add('early', 'Early', {tabIndex: 5}); add('unseen', 'Unseen'); add('gone', 'Gone');
            const on = (id, style, value) => document.getElementById(id).attributeStyleMap.set(style, value);
            on('nameless', 'min-width', '20px');
            document.getElementById('unseen').addEventListener('focus', () => on('unseen', 'outline-style', 'none'));
            document.getElementById('gone').addEventListener('focus', () => on('gone', 'opacity', '0'));
            document.getElementById('gone').addEventListener('focus', () => on('gone', 'pointer-events', 'none'));
        }"""
    )
    faults = "\n".join(faults_of_walk(walk(page)))
    for fault in ("no name: button '' (button#nameless", "order: button 'Early'", "not visible: button 'Unseen'", "covered"):
        assert fault in faults
