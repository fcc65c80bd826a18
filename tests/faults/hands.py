"""Workers driven by hand in one process: each turn when the test says so, with a lease that ends when the test says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aegis.core import clock
from aegis.core.actors import Actor, user_actor
from aegis.identity.models import User
from audit import journal
from audit.models import Event, Payload
from orchestration.agents.protocol import AgentRequest, Reply
from orchestration.engine import verbs
from orchestration.engine.driver import Driver
from orchestration.engine.models import Run
from orchestration.records.models import RecordVersion
from tests.faults import agents
from tests.support import founding

ANSWER_SECONDS = 5.0


class Worker(Driver):
    """A driver whose turns are taken one by one."""

    def claim(self) -> int:
        """Take what is runnable; says how many."""
        return self._claim() or 0

    def turn(self) -> None:
        """Give every run in hand that has news one turn."""
        self._advance()
        self._start_calls()

    def hear_answer(self) -> None:
        """Wait for the answer of a call in flight and take it in."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.answers.empty():
            assert time.monotonic() < deadline, "no call was answered"
            time.sleep(0.005)
        self._take_answers()

    def hear_messages(self) -> None:
        """Renew leases, as each second, and read what others had to tell meanwhile."""
        self.renewed_at = 0.0
        self._renew()


@dataclass
class Slow:
    """An agent that thinks until it is released; attempts after the first answer at once."""

    thinking: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: AgentRequest) -> Reply:
        if request.attempt == 1:
            self.thinking.set()
            assert self.released.wait(ANSWER_SECONDS)
        return agents.plan_for(request.input["id"], "plain")


def person(name: str) -> User:
    return User.objects.get(username=name)


def actor(name: str) -> Actor:
    return user_actor(person(name).pk, auth="test")


def submit(order: str, kind: str = "plain", *, key: str | None = None) -> Run:
    submission = verbs.Submission({"id": order, "kind": kind}, key)
    return verbs.submit(founding.WORKFLOW, submission, person=person("rita"), actor=actor("rita")).run


def end_lease(run: Run) -> None:
    """As after a pause longer than the lease: the run may be taken over."""
    Run.objects.filter(pk=run.pk).update(lease_until=clock.db_now() - timedelta(seconds=1))


def types_of(run: Run) -> list[str]:
    return list(Event.objects.filter(stream=run.stream).order_by("seq").values_list("type", flat=True))


def everything_about(run: Run) -> dict[str, Any]:
    """All that a commit could have changed."""
    row = Run.objects.filter(pk=run.pk).values("state", "status", "step", "seq", "head", "seen", "fence", "lease_until").get()
    return {
        **row,
        "lines": list(Event.objects.filter(stream=run.stream).order_by("seq").values_list("line", flat=True)),
        "payloads": Payload.objects.filter(stream=run.stream).count(),
        "versions": list(RecordVersion.objects.filter(run_id=run.pk).values_list("effect_key", flat=True)),
    }


def assert_whole() -> None:
    """The journal verifies: chain, commitments, state equals fold."""
    report = journal.verify()
    assert report.problems == []
    assert report.is_good


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, all let go at one instant; answers (or exceptions) in order."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    barrier = threading.Barrier(len(works), timeout=ANSWER_SECONDS)

    def one(work: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return work()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))
