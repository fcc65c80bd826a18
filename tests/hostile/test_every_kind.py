"""Whatever an agent does, its run ends in a declared state in time, the worker keeps its size, and the page shows it as text
(HAZARDS F18, F19): every kind of misbehaviour of an HTTP agent and of an isolated one, through the real engine.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis.core import canonical
from aegis.core.actors import user_actor
from aegis.identity.models import User
from audit.models import Event
from orchestration.agents import idle, isolated
from orchestration.engine import calls, driver, submission
from orchestration.engine.driver import Driver
from orchestration.engine.models import ReviewItem, Run
from tests.agents.asking import SECRET_NAME, SECRET_TEXT
from tests.engine.house import bootstrap
from tests.hostile import agents, house, server

pytestmark = pytest.mark.django_db(transaction=True)

#: Answers that are what an agent may say; how it said it is its own affair.
FINE = {
    "http": {"payload in the output", "payload beside it", "right to left", "http 1.0", "trailers", "two answers",
             "bare newlines", "folded headers"},
    "isolated": {"payload in rationale", "daemon stays behind"},
}  # fmt: skip
ABSTAINS = {"http": {"payload as reason"}, "isolated": {"payload in reason"}}
DEAD_LETTERS = {"http": {"contract broken"}, "isolated": set[str]()}
#: Takes long to read: on a busy machine the deadline comes first.
HEAVY = "many empty objects"
#: Kinds whose only end is the deadline.
HANGS = {
    "http": {"drip of the body", "drip of the head", "drip of 100s", "never answers", "head and no body", "accepts only"},
    "isolated": {"sleeps", "loops", "blocks in C", "ignores signals", "deadlock", "waits for a thread", "child that sleeps",
                 "grandchildren that sleep", "leaves its session", "stops itself", "raw drip", "does not read",
                 "prints for ever"},
}  # fmt: skip
#: It takes the process of other calls along: those are lost with it, and asked by itself it is shown elsewhere.
ALONE = {"kills the nursery"}
KINDS = {"http": list(server.KINDS), "isolated": [kind for kind in agents.KINDS if kind not in ALONE]}
#: Kinds whose text would run in a page that printed it as it is.
LOADED = {"http": ("payload", "status", "right"), "isolated": ("payload", "raises")}
MARGIN_SECONDS = 2
MAX_GROWTH_MB = 64


def memory_mb(name: str) -> float:
    """VmRSS (now) or VmHWM (the most since it was reset) of this process."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[int]:
    """A worker with many calls in flight; yields the port of the hostile server."""
    monkeypatch.setenv(SECRET_NAME, SECRET_TEXT)
    monkeypatch.setattr("orchestration.agents.autoload.configured", lambda: ["tests.hostile.agents"])
    monkeypatch.setattr(isolated, "_nursery", isolated._Nursery())
    monkeypatch.setattr(idle, "_kept", idle._Idle())
    pool = calls.Pool(100)
    monkeypatch.setattr(driver, "_pool", lambda: pool)
    settings.CALLS_IN_FLIGHT = 100
    with house.hostile_server() as port:
        yield port
    isolated._nursery.forget_parent()


@pytest.fixture
def submit_all(worker: int, person: Callable[..., User], ada: User, sam: User) -> Callable[[str], dict[str, Run]]:
    """Submits a run of each kind of one connector; none has begun."""

    def submit(connector: str) -> dict[str, Run]:
        documents = house.around()
        for kind in KINDS[connector]:
            how = house.over_http(worker, server.path_of(kind)) if connector == "http" else house.isolated(agents.KINDS[kind])
            name = house.name_of(connector, kind)
            documents += [house.agent(name, how), house.workflow(name)]
        bootstrap(documents)
        actor = user_actor(sam.pk, auth="test")
        return {
            kind: submission.submit(
                house.name_of(connector, kind), submission.Submission({"id": kind[:40]}), person=sam, actor=actor
            ).run
            for kind in KINDS[connector]
        }

    return submit


def ends_of(run: Run) -> list[str]:
    return list(Event.objects.filter(stream=run.stream).order_by("seq").values_list("type", flat=True))[2:]


def expected_of(connector: str, kind: str) -> list[str]:
    if kind in FINE[connector]:
        return ["step.completed", "run.completed"]
    if kind in ABSTAINS[connector]:
        return ["step.abstained", "review.opened"]
    return ["contract.violated" if kind in DEAD_LETTERS[connector] else "step.failed", "review.opened"]


@pytest.mark.parametrize("connector", ["http", "isolated"])
def test_every_kind_ends_declared_in_time_in_bounded_memory_and_is_shown_as_text(
    connector: str, submit_all: Callable[[str], dict[str, Run]], browser_of: Callable[..., Any], sam: User
):
    runs = submit_all(connector)
    before = memory_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the most it ever took is counted from here
    threads_before = threading.active_count()

    Driver(among=[run.pk for run in runs.values()]).drive()

    growth = memory_mb("VmHWM") - before
    assert growth < MAX_GROWTH_MB, f"{growth:.0f} MB"
    assert threading.active_count() - threads_before <= 101
    ends = {kind: ends_of(run) for kind, run in runs.items()}
    assert ends.pop(HEAVY, ["contract.violated"])[0] in ("contract.violated", "step.failed")
    assert ends == {kind: expected_of(connector, kind) for kind in ends}
    outcomes = {kind: Event.objects.get(stream=run.stream, seq=3) for kind, run in runs.items()}
    most_ms = 1_000 * (house.TIMEOUT_SECONDS + MARGIN_SECONDS)
    assert {kind: event.duration_ms for kind, event in outcomes.items() if (event.duration_ms or 0) > most_ms} == {}
    codes = {kind: canonical.parse(event.line)["data"].get("code") for kind, event in outcomes.items()}
    assert {kind: codes[kind] for kind in HANGS[connector]} == dict.fromkeys(HANGS[connector], "timeout")

    desk = browser_of(sam)
    for kind, run in runs.items():
        pages = [f"/runs/{run.pk}/"]
        if kind.startswith(LOADED[connector]):
            pages += [f"/runs/{run.pk}/events/3/", *(f"/review/{item.pk}/" for item in ReviewItem.objects.filter(run=run))]
        for page in pages:
            response = desk.get(page)
            assert response.status_code == 200, (kind, page)
            shown = response.content.decode()
            assert "<script>document.title" not in shown, (kind, page)
            assert "<img src=x" not in shown, (kind, page)
            assert "onerror=alert(1)&gt;49" not in shown, (kind, page)


def test_what_is_shown_as_text_was_shown_at_all(
    submit_all: Callable[[str], dict[str, Run]], monkeypatch: pytest.MonkeyPatch, browser_of: Callable[..., Any], sam: User
):
    monkeypatch.setitem(KINDS, "http", ["status 500", "payload beside it", "payload as reason"])
    runs = submit_all("http")
    Driver(among=[run.pk for run in runs.values()]).drive()

    for run in runs.values():
        shown = browser_of(sam).get(f"/runs/{run.pk}/events/3/").content.decode()
        assert "onerror=alert(1)&gt;{{7*7}}" in shown


def test_there_are_enough_kinds():
    assert min(map(len, KINDS.values())) >= 40
