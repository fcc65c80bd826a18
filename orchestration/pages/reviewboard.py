"""The list of review items: by queue, with what each queue promises and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count

from aegis.core import canonical, clock
from aegis.identity.models import User
from approvals.pages import words
from approvals.pages.words import Mark
from orchestration.engine import queue_alarms
from orchestration.engine.models import ReviewItem, ReviewQueue
from orchestration.engine.queue_alarms import QueueAlarm
from orchestration.pages import marks

OPEN = (ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED)
TABS = {"open": "Open", "mine": "Claimed by me", "done": "Done"}
ORDERS = {"": "Priority, then due, then oldest", "due": "Due first"}
MAX_ROWS = 100


@dataclass(frozen=True, slots=True)
class Filters:
    tab: str = "open"
    queue: str = ""
    skill: str = ""
    order: str = ""  # "due": what is due first, whatever its priority

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Filters:
        tab = query.get("tab", "")
        order = "due" if query.get("order") == "due" else ""
        return cls(tab if tab in TABS else "open", query.get("queue", "")[:80], query.get("skill", "")[:80], order)

    def query(self, **changes: str) -> str:
        values = {"tab": self.tab, "queue": self.queue, "skill": self.skill, "order": self.order, **changes}
        kept = {key: value for key, value in values.items() if value and (key, value) != ("tab", "open")}
        return f"?{urlencode(kept)}"


@dataclass(frozen=True, slots=True)
class Row:
    item: ReviewItem
    priority: Mark
    mark: Mark
    left: Mark
    why: str
    claimed_by: str


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue with its items."""

    queue: ReviewQueue
    rows: Sequence[Row]
    open: int
    may_work: bool
    owner: str  # the group that answers for it
    service_time: str
    alarms: Sequence[QueueAlarm] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """The list page."""

    filters: Filters
    queues: Sequence[QueueView]
    names: Sequence[tuple[str, str, str, bool]]  # name, title, query, is chosen
    tabs: Sequence[tuple[str, str, bool]]  # label, query, is on
    skills: Sequence[tuple[str, str, bool]]  # the same, of the skills that the queues shown know
    orders: Sequence[tuple[str, str, bool]]  # the same, of orders
    is_cut: bool

    @property
    def etag_parts(self) -> list[object]:
        rows = [(row.item.pk, row.item.seq, row.item.status, row.left.word) for view in self.queues for row in view.rows]
        return [self.filters, rows, [alarm.words for view in self.queues for alarm in view.alarms]]


def board(user: User, filters: Filters) -> Board:
    """Items by queue: by the priority of their runs, then due first, then oldest; or by when they are due alone. The number of
    queries does not grow with items or queues."""
    now = clock.now()
    queues = {queue.pk: queue for queue in ReviewQueue.objects.visible_to(user).order_by("title", "name")}
    workable = set(ReviewQueue.objects.visible_to(user, "operate").values_list("pk", flat=True))
    items = ReviewItem.objects.filter(queue__in=list(queues)).select_related("run", "run__workflow", "claimed_by")
    counts = dict(
        ReviewItem.objects.filter(queue__in=list(queues), status__in=OPEN).values_list("queue").annotate(Count("pk")).order_by()
    )
    match filters.tab:
        case "mine":
            items = items.filter(status=ReviewItem.Status.CLAIMED, claimed_by=user).order_by("due_at", "opened_at", "pk")
        case "done":
            items = items.exclude(status__in=OPEN).order_by("-settled_at", "pk")
        case _:
            first = () if filters.order else ("run__priority",)
            items = items.filter(status__in=OPEN).order_by(*first, "due_at", "opened_at", "pk")
    if filters.queue:
        items = items.filter(queue__name=filters.queue)
    if filters.skill:
        items = items.filter(skill=filters.skill)
    found = list(items.defer("run__state")[: MAX_ROWS + 1])
    by_queue: dict[Any, list[Row]] = {}
    for item in found[:MAX_ROWS]:
        by_queue.setdefault(item.queue_id, []).append(_row(item, now))
    wrong: dict[Any, list[QueueAlarm]] = {}
    for alarm in queue_alarms.of_all(user):
        wrong.setdefault(alarm.queue_id, []).append(alarm)
    views = [
        QueueView(queue, by_queue.get(pk, []), counts.get(pk, 0), pk in workable, *_promise(queue), wrong.get(pk, ()))
        for pk, queue in queues.items()
        if filters.queue in ("", queue.name)
    ]
    return Board(
        filters=filters,
        queues=views,
        names=[
            (queue.name, str(queue), filters.query(queue=queue.name), queue.name == filters.queue) for queue in queues.values()
        ],
        tabs=[(label, filters.query(tab=key), key == filters.tab) for key, label in TABS.items()],
        skills=_skills(views, filters),
        orders=[(label, filters.query(order=key), key == filters.order) for key, label in ORDERS.items()],
        is_cut=len(found) > MAX_ROWS,
    )


def _skills(views: Sequence[QueueView], filters: Filters) -> list[tuple[str, str, bool]]:
    """Skills of the queues that the reader sees, and one that is asked for though none of them knows it."""
    known = {skill for view in views for skill in canonical.parse(view.queue.document)["spec"].get("skills", {})}
    named = sorted(known | {filters.skill} - {""})
    chips = [("Any skill", filters.query(skill=""), not filters.skill)] if named else []
    return chips + [(skill, filters.query(skill=skill), skill == filters.skill) for skill in named]


def _promise(queue: ReviewQueue) -> tuple[str, str]:
    """Who answers for a queue, and within what time its work is to be done."""
    spec = canonical.parse(queue.document)["spec"]
    return str(spec.get("owner", "")), str(spec["service_time"])


def _row(item: ReviewItem, now: datetime) -> Row:
    return Row(
        item=item,
        priority=marks.priority(item.run.priority),
        mark=marks.item_status(item.status),
        left=words.left(item.due_at, now),
        why=marks.code_words(item.code),
        claimed_by=item.claimed_by.display_name if item.claimed_by else "",
    )
