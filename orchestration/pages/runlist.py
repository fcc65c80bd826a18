"""The list of runs: filters in the address, keyset paging, no count over the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from aegis.core import clock
from aegis.identity.models import User
from approvals.pages.words import Mark
from orchestration.engine import success
from orchestration.engine.models import Run
from orchestration.engine.querysets import RunQuerySet
from orchestration.pages import marks
from orchestration.workflows.models import Workflow

PAGE_SIZE = 50
PRIORITIES = ("1", "2", "3", "4", "5")
MAX_TEXT = 200
DAY = timedelta(hours=24)
DAYS = {"started": "Started", "ended": "Ended"}
PARTS_COME_UP = ("failed", "waiting_review", "waiting_decision", "held")  # statuses of which branches and items are listed too


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for. Values that mean nothing are dropped, so every address gives a page."""

    status: str = ""
    workflow: str = ""
    priority: str = ""
    day: str = ""  # what happened in the last 24 hours: "started" or "ended"
    q: str = ""
    before: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        status, workflow, priority = query.get("status", ""), query.get("workflow", ""), query.get("priority", "")
        return cls(
            status=status if status in marks.RUN_STATUSES or status == "open" else "",
            workflow=workflow[:MAX_TEXT],
            priority=priority if priority in PRIORITIES else "",
            day=day if (day := query.get("day", "")) in DAYS else "",
            q=query.get("q", "").strip().replace("\x00", "")[:MAX_TEXT],
            before=query.get("before", ""),
        )

    @property
    def narrows(self) -> bool:
        return bool(self.status or self.workflow or self.priority or self.day or self.q)

    def url(self, **changes: str) -> str:
        """The query string with some values changed; changing a filter goes back to the first page."""
        values = {"status": self.status, "workflow": self.workflow, "priority": self.priority, "day": self.day}
        values |= {"q": self.q, **changes}
        return "?" + urlencode({key: value for key, value in values.items() if value})


@dataclass(frozen=True, slots=True)
class Row:
    """One run."""

    run: Run
    mark: Mark
    success: Mark | None
    priority: Mark
    workflow: str
    requester: str


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    url: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list, newest first."""

    rows: Sequence[Row]
    filters: Filters
    menus: Sequence[tuple[str, str, Sequence[Choice]]] = field(default_factory=list)
    older: str = ""
    is_first: bool = True

    @property
    def etag_parts(self) -> list[object]:
        """Whatever decides what the list shows."""
        return [(row.run.pk, row.run.seq, row.run.status) for row in self.rows]


def page(user: User, filters: Filters) -> Page:
    """The runs `user` may see. Four queries beside those of visibility."""
    runs = _narrowed(Run.objects.visible_to(user), filters)
    found = list(
        runs.select_related("workflow", "requester")
        .only(
            "id", "business_key", "status", "step", "priority", "seq", "submitted_at", "ended_at",
            "workflow__title", "workflow__name", "requester__first_name", "requester__last_name", "requester__username",
        )
        .order_by("-submitted_at", "-id")[: PAGE_SIZE + 1]
    )  # fmt: skip
    shown = found[:PAGE_SIZE]
    older = filters.url(before=_cursor(shown[-1])) if len(found) > PAGE_SIZE else ""
    completed = [run.pk for run in shown if run.status == Run.Status.COMPLETED]
    successes = success.of_runs(completed) if completed else {}
    return Page(
        [_row(run, successes.get(run.pk, "")) for run in shown], filters, _menus(user, filters), older, not filters.before
    )


def _narrowed(runs: RunQuerySet, filters: Filters) -> RunQuerySet:
    if filters.status == "open":
        runs = runs.filter(ended_at__isnull=True)
    elif filters.status:
        runs = runs.filter(status=filters.status)
    if filters.workflow:
        runs = runs.filter(workflow__name=filters.workflow)
    if filters.priority:
        runs = runs.filter(priority=int(filters.priority))
    if not (filters.q or filters.status in PARTS_COME_UP):
        # Branches and items are shown on the page of their run; here they come up where somebody looks for what needs him.
        runs = runs.filter(parent__isnull=True)
    if filters.day:
        what = "submitted_at" if filters.day == "started" else "ended_at"
        runs = runs.filter(**{f"{what}__gte": clock.now() - DAY})
    if filters.q:
        runs = runs.filter(Q(business_key__startswith=filters.q) | _labelled(filters.q))
    if place := _place(filters.before):
        at, pk = place
        runs = runs.filter(Q(submitted_at__lt=at) | Q(submitted_at=at, id__lt=pk))
    return runs


def _labelled(text: str) -> Q:
    """A label ("RUN-3FA2C1"), part of one, or a whole id: a range of ids, so the primary key answers it."""
    digits = text.lower().removeprefix("run-").replace("-", "")
    if not (4 <= len(digits) <= 32) or any(char not in "0123456789abcdef" for char in digits):
        return Q(pk__in=[])
    return Q(pk__gte=UUID(digits.ljust(32, "0")), pk__lte=UUID(digits.ljust(32, "f")))


def _cursor(run: Run) -> str:
    return f"{run.submitted_at.isoformat()}~{run.pk.hex}"


def _place(cursor: str) -> tuple[datetime, UUID] | None:
    at, _, pk = cursor.partition("~")
    try:
        moment = parse_datetime(at)
        return (moment, UUID(pk)) if moment is not None and moment.tzinfo is not None else None
    except ValueError:
        return None


def _row(run: Run, succeeded: str) -> Row:
    return Row(
        run=run,
        mark=marks.status(run.status),
        success=marks.SUCCESSES.get(succeeded),
        priority=marks.priority(run.priority),
        workflow=str(run.workflow),
        requester=run.requester.display_name if run.requester else "AEGIS",
    )


def _menus(user: User, filters: Filters) -> list[tuple[str, str, list[Choice]]]:
    """Each filter as a menu of links: (key, label, choices)."""
    workflows: list[Any] = list(Workflow.objects.visible_to(user).order_by("title", "name").values_list("name", "title"))
    statuses = [("open", "Not ended"), *((name, mark.word) for name, mark in marks.RUN_STATUSES.items())]
    return [
        ("status", "Status", _choices("status", statuses, filters)),
        ("workflow", "Workflow", _choices("workflow", [(name, title or name) for name, title in workflows], filters)),
        ("priority", "Priority", _choices("priority", [(tier, f"Priority {tier}") for tier in PRIORITIES], filters)),
        ("day", "Last 24 hours", _choices("day", list(DAYS.items()), filters)),
    ]


def _choices(key: str, pairs: Sequence[tuple[str, str]], filters: Filters) -> list[Choice]:
    chosen = getattr(filters, key)
    any_ = Choice("", "Any", filters.url(**{key: ""}), not chosen)
    return [any_, *(Choice(value, label, filters.url(**{key: value}), value == chosen) for value, label in pairs)]
