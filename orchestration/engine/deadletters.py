"""Dead letters: runs whose step cannot proceed until somebody has mended the cause, and sending them on again under the same
key.

A dead letter is an open review item with the code of a failure, or a run that failed. It has no row of its own: what is told
here is always what the items and runs say. Its id names this very failure ("<item>" or "<run>.<position of its last event>"),
so that a re-drive repeated, by two people or by one whose answer was lost, does nothing a second time.

One cause, one letter, where a person can act. A branch, an item or the run of another workflow that failed is its parent's to
handle: the parent goes on without it, waits with `branch_failed` in a queue, or fails itself. Only the last two are letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from aegis.core import clock, clock_text
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError, Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.core.visibility import Viewer
from aegis.identity.models import User
from aegis.identity.principals import stated
from aegis.identity.recorder import recorder
from audit.models import Event
from orchestration.authority import live
from orchestration.engine import inbox, reviews, standing
from orchestration.engine import state as states
from orchestration.engine.models import InboxItem, ReviewItem, Run
from orchestration.engine.standing import NeedsStatement
from orchestration.engine.state import State

MAX_AT_ONCE = 500
PAGE_SIZE = 50

#: Codes of review items in which something failed. The others ask a person for his judgement: nothing is broken there.
CODES = (
    "contract", "agent_error", "timeout", "effect_failed", "effect_unknown", "effect_diverged", "conflict", "denied",
    "nobody_eligible", "expression", "fault", "quarantined", "payload_erased", "max_visits", "requires",
    "resource_circle", "version_retired", "branch_failed",
)  # fmt: skip
#: Codes with which only a failed run is a dead letter: in a queue they ask a person to judge, and nothing is broken.
FAILED_ONLY = (
    "no_queue", "abstained", "low_confidence", "rejected", "expired", "no_route", "deadline", "run_deadline", "no_message",
    "resource_wait",
)  # fmt: skip

_OPEN = (ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED)
#: How the state of a run that failed after undoing everything is told apart: it is over, nothing can be driven on.
_COMPENSATED = Q(state__contains='"ending":{') & ~Q(state__contains='"effects":[')


class MovedOn(Conflict):
    """The run is not where it was: somebody was faster, or it was sent on already."""

    code, title = "moved_on", "It is not in this state any more"


@dataclass(frozen=True, slots=True)
class Filters:
    """What to look for; "" and None mean anything.

    Attributes:
        older_than: at least this long without anybody mending it.
    """

    code: str = ""
    workflow: str = ""
    step: str = ""
    agent: str = ""
    capability: str = ""
    older_than: timedelta | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One.

    Attributes:
        item: the review item it lies in; None for a run that failed.
        since: when it stopped.
        needs_statement: it may have happened: a person must say so first, one by one.
        behind: of `branch_failed`, the codes of the runs it had forked that were not well, each once.
    """

    id: str
    run: Run
    item: ReviewItem | None
    code: str
    step: str
    since: datetime
    needs_statement: bool
    behind: tuple[str, ...] = ()

    @property
    def cursor(self) -> str:
        return f"{clock_text.render(self.since)}~{self.item.pk.hex if self.item else self.run.pk.hex}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one of many. `code` "" = it is on its way."""

    id: str
    code: str = ""
    detail: str = ""

    @property
    def is_done(self) -> bool:
        return not self.code


def find(user: Viewer, filters: Filters, *, before: str = "", limit: int = PAGE_SIZE) -> tuple[list[DeadLetter], str]:
    """A page of those `user` may see, newest first, and the cursor of the next page ("" after the last). Three queries.

    Items are seen by their queue, failed runs by their workflow: each by the rule of its own list.
    """
    since = _place(before)
    items = _items(user, filters)
    runs = _runs(user, filters)
    if since:
        at, pk = since
        items = items.filter(Q(opened_at__lt=at) | Q(opened_at=at, id__lt=pk))
        runs = runs.filter(Q(ended_at__lt=at) | Q(ended_at=at, id__lt=pk))
    matrix = live.current().matrix
    found = [
        *(_of_item(item, matrix) for item in items.order_by("-opened_at", "-id")[: limit + 1]),
        *(_of_run(run) for run in runs.order_by("-ended_at", "-id")[: limit + 1]),
    ]
    found.sort(key=lambda letter: (letter.since, letter.item.pk if letter.item else letter.run.pk), reverse=True)
    page = found[:limit]
    return page, page[-1].cursor if len(found) > limit else ""


def named(user: Viewer, ids: Iterable[str]) -> list[DeadLetter]:
    """Those of `ids` that `user` may see and that still stand, in the order given. Three queries."""
    wanted = list(dict.fromkeys(ids))
    items = {str(item.pk): item for item in _items(user, Filters()).filter(pk__in=[pk for pk in map(_uuid, wanted) if pk])}
    places = {name: place for name in wanted if (place := _run_place(name))}
    runs = {run.pk: run for run in _runs(user, Filters()).filter(pk__in=[pk for pk, _ in places.values()])}
    matrix, found = live.current().matrix, []
    for name in wanted:
        if name in items:
            found.append(_of_item(items[name], matrix))
        elif name in places and (run := runs.get(places[name][0])) and run.seq == places[name][1]:
            found.append(_of_run(run))
    return found


def redrive(letter_id: str, *, person: User, actor: Actor, reason: str) -> None:
    """Send one on: the step begins again, an effect under the key it had.

    Raises:
        NotFound, Forbidden: not visible; or no `operate` on its queue, or on the workflow of a failed run.
        NeedsStatement: an effect of it may have happened and may not be sent again blindly.
        Conflict: it does not stand any more, or somebody has claimed it.
        Invalid: no reason.
    """
    if place := _run_place(letter_id):
        _redrive_run(*place, person=person, actor=actor, reason=reason)
        return
    item_id = _uuid(letter_id)
    if item_id is None or not ReviewItem.objects.visible_to(person).filter(pk=item_id, code__in=CODES).exists():
        raise NotFound
    reviews.retry(item_id, person=person, auth=actor.auth, reason=reason)


def require_operable(person: User, letter_id: str) -> None:
    """May the person send it on? `redrive` asks again.

    Raises:
        NotFound, Forbidden
    """
    if place := _run_place(letter_id):
        Run.objects.get_visible(person, "operate", pk=place[0])
        return
    item_id = _uuid(letter_id)
    if item_id is None:
        raise NotFound
    reviews.require_operate(person, item_id)


def redrive_many(ids: Sequence[str], *, person: User, actor: Actor, reason: str) -> list[Result]:
    """Send many on, each in a transaction of its own: one that is refused holds no other up.

    Repeated, those already sent on are refused with `moved_on` or `item_settled`; nothing happens twice.

    Raises:
        Invalid: no reason; none, or more than `MAX_AT_ONCE`.
    """
    text = stated(reason)
    wanted = list(dict.fromkeys(ids))
    if not wanted or len(wanted) > MAX_AT_ONCE:
        raise Invalid(f"Name 1 to {MAX_AT_ONCE} dead letters at once", faults=[Fault("/ids", f"holds {len(wanted)}")])
    return [_one_of_many(letter_id, person, actor, text) for letter_id in wanted]


def _one_of_many(letter_id: str, person: User, actor: Actor, reason: str) -> Result:
    try:
        redrive(letter_id, person=person, actor=actor, reason=reason)
    except AegisError as error:
        if isinstance(error, Forbidden):
            denied = error
            in_transaction(lambda: recorder().denied(actor, "dead_letter.redrive", denied, clock.now()))
        return Result(letter_id, error.code, error.detail or error.title)
    return Result(letter_id)


def _redrive_run(run_id: UUID, seq: int, *, person: User, actor: Actor, reason: str) -> None:
    run = Run.objects.get_visible(person, "operate", pk=run_id)
    text = stated(reason)

    def work() -> None:
        locked = inbox.lock_run(run.pk)
        # The position names the failure that was looked at: one that failed anew since is another, with another cause perhaps.
        if locked.status != Run.Status.FAILED or locked.seq != seq:
            raise MovedOn(f"{locked.label} is not where it was")
        if locked.parent is not None:  # its parent has counted it, and would count it again
            raise MovedOn(f"{locked.label} is a part of {locked.parent.label}, which alone begins it again")
        if InboxItem.objects.filter(run=locked, ordinal__gt=locked.seen, kind=InboxItem.Kind.RETRY).exists():
            raise MovedOn(f"{locked.label} is on its way already")
        if states.load(locked.state).is_compensated:
            raise MovedOn(f"What {locked.label} did was undone when it failed; submit the work again instead")
        inbox.post(locked.pk, InboxItem.Kind.RETRY, actor=actor, reason=text)

    in_transaction(work)


def _items(user: Viewer, filters: Filters) -> QuerySet[Any]:
    rows = ReviewItem.objects.visible_to(user).filter(status__in=_OPEN, code__in=CODES)
    rows = rows.select_related("run__workflow", "queue", "claimed_by")
    if filters.code:
        rows = rows.filter(code=filters.code)
    if filters.older_than is not None:
        rows = rows.filter(opened_at__lte=clock.now() - filters.older_than)
    return _common(rows, filters, run="run__", run_id="run_id")


def _runs(user: Viewer, filters: Filters) -> QuerySet[Any]:
    rows = Run.objects.visible_to(user).filter(status=Run.Status.FAILED, ended_at__isnull=False, parent__isnull=True)
    rows = rows.exclude(_COMPENSATED).select_related("workflow")
    if filters.code:
        known = filters.code if filters.code in (*CODES, *FAILED_ONLY) else "?"
        rows = rows.filter(state__contains=f'"outcome":"{known}"')
    if filters.older_than is not None:
        rows = rows.filter(ended_at__lte=clock.now() - filters.older_than)
    return _common(rows, filters, run="", run_id="pk")


def _common(rows: QuerySet[Any], filters: Filters, *, run: str, run_id: str) -> QuerySet[Any]:
    if filters.workflow:
        rows = rows.filter(**{f"{run}workflow__name": filters.workflow})
    if filters.step:
        rows = rows.filter(step=filters.step)
    for column, value in (("agent", filters.agent), ("capability", filters.capability)):
        if value:
            told = Event.objects.filter(run_id=OuterRef(run_id), step=OuterRef("step"), **{column: value})
            inside = Event.objects.filter(run_id=OuterRef("pk"), step=OuterRef("step"), **{column: value})
            failed = Run.objects.filter(
                Exists(inside), parent_id=OuterRef(run_id), parent_step=OuterRef("step"), status=Run.Status.FAILED
            )
            rows = rows.filter(Exists(told) | Exists(failed))
    return rows


def _of_item(item: ReviewItem, matrix: Any) -> DeadLetter:
    state = states.load(item.run.state)
    ways = standing.judge(state, item.code, matrix)
    return DeadLetter(
        id=str(item.pk),
        run=item.run,
        item=item,
        code=item.code,
        step=item.step,
        since=item.opened_at,
        needs_statement=not ways.may_retry,
        behind=_behind(state, item.code),
    )


def _of_run(run: Run) -> DeadLetter:
    state = states.load(run.state)
    assert run.ended_at is not None
    return DeadLetter(
        id=f"{run.pk}.{run.seq}",
        run=run,
        item=None,
        code=state.outcome,
        step=run.step,
        since=run.ended_at,
        needs_statement=False,  # beginning again opens an item instead of sending, should that be needed
        behind=_behind(state, state.outcome),
    )


def _behind(state: State, code: str) -> tuple[str, ...]:
    """Why the runs of the block were not well. One that was cancelled has no code."""
    if code != "branch_failed" or state.fork is None:
        return ()
    return tuple(sorted({failed or "cancelled" for failed in state.fork.failed.values()}))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _run_place(letter_id: str) -> tuple[UUID, int] | None:
    run_id, dot, seq = letter_id.partition(".")
    found = _uuid(run_id)
    return (found, int(seq)) if dot and found and seq.isascii() and seq.isdigit() and len(seq) < 10 else None


def _place(cursor: str) -> tuple[datetime, UUID] | None:
    at, _, pk = cursor.partition("~")
    found = _uuid(pk)
    try:
        return (clock_text.parse(at), found) if found else None
    except ValueError:
        return None


__all__ = [
    "CODES", "FAILED_ONLY", "MAX_AT_ONCE", "DeadLetter", "Filters", "MovedOn", "NeedsStatement", "Result", "find", "named",
    "redrive", "redrive_many",
]  # fmt: skip
