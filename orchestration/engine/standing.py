"""What a person may do about a step that waits for people: read from the run's state and the live matrix.

An effect that may have happened, and may not be sent again blindly, needs a statement (`settlements`); everything else may be
tried again. Pages, verbs and the re-drive in bulk ask here, so that they agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from aegis.core.errors import Conflict
from orchestration.authority import live
from orchestration.authority.verdicts import Matrix
from orchestration.engine import state as states
from orchestration.engine.models import ReviewItem, Run
from orchestration.engine.state import State
from orchestration.engine.steps.effect import is_repeatable

DIVERGED = "effect_diverged"


class NeedsStatement(Conflict):
    """Sending it again could make it happen twice. A person who has looked outside says whether it did."""

    code, title = "needs_statement", "Say first whether it happened"


@dataclass(frozen=True, slots=True)
class Standing:
    """Ways out of a review item.

    Attributes:
        is_undo: it is about undoing an effect; the run is ending.
        may_state: a person may say that it happened (of an undo: that it is undone).
        may_deny: a person may say that it did not happen, which sends it again under its key.
        may_retry: it may be tried again without a word about what happened.
        is_stopping: the run is being cancelled and waits for this alone.
    """

    is_undo: bool
    may_state: bool
    may_deny: bool
    may_retry: bool
    is_stopping: bool = False


def of(item: ReviewItem) -> Standing:
    """Of an open item. One query or two, for the live matrix; reads `item.run`."""
    return judge(states.load(item.run.state), item.code, live.current().matrix)


def require_retryable(run: Run, state: State) -> None:
    """Refuse to try a step again that waits in a queue for a statement.

    Raises:
        NeedsStatement
    """
    if state.phase != "reviewing":
        return
    code = ReviewItem.objects.filter(pk=state.item).values_list("code", flat=True).first() or ""
    if not judge(state, code, live.current().matrix).may_retry:
        raise NeedsStatement("It may have happened, or was sent with other content: say what you found, or cancel the run")


def judge(state: State, code: str, matrix: Matrix) -> Standing:
    """Of a run that waits with a review item of this code. Pure."""
    is_undo, intent = bool(state.undoes), state.intent
    is_open = intent is not None and intent.heard != "nothing"  # it may have happened
    is_free = not is_open or is_repeatable(intent, matrix)
    return Standing(
        is_undo=is_undo,
        may_state=is_undo or is_open,
        may_deny=intent is not None and (is_open or code == DIVERGED),
        may_retry=is_free and code != DIVERGED and not state.stopped_by,
        is_stopping=bool(state.stopped_by),
    )
