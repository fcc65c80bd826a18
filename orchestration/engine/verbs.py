"""The engine's public verbs for people and callers: submit, cancel, retry. Edges call these and hold no rules."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict
from aegis.identity.models import User
from aegis.identity.principals import stated
from orchestration.engine import inbox, standing
from orchestration.engine import state as states
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.submission import (
    MAX_BATCH,
    InputRefused,
    Refused,
    Submission,
    Submitted,
    check_each,
    submit,
    submit_each,
    submit_many,
)

__all__ = [
    "MAX_BATCH",
    "InputRefused",
    "Refused",
    "RunAtRest",
    "Submission",
    "Submitted",
    "cancel_run",
    "check_each",
    "retry_run",
    "submit",
    "submit_each",
    "submit_many",
]


class RunAtRest(Conflict):
    """The run is in no state that the verb applies to."""

    code, title = "run_at_rest", "The run is not in a state for this"


def cancel_run(run_id: UUID, *, person: User, actor: Actor, reason: str) -> Run:
    """Ask a run to stop. Consumed before anything else; open requests and review items end with it.

    Raises:
        NotFound, Forbidden: not visible, or no `operate` on its workflow.
        RunAtRest: it has ended already.
        Invalid: no reason.
    """
    return _tell(run_id, InboxItem.Kind.CANCEL, person=person, actor=actor, reason=reason, may=_may_cancel)


def retry_run(run_id: UUID, *, person: User, actor: Actor, reason: str) -> Run:
    """Begin the step again where the run failed, waits to retry, or lies in a review queue. Effects keep their keys."""
    return _tell(run_id, InboxItem.Kind.RETRY, person=person, actor=actor, reason=reason, may=_may_retry)


def _tell(run_id: UUID, kind: str, *, person: User, actor: Actor, reason: str, may: Callable[[Run], None]) -> Run:
    run = Run.objects.get_visible(person, "operate", pk=run_id)
    text = stated(reason)

    def work() -> Run:
        locked = inbox.lock_run(run.pk)
        may(locked)
        inbox.post(run.pk, kind, actor=actor, reason=text)
        return locked

    return in_transaction(work)


def _may_cancel(run: Run) -> None:
    if (state := states.load(run.state)).ending or state.stopped_by:
        raise RunAtRest(f"{run.label} is ending already")
    if run.status in Run.TERMINAL:
        raise RunAtRest(f"{run.label} is {run.get_status_display()} already")


def _may_retry(run: Run) -> None:
    state = states.load(run.state)
    if state.is_compensated:
        raise RunAtRest(f"What {run.label} did was undone when it ended; submit the work again instead")
    standing.require_retryable(run, state)
    if run.status not in (Run.Status.FAILED, Run.Status.WAITING_RETRY, Run.Status.WAITING_REVIEW):
        raise RunAtRest(f"{run.label} is {run.get_status_display()}; only a failed or waiting step can be tried again")
