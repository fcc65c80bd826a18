"""Plants what an engineer on call is to find: weeks of an agent's answers, a change of it two hours ago, and failures since.

    python -m tests.browser.planted_shift

Run with the environment of a portal that serves (`Serving.env`). What happened in the past is written with the times it would
have had; what the rule says of it is left to the portal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

AGENT: Final = "ops-remediator"
WORKFLOW: Final = "ops-incident"
RULE: Final = "failing-agent"
TITLE: Final = "An agent fails more than usual"
REASON: Final = "Try the terse prompt of the vendor"
WEEKS: Final = 4
HOURS: Final = 30  # of each week, up to now
ANSWERS: Final = 14  # an hour
FAILING: Final = 2  # the last hours of this week
_SECONDS: Final = 180.0


def plant() -> None:
    from approvals.models import DocumentVersion
    from orchestration.agents.models import Agent
    from orchestration.workflows.models import Workflow

    hour = int(time.time() // 3600)
    about = Workflow.objects.get(name=WORKFLOW).pk
    before = Agent.objects.get(name=AGENT).digest
    with _at(_moment(hour - FAILING) - timedelta(minutes=6)):
        _change_agent()
    after = Agent.objects.get(name=AGENT).digest
    assert before != after
    assert DocumentVersion.objects.filter(kind="Agent", name=AGENT).count() > 1
    for week in range(WEEKS):
        for ago in range(HOURS, 0, -1):
            is_bad = week == 0 and ago <= FAILING
            _answers(
                about, hour - ago - week * 168, after if is_bad else before, failed=ANSWERS - 4 if is_bad else ago % 5 == 0
            )
    _followed()
    _rule(hour - FAILING - 1)


def _answers(workflow: Any, hour: int, version: str, *, failed: int) -> None:
    """One hour of answers, each of a run of its own."""
    from django.db import transaction

    from aegis.core.actors import SYSTEM
    from audit import journal
    from audit.drafts import Context, Draft

    asked: dict[str, Any] = {"step": "propose", "visit": 1, "attempt": 1}
    done = {**asked, "next": "decide", "contract": "proposal@1"}
    wrong = {**asked, "code": "agent_error", "retry_at": ""}
    with transaction.atomic():
        for number in range(ANSWERS):
            at = _moment(hour) + timedelta(seconds=240 * number + 20)
            of_agent: dict[str, Any] = {"agent": AGENT, "agent_digest": version, "step": "propose", "duration_ms": 900}
            draft = (
                Draft("step.failed", SYSTEM, wrong, outcome="failed", **of_agent)
                if number < failed
                else Draft("step.completed", SYSTEM, done, outcome="done", **of_agent)
            )
            context = Context(stream=f"planted:{hour}", scope="workflow", scope_id=str(workflow), run_id=uuid4())
            journal.append(context, [draft], at)


def _change_agent() -> None:
    from aegis.core import canonical
    from orchestration.agents.models import Agent

    document = canonical.parse(Agent.objects.get(name=AGENT).document)
    spec = document["spec"]
    _propose("Agent", AGENT, {**document, "spec": {**spec, "settings": {**spec.get("settings", {}), "prompt": "terse"}}})


def _rule(judged: int) -> None:
    """The rule, and that it was last judged before the failures began: who adds one gets its past from a rehearsal."""
    from approvals.alerts.models import Alert, Judged

    answers = {"measure": "answers", "where": {"answer": "failed"}}
    anomaly = {"share": {"part": answers, "whole": {"measure": "answers"}}, "direction": "up", "weeks": 3, "least": 10}
    spec = {"workflow": WORKFLOW, "by": ["agent"], "anomaly": anomaly}
    metadata = {"name": RULE, "title": TITLE}
    _propose("Alert", RULE, {"apiVersion": "aegis/v1", "kind": "Alert", "metadata": metadata, "spec": spec})
    alert = Alert.objects.get(name=RULE)
    _wait(lambda: Judged.objects.filter(alert=alert, digest=alert.basis).exists(), "a worker takes up the rule")
    Judged.objects.filter(alert=alert).update(until=judged)


def _propose(kind: str, name: str, document: Any) -> None:
    from aegis.core.actors import user_actor
    from aegis.core.kinds import Key
    from aegis.identity.models import User
    from approvals import changes

    ada = User.objects.get(username="ada")
    actor = user_actor(ada.pk, auth="session")
    changes.propose([(Key(kind, name), document)], author=ada, actor=actor, reason=REASON)


def _followed() -> None:
    """Until everything so far is counted and searched."""
    from audit import following, sealer
    from audit.models import Event

    events = Event.objects.count()
    _wait(lambda: sealer.size() >= events, "everything is sealed")
    _wait(lambda: all(lag.seconds < 2 for lag in following.lags()), "everything is counted")


@contextmanager
def _at(moment: datetime) -> Iterator[None]:
    """What this process does inside happens at that moment."""
    from aegis.core import clock

    real = clock.now, clock.db_now
    clock.now = clock.db_now = lambda: moment
    try:
        yield
    finally:
        clock.now, clock.db_now = real


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)


def _wait(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not look():
        assert time.monotonic() < deadline, f"not within {_SECONDS:g} s: {what}"
        time.sleep(0.3)


if __name__ == "__main__":
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
    django.setup()
    plant()
