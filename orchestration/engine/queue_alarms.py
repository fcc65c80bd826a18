"""What is wrong with review queues: work over its service time, nobody who works on it, nobody who answers for it.

Computed when asked, from what stands. An item whose clock a halt stopped is not late.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.models import Group
from django.db.models import Count, Exists, Min, OuterRef, Q
from django.urls import reverse

from aegis.core import canonical, clock
from aegis.core.visibility import Viewer
from audit.alerts.states import Standing, State
from orchestration.engine.models import QueueSkill, ReviewItem, ReviewQueue

_OPEN: Final = (ReviewItem.Status.OPEN, ReviewItem.Status.CLAIMED)


@dataclass(frozen=True, slots=True)
class QueueAlarm:
    """One thing that is wrong with one queue.

    Attributes:
        code: overdue, nobody_works, nobody_skilled, nobody_answers.
        since: overdue: when the oldest of them should have been settled.
    """

    queue_id: UUID
    queue: str
    title: str
    owner: str
    code: str
    tone: str
    words: str
    count: int = 0
    since: datetime | None = None


def of_all(user: Viewer) -> list[QueueAlarm]:
    """Alarms of every queue that a person may see, the worst first. Four queries, whatever waits there."""
    return _alarms(ReviewQueue.objects.visible_to(user))


def _late(now: datetime, within: timedelta) -> Sequence[Standing]:
    """The state `queue_overdue`."""
    late = [alarm for alarm in _alarms(ReviewQueue.objects.all()) if alarm.code == "overdue"]
    return [
        Standing(
            (one.queue,), one.words, one.count, f"{reverse('review:list')}?{urlencode({'queue': one.queue})}", "queue",
            str(one.queue_id), one.since,
        )
        for one in late
    ]  # fmt: skip


#: For rules of alerts.
STATE: Final = State("queue_overdue", "A review queue is past its service time", "queue", _late)


def of_one(queue: ReviewQueue) -> list[QueueAlarm]:
    return _alarms(ReviewQueue.objects.filter(pk=queue.pk))


def _alarms(queues: Any) -> list[QueueAlarm]:
    through = ReviewQueue.groups.through.objects.filter(reviewqueue=OuterRef("pk"), group__user__is_active=True)
    rows = list(queues.annotate(has_people=Exists(through)).order_by("name"))
    if not rows:
        return []
    owners = {row.pk: str(canonical.parse(row.document)["spec"].get("owner", "")) for row in rows}
    manned = set(Group.objects.filter(name__in=set(owners.values()), user__is_active=True).values_list("name", flat=True))
    late = Q(items__status__in=_OPEN, items__due_at__lt=clock.now(), items__frozen_at__isnull=True)
    overdue = {
        pk: (count, oldest)
        for pk, count, oldest in ReviewQueue.objects.filter(late, pk__in=[row.pk for row in rows])
        .values_list("pk")
        .annotate(count=Count("items"), oldest=Min("items__due_at"))
        .order_by()
    }
    unskilled = _unskilled([row.pk for row in rows])
    found = [
        alarm
        for row in rows
        for alarm in _of(row, owners[row.pk], owners[row.pk] in manned, overdue.get(row.pk), unskilled.get(row.pk, []))
    ]
    return sorted(
        found, key=lambda alarm: (alarm.tone != "red", alarm.since.timestamp() if alarm.since else math.inf, alarm.queue)
    )


def _unskilled(queues: Collection[UUID]) -> dict[UUID, list[tuple[str, int]]]:
    """Queue -> (skill, how many open items ask for it), where nobody who is active works there and has it. One query."""
    workers = ReviewQueue.groups.through.objects.filter(
        reviewqueue=OuterRef(OuterRef("queue")), group__user=OuterRef("group__user"), group__user__is_active=True
    )
    skilled = QueueSkill.objects.filter(Exists(workers), queue=OuterRef("queue"), name=OuterRef("skill"))
    rows = ReviewItem.objects.filter(status__in=_OPEN, queue__in=queues).exclude(skill="").exclude(Exists(skilled))
    found: dict[UUID, list[tuple[str, int]]] = {}
    for queue, skill, count in rows.values_list("queue", "skill").annotate(count=Count("pk")).order_by("skill"):
        found.setdefault(queue, []).append((skill, count))
    return found


def _of(
    row: Any, owner: str, is_manned: bool, overdue: tuple[int, datetime] | None, unskilled: Iterable[tuple[str, int]]
) -> Iterable[QueueAlarm]:
    about = (row.pk, row.name, str(row), owner)
    if overdue is not None:
        count, since = overdue
        words = f"{count} item{'s are' if count > 1 else ' is'} over the service time; {owner or 'nobody'} answers for it."
        yield QueueAlarm(*about, "overdue", "red", words, count, since)
    if not row.has_people:
        yield QueueAlarm(*about, "nobody_works", "red", "Nobody who is active is in the groups that work on it.")
    for skill, count in unskilled:
        what = "item asks" if count == 1 else "items ask"
        words = f"{count} {what} for “{skill}”, and nobody who is active and works here has it."
        yield QueueAlarm(*about, "nobody_skilled", "red", words, count)
    if not is_manned:
        yield QueueAlarm(
            *about, "nobody_answers", "amber", f"Nobody who is active is in {owner or 'its owner'}, which answers for it."
        )
