"""What a run of the tests really used, for `.ci/run`: loaded with `-p tests.support.ci_plugin`.

Prints every skip, fails the run for one that is not about an absent ../shared/data, and writes what was used to the JSON file
that AEGIS_TEST_EVIDENCE names: tests by outcome, databases connected to, pages opened in a browser. Each xdist process writes a
part; the controlling one adds them up.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


class Evidence:
    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self.skips: list[tuple[str, str, bool]] = []  # what, why, whether it is excused

    def add_skip(self, what: str, why: str, keywords: Any) -> None:
        self.skips.append((what, why, "shared_data" in keywords and not SHARED.is_dir()))

    @property
    def unexcused(self) -> list[tuple[str, str, bool]]:
        return [skip for skip in self.skips if not skip[2]]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = Evidence()
    _count_connections(config.stash[KEY])
    _count_pages(config.stash[KEY])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    evidence = _RUNNING[-1]
    if report.when == "call" or report.outcome != "passed":
        evidence.outcomes["xfailed" if hasattr(report, "wasxfail") else report.outcome] += 1
    if report.outcome == "skipped":
        evidence.add_skip(report.nodeid, _reason(report.longrepr), report.keywords)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.outcome == "skipped":
        _RUNNING[-1].add_skip(report.nodeid, _reason(report.longrepr), ())


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    _RUNNING.append(session.config.stash[KEY])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    evidence = session.config.stash[KEY]
    target = os.environ.get("AEGIS_TEST_EVIDENCE")
    if not target:
        return
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        path.with_suffix(f".{worker}.part").write_text(json.dumps(evidence.used))
        return
    for part in path.parent.glob(f"{path.stem}.*.part"):
        evidence.used.update(json.loads(part.read_text()))
        part.unlink()
    path.write_text(json.dumps({"outcomes": evidence.outcomes, "used": evidence.used, "skips": evidence.skips}, indent=1))
    if evidence.unexcused and session.exitstatus == 0:
        session.exitstatus = 1


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    evidence = config.stash[KEY]
    for what, why, is_excused in evidence.skips:
        terminalreporter.write_line(f"{'skip (excused)' if is_excused else 'SKIP REFUSED'}: {what}: {why}")
    terminalreporter.write_line(f"used: {dict(evidence.used)}")


KEY = pytest.StashKey[Evidence]()
_RUNNING: list[Evidence] = []


def _reason(longrepr: Any) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


def _count_connections(evidence: Evidence) -> None:
    from django.db.backends.signals import connection_created

    def seen(connection: Any, **_: Any) -> None:
        evidence.used[connection.vendor] += 1

    connection_created.connect(seen, weak=False, dispatch_uid="ci_plugin")


def _count_pages(evidence: Evidence) -> None:
    try:
        from playwright.sync_api import Page
    except ImportError:
        return
    original = Page.goto

    def goto(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = original(self, *args, **kwargs)
        evidence.used["browser_pages"] += 1
        return response

    Page.goto = goto  # type: ignore[method-assign]
