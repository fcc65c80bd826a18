"""The engine's public verbs for people and callers: submit, send, cancel, retry. Edges call these and hold no rules."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict
from aegis.identity.models import User
from aegis.identity.principals import stated
from orchestration.engine import inbox, planner, standing
from orchestration.engine import state as states
from orchestration.engine.messages.verbs import MessageRefused, Sent, send_message
from orchestration.engine.models import InboxItem, Run
from orchestration.engine.retiring import retire_version
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
from orchestration.workflows import releases

__all__ = [
    "MAX_BATCH",
    "InputRefused",
    "MessageRefused",
    "NoRollback",
    "Refused",
    "RunAtRest",
    "Sent",
    "Submission",
    "Submitted",
    "cancel_run",
    "check_each",
    "retire_version",
    "retry_run",
    "rollback_run",
    "send_message",
    "submit",
    "submit_each",
    "submit_many",
]


class RunAtRest(Conflict):
    """The run is in no state that the verb applies to."""

    code, title = "run_at_rest", "The run is not in a state for this"


class NoRollback(Conflict):
    """Without somebody to decide about it, nothing is rolled back."""

    code, title = "no_rollback", "This workflow has no rollback"


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


def rollback_run(run_id: UUID, *, person: User, actor: Actor, reason: str) -> Run:
    """Ask to undo what a completed run did. People decide under the policy that its workflow names; never whoever asks.

    Raises:
        NotFound, Forbidden: not visible, or no `operate` on its workflow.
        NoRollback: its workflow names nobody who decides.
        RunAtRest: it has not completed, was rolled back, or did nothing that could be undone.
        Invalid: no reason.
    """
    return _tell(run_id, InboxItem.Kind.ROLLBACK, person=person, actor=actor, reason=reason, may=_may_roll_back)


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
    if state.rollback:
        raise RunAtRest(f"{run.label} has completed; whether it is rolled back is for others to decide")
    if run.status in Run.TERMINAL:
        raise RunAtRest(f"{run.label} is {run.get_status_display()} already")


def _may_roll_back(run: Run) -> None:
    if run.parent is not None:
        raise RunAtRest(f"{run.label} is a part of {run.parent.label}: roll back {run.parent.label}")
    if not releases.load(run.release_id).definition.rollback:
        raise NoRollback(f"The workflow of {run.label} does not say who decides about a rollback")
    state = states.load(run.state)
    if state.rollback or InboxItem.objects.filter(run=run, kind=InboxItem.Kind.ROLLBACK, ordinal__gt=run.seen).exists():
        raise RunAtRest(f"The rollback of {run.label} is asked for already")
    if run.status != Run.Status.COMPLETED:
        raise RunAtRest(f"{run.label} is {run.get_status_display()}; only a completed run can be rolled back")
    if not planner.may_roll_back(state):
        raise RunAtRest(f"{run.label} did nothing that could be undone")


def _may_retry(run: Run) -> None:
    state = states.load(run.state)
    if state.is_compensated:
        raise RunAtRest(f"What {run.label} did was undone when it ended; submit the work again instead")
    if run.parent is not None and state.is_ended:  # its parent has counted it, and alone knows whether it is wanted
        raise RunAtRest(f"{run.label} is a part of {run.parent.label}: try {run.parent.label} again, which begins it again")
    standing.require_retryable(run, state)
    if run.status not in (Run.Status.FAILED, Run.Status.WAITING_RETRY, Run.Status.WAITING_REVIEW):
        raise RunAtRest(f"{run.label} is {run.get_status_display()}; only a failed or waiting step can be tried again")
