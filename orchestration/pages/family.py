"""The family of a run on its page: what forked it, and what it forked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, Sum

from aegis.identity.models import User
from approvals.pages.words import Mark
from orchestration.engine import state as states
from orchestration.engine.models import Run
from orchestration.pages import marks
from orchestration.workflows import parts
from orchestration.workflows.definition import Definition, MapStep, ParallelStep, RunStep

MAX_SHOWN = 200
_PASSED = Mark("green", "check-circle", "passed")


@dataclass(frozen=True, slots=True)
class Row:
    """A child run. `part` is what it is of its block, in the words of `parts.name_of`."""

    run: Run
    block: str
    part: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Family:
    """`parent` is None for a run that was submitted, and for a reader who may not see it."""

    parent: Run | None
    rows: Sequence[Row]
    is_cut: bool

    @property
    def open_rows(self) -> list[Row]:
        return [row for row in self.rows if row.run.ended_at is None]


def of_run(user: User, run: Run, definition: Definition | None) -> Family:
    """What the reader may see of it. One query for the children, one for a parent."""
    visible = Run.objects.visible_to(user)
    parent = visible.filter(pk=run.parent_id).first() if run.parent_id else None
    found = list(
        visible.filter(parent=run)
        .select_related("workflow")
        .order_by("submitted_at", "parent_step", "parent_visit", "ordinal")[: MAX_SHOWN + 1]
    )
    rows = [_row(child, run, definition) for child in found[:MAX_SHOWN]]
    return Family(parent, rows, len(found) > MAX_SHOWN)


def inner_marks(user: User, run: Run) -> dict[str, Mark]:
    """What the steps inside the blocks of a run are doing, in the child runs that the reader may see. One query.

    Of many items in one step the first that has not passed it is told.
    """
    below = Q(parent=run) | Q(parent__parent=run) | Q(parent__parent__parent=run)
    found = Run.objects.visible_to(user).filter(below, workflow_id=run.workflow_id).order_by("-submitted_at", "ordinal")
    told: dict[str, Mark] = {}
    for text, status in found.values_list("state", "status")[:MAX_SHOWN]:
        state = states.load(text)
        for step in state.visits:
            is_here = step == state.step and status != Run.Status.COMPLETED
            if is_here and told.get(step, _PASSED) == _PASSED:
                told[step] = marks.status(status)
            told.setdefault(step, _PASSED)
    return told


def etag_parts(run: Run) -> list[object]:
    """Moves whenever a child does."""
    return [Run.objects.filter(parent=run).aggregate(total=Sum("seq"))["total"]]


def _row(child: Run, run: Run, definition: Definition | None) -> Row:
    return Row(child, child.parent_step, _part(child, run, definition), marks.status(child.status))


def _part(child: Run, run: Run, definition: Definition | None) -> str:
    try:
        step = definition.step(child.parent_step) if definition else None
    except KeyError:
        step = None
    if isinstance(step, ParallelStep | MapStep | RunStep):
        return parts.name_of(step, child.ordinal)
    return f"workflow {child.workflow}" if child.workflow_id != run.workflow_id else f"part {child.ordinal + 1}"
