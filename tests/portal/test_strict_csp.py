"""The policy has no exception, and no page needs one: no inline script, style or handler in anything we render."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from aegis.identity.models import User
from aegis.portal.health import CSP_REPORTS
from tests.portal.routes import addresses, governed_rows

pytestmark = pytest.mark.django_db

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "report-uri": "/csp-report/",
}


class Inline(HTMLParser):
    """Collects what a strict policy would block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "script" and "src" not in names and names.get("type") != "application/json":
            self.found.append("<script> without src")
        if tag == "style":
            self.found.append("<style>")
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.found.append(f"<{tag} {name}>")
            if name in ("src", "href", "action", "formaction") and (value or "").strip().lower().startswith(
                ("javascript:", "http", "//")
            ):
                self.found.append(f"<{tag} {name}={value}>")


def inline_parts(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    return parser.found


def test_the_parser_finds_what_it_must() -> None:
    planted = '<script>x</script><b style="a"></b><i onclick="x"></i><style></style><a href="javascript:x">'
    assert len(inline_parts(planted)) == 5


def test_every_answer_carries_the_strict_policy(client: Client) -> None:
    header = client.get("/login/").headers["Content-Security-Policy"]
    assert dict(part.strip().split(" ", 1) for part in header.split(";")) == POLICY
    assert "unsafe" not in header


def test_no_page_holds_inline_script_style_or_handler(configured: object, ada: User, browser_of: Callable[..., Client]) -> None:
    browser = browser_of(ada)
    seen = 0
    for address in addresses(governed_rows()):
        answer = browser.get(address)
        assert "Content-Security-Policy" in answer.headers, address
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            seen += 1
            assert inline_parts(answer.content.decode()) == [], address
    assert seen >= 50


def test_no_template_of_ours_holds_inline_script_style_or_handler() -> None:
    """Also branches that no test page renders. The page in a bundle of evidence, read from a folder, brings its style along."""
    for path in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        brought = ["<style>"] if path.match("audit/evidence.html") else []
        assert inline_parts(path.read_text()) == brought, path


def test_our_scripts_build_no_code_from_text() -> None:
    for path in Path(settings.BASE_DIR, "aegis/portal/assets/aegis").glob("*.js"):
        text = path.read_text()
        assert "eval(" not in text, path
        assert "new Function" not in text, path


def test_a_report_of_the_browser_is_counted_without_credentials() -> None:
    before = CSP_REPORTS._value.get()
    body = b'{"csp-report": {"document-uri": "http://x/", "violated-directive": "script-src", "blocked-uri": "inline"}}'
    answer = Client(enforce_csrf_checks=True).post("/csp-report/", body, content_type="application/csp-report")
    assert answer.status_code == 204
    assert CSP_REPORTS._value.get() == before + 1


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"csp-report": []}', b'{"csp-report": 1}', b"\xff"])
def test_a_report_that_means_nothing_is_counted_too(client: Client, body: bytes) -> None:
    assert client.post("/csp-report/", body, content_type="application/json").status_code == 204
