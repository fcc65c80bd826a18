"""How people chose to hear of things, and when the hour of the daily mail is next."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from approvals.notices.models import NoticePreference


def chosen(people: Collection[UUID]) -> dict[UUID, NoticePreference]:
    """What each of these chose; who chose nothing hears of each at once. One query."""
    kept = {row.person_id: row for row in NoticePreference.objects.filter(person__in=people)}
    return {person: kept.get(person) or NoticePreference(person_id=person) for person in people}


def next_hour(now: datetime, hour: int) -> datetime:
    """The next moment, after `now`, at which it is `hour` UTC."""
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)
