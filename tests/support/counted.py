"""Journal lines that metrics count, written as the engine and the approvals write them, and the counting brought up to date."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from aegis.core.actors import SYSTEM, Actor
from audit import following, journal
from audit.drafts import Context, Draft
from audit.metrics import projection
from tests.support.following import caught_up

_TRY = {"step": "read", "visit": 1, "attempt": 1}


def counted() -> None:
    caught_up()
    following.catch_up(projection.NAME)


def write(stream: str, about: tuple[str, str], at: datetime, *drafts: Draft, run_id: UUID | None = None) -> None:
    with transaction.atomic():
        journal.append(Context(stream=stream, scope=about[0], scope_id=about[1], run_id=run_id), list(drafts), at)


def run(
    workflow_id: Any, at: datetime, *, ended: str = "completed", success: str = "none", took: timedelta = timedelta(minutes=3),
    agent: str = "clerk", version: str = "a" * 64, code: str = "", table: str = "urgency", case: str = "low", tokens: int = 0,
    queue: str = "", queue_code: str = "contract",
) -> UUID:  # fmt: skip
    """One run from its submission to its end; `code` fails the agent's step first; `queue` hands it to people."""
    run_id = uuid4()
    stream, about, end = f"run:{run_id}", ("workflow", str(workflow_id)), at + took
    submitted = {"workflow": "notes", "version": 1, "priority": 0, "next": "read", "input_digest": "0" * 64}
    write(stream, about, at, Draft("run.submitted", SYSTEM, submitted), run_id=run_id)
    of_agent: dict[str, Any] = {"agent": agent, "agent_digest": version, "step": "read", "duration_ms": 900}
    drafts = []
    if code:
        drafts.append(Draft("step.failed", SYSTEM, {**_TRY, "code": code, "retry_at": ""}, outcome="failed", **of_agent))
    used = {"tokens": tokens} if tokens else {}
    done = {**_TRY, "next": "route", "contract": "note@1", **used}
    drafts.append(Draft("step.completed", SYSTEM, done, outcome="done", **of_agent))
    chosen = {
        "step": "route",
        "visit": 1,
        "table": table,
        "digest": "0" * 64,
        "rule": "1",
        "case": case,
        "next": "",
        "errors": 0,
    }
    drafts.append(Draft("route.chosen", SYSTEM, chosen, step="route"))
    if queue:
        opened = {"step": "read", "visit": 1, "item": str(uuid4()), "queue": queue, "code": queue_code}
        drafts.append(Draft("review.opened", SYSTEM, opened, outcome="queued", step="read"))
    data: dict[str, Any] = {
        "completed": {"outcome": "done", "success": success}, "failed": {"step": "read", "code": code or "fault"},
    }.get(ended, {"step": "read"})  # fmt: skip
    drafts.append(Draft(f"run.{ended}", SYSTEM, data, outcome=ended))
    write(stream, about, end, *drafts, run_id=run_id)
    return run_id


def request(
    about: tuple[str, str], at: datetime, *, policy: str = "refunds", outcome: str = "approved",
    took: timedelta = timedelta(minutes=20), by: Actor = SYSTEM,
) -> None:  # fmt: skip
    stream = f"request:{uuid4()}"
    opened = {
        "question": "effect", "subject": "x", "policy": policy, "policy_digest": "0" * 64, "digest": "0" * 64, "risk": "low",
        "deadline": "2026-11-24T00:00:00.000000Z", "bound": [],
    }  # fmt: skip
    write(stream, about, at, Draft("request.opened", SYSTEM, opened))
    drafts = []
    if outcome in ("approved", "rejected"):
        vote = {"verdict": outcome[:7].rstrip("e"), "stage": 1, "stages": 1, "policy": policy, "digest": "0" * 64}
        drafts.append(Draft("decision.made", by, vote, outcome=outcome))
    drafts.append(Draft("request.settled", SYSTEM, {"policy": policy, "digest": "0" * 64}, outcome=outcome))
    write(stream, about, at + took, *drafts)
