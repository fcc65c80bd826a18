"""The demo as a newcomer has it, and the people who look at it: one browser, one signed-in context per person."""

from __future__ import annotations

import csv
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

from tests.support.serving import ROOT, Serving

BUILD = ROOT / "build" / "browser"  # screenshots; not committed
PEOPLE = ("olivia", "sam", "ada", "quinn")
SAMPLES = 60
DESK = {"width": 1440, "height": 900}
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
T = TypeVar("T")
LEFT_BEHIND = "net::ERR_ABORTED"  # a request that a navigation cut off
# The policy's violations also as console errors, whatever Chromium itself says about them.
LOUD = "addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI))"


@dataclass
class Watch:
    """What a browser complained about. `expect` excuses the refusals a test provokes."""

    faults: list[str] = field(default_factory=list)
    excused: list[re.Pattern[str]] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.add(f"page error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.on("request", self._asked)

    @contextmanager
    def expecting(self, *patterns: str) -> Iterator[None]:
        """Within it, complaints that match are what the test wants to see."""
        before = list(self.excused)
        self.excused += [re.compile(pattern) for pattern in patterns]
        yield
        self.excused[:] = before

    def add(self, fault: str) -> None:
        if not any(pattern.search(fault) for pattern in self.excused):
            self.faults.append(fault)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.add(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _failed(self, request: Request) -> None:
        if request.failure != LEFT_BEHIND:
            self.add(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.add(f"answered {response.status}: {response.request.method} {response.url}")

    def _asked(self, request: Request) -> None:
        if request.url.endswith("/csp-report/"):
            self.add(f"CSP report: {request.post_data}")


@dataclass
class House:
    """The running demo and its people.

    Attributes:
        watch: of the test that runs now.
    """

    portal: Serving
    browser: Browser
    logins: dict[str, str]
    watch: Watch = field(default_factory=Watch)
    states: dict[str, Any] = field(default_factory=dict)
    contexts: dict[str, BrowserContext] = field(default_factory=dict)
    log_read: int = 0
    tag: str = field(default_factory=lambda: secrets.token_hex(2))

    @property
    def url(self) -> str:
        return self.portal.url

    def page_of(self, person: str) -> Page:
        """A new page of somebody who signed in, at a desk: 1440 by 900, light, no animation."""
        if person not in self.contexts:
            self.contexts[person] = self.new_context(storage_state=self._state(person))
        page = self.contexts[person].new_page()
        self.watch.follow(page)
        return page

    def sign_in_anew(self, person: str) -> Page:
        """The first page after signing in by the form, in a context of its own."""
        self.page_of(person).close()
        context = self.contexts[f"{person}, again"] = self.new_context()
        page = context.new_page()
        self.watch.follow(page)
        self.sign_in(page, person)
        return page

    def new_context(self, **options: Any) -> BrowserContext:
        """A context of its own, signed in as nobody unless `storage_state` says so. The caller closes it."""
        settings: dict[str, Any] = {"base_url": self.url, "viewport": DESK, "reduced_motion": "reduce", **options}
        context = self.browser.new_context(**settings)
        context.add_init_script(LOUD)
        context.set_default_timeout(30_000)  # what a busy machine takes is no fault of the page
        return context

    def sign_in(self, page: Page, person: str) -> None:
        """Through the form, as a person does."""
        page.goto("/login/")
        page.get_by_label("User name").fill(person)
        page.get_by_label("Password").fill(self.logins[person])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.url}/")

    def named(self, name: str) -> str:
        """A business key that no earlier test used."""
        return f"{name}-{self.tag}"

    def arrives(self, **request: str) -> None:
        """A customer's request comes in by the mailbox, as the README tells: it has come to rest when this returns."""
        path = self.portal.data_dir / f"{request['id']}.csv"
        with path.open("w", newline="") as file:
            rows = csv.DictWriter(file, ["id", "text", "customer", "channel"])
            rows.writeheader()
            rows.writerow({"customer": "C-90210", "channel": "email", **request})
        self.portal.manage("aegis", "demo", "support-intake", "--input", str(path))

    def submit(self, person: str, **request: str) -> str:
        """The person submits one request to the desk over the API, with the session. Returns the run's id."""
        return self.start(person, "support-intake", {"customer": "C-90210", "channel": "email", **request})

    def start(self, person: str, workflow: str, payload: dict[str, Any]) -> str:
        """The person submits an input of any workflow over the API, with the session. Returns the run's id."""
        self.page_of(person).close()
        context = self.contexts[person]
        token = next(cookie["value"] for cookie in context.cookies() if cookie["name"] == "csrftoken")
        answer = context.request.post(
            "/api/v1/runs",
            data={"workflow": workflow, "input": payload},
            headers={"X-CSRFToken": token, "Idempotency-Key": payload["id"], "Referer": self.url},
        )
        assert answer.status == 201, answer.text()
        run: str = answer.json()["id"]
        return run

    def status(self, person: str, run: str) -> str:
        status: str = self.contexts[person].request.get(f"/api/v1/runs/{run}").json()["status"]
        return status

    def wait_for_status(self, person: str, run: str, *wanted: str) -> str:
        return wait_for(lambda: (found := self.status(person, run)) in wanted and found, f"{run} becomes {wanted}")

    def close_pages(self) -> None:
        for context in self.contexts.values():
            for page in context.pages:
                page.close()

    def new_reports(self) -> list[str]:
        """Lines of the server's log, since the last call, that tell of a report against the policy or of a fault of ours."""
        lines = self.portal.log[self.log_read :].splitlines()
        self.log_read = len(self.portal.log)
        return [line for line in lines if "csp_report" in line or "Traceback" in line or "page_fault" in line]

    def _state(self, person: str) -> Any:
        if person not in self.states:
            context = self.new_context()
            self.sign_in(context.new_page(), person)
            self.states[person] = context.storage_state()
            context.close()
        return self.states[person]


def wait_for(look: Callable[[], T], what: str, seconds: float = 30) -> T:
    """What `look` returns once it is truthy."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)
    return found


def logins_of(folder: Path) -> dict[str, str]:
    logins: dict[str, str] = json.loads((folder / "demo_logins.json").read_text())
    return logins
