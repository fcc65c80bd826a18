"""Floor locks whose review is due. A lock never changes: it is reviewed by another one that ends it and names the next date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from aegis.core import canonical, clock
from aegis.core.visibility import Viewer
from audit.alerts.states import READ, Standing, State
from orchestration.authority.lookups import ended_locks
from orchestration.authority.models import FloorLock


@dataclass(frozen=True, slots=True)
class Due:
    """A lock that stands, and was to be reviewed by the end of `by` (UTC)."""

    name: str
    owner: str
    by: date

    @property
    def since(self) -> datetime:
        return datetime.combine(self.by + timedelta(days=1), time(), UTC)

    @property
    def words(self) -> str:
        return f"{self.owner} was to review it: set a lock that ends it and names the next date. Due since"

    @property
    def url(self) -> str:
        return f"{reverse('portal:open', args=['FloorLock'])}?{urlencode({'name': self.name})}"


def of_all(user: Viewer) -> list[Due]:
    """Those that a person may see, the longest overdue first. Two queries beside his rights."""
    seen = set(FloorLock.objects.visible_to(user).values_list("name", flat=True))
    return [one for one in _due(clock.now()) if one.name in seen] if seen else []


def _due(now: datetime) -> list[Due]:
    """
    Args:
        now: in UTC.
    """
    rows = FloorLock.objects.values_list("name", "document")
    locks = {name: canonical.parse(document) for name, document in rows}
    ended = ended_locks(locks)
    found = [
        Due(name, lock["spec"]["owner"], date.fromisoformat(lock["spec"]["review_date"]))
        for name, lock in locks.items()
        if name not in ended and "review_date" in lock["spec"]
    ]
    return sorted((one for one in found if one.by < now.date()), key=lambda one: (one.by, one.name))


def _look(now: datetime, within: timedelta) -> Sequence[Standing]:
    return [
        Standing((one.name,), f"{one.owner} was to review it by {one.by}", (now - one.since).total_seconds(), one.url, "access",
                 "", one.since)
        for one in _due(now.astimezone(UTC))[:READ]
    ]  # fmt: skip


#: For rules of alerts.
STATE: Final = State("lock_review_due", "The review of a floor lock is due", "lock", _look)
