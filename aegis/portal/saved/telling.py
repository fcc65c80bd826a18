"""Mail about views that people follow: what is due, and what a mail says. The portal's side of `approvals.notices.followed`.

A subscription knows a place in the journal up to which nothing is to be told any more. Once a day, at the hour of the person's
daily mail, a worker looks whether the search finds anything between that place and its own end. The place moves in the
transaction that writes the notice, by a compare-and-set: of two workers, or after a crash, each event is told once. What the
mail says, and whether the person may still know, is asked when it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.urls import reverse

from aegis.core import clock
from aegis.core.db import in_transaction
from aegis.core.errors import Invalid
from aegis.identity.models import User
from aegis.portal.models import SavedView, Subscription, Telling
from aegis.portal.saved import subscriptions
from approvals.notices import modes, posting
from approvals.notices.followed import Told
from approvals.notices.models import NoticePreference
from approvals.notices.outbox import Undelivered
from approvals.pages import words
from audit import search, telling
from audit.index.models import Indexed
from audit.scopes import Reach, reach

log = structlog.get_logger(__name__)

AT_ONCE: Final = 50  # subscriptions in one round of a worker
TURN_SECONDS: Final = 2.0  # then the others wait for the next round: emergencies are told by the same thread
AGAIN: Final = timedelta(minutes=10)  # after a search that failed
COUNTED: Final = 10_000
SHOWN: Final = 5
MOST_CHARS: Final = 200  # of one sentence


class Views:
    """Implements `approvals.notices.followed.Source`."""

    def write_due(self) -> int:
        if not settings.TELLS_BY_MAIL:
            return 0  # they stay due, and the first mail says since when
        now, until = clock.db_now(), clock.monotonic() + TURN_SECONDS
        rows = Subscription.objects.filter(due_at__lte=now).select_related("person", "view").order_by("due_at", "person", "pk")
        due, written = list(rows[:AT_ONCE]), 0
        if not due:
            return 0
        through, chosen = _end(), modes.chosen({row.person_id for row in due})
        for row in due:
            written += _guarded(row, chosen, through, now)
            if clock.monotonic() >= until:
                break
        return written

    def is_seen(self, telling: UUID, person: User) -> bool:
        return _of(telling, person) is not None

    def told(self, telling: UUID, person: User) -> Told | None:
        row = _of(telling, person)
        return _told(row, person) if row is not None else None


def _guarded(row: Subscription, chosen: Mapping[UUID, NoticePreference], through: int, now: datetime) -> bool:
    """One that cannot be read keeps no other back, and is tried again."""
    try:
        return _look(row, chosen[row.person_id], through, now)
    except Exception:
        log.warning("view_not_told", subscription=str(row.pk), exc_info=True)
        _again(row, now + AGAIN)
        return False


def _look(row: Subscription, choice: NoticePreference, through: int, now: datetime) -> bool:
    """Move on to `through`, with a notice if there is anything new. True if one was written."""
    due_at = modes.next_hour(now, choice.hour)
    if row.due_at.hour != choice.hour or through < row.told:
        _again(row, due_at)  # the person chose another hour; or the search is being rebuilt and knows less than it did
        return False
    is_new = _is_told(row, choice) and _finds(row, through)

    def write() -> bool:
        mine = Subscription.objects.filter(pk=row.pk, told=row.told, due_at=row.due_at)
        if not mine.update(told=through, told_at=now, due_at=due_at):
            return False  # another worker was faster, or nobody wants it any more
        if is_new:
            covered = Telling.objects.create(subscription=row, after=row.told, through=through, since=row.told_at, at=now)
            posting.post_followed(covered.pk, now, to=row.person)
        return is_new

    return in_transaction(write)


def _is_told(row: Subscription, choice: NoticePreference) -> bool:
    """Whether this person gets mail about this view as things stand. If not, what passes meanwhile is not told later either."""
    wants = choice.mode != NoticePreference.Mode.NEVER and bool(row.person.email)
    return wants and SavedView.objects.visible_to(row.person).filter(pk=row.view_id).exists()


def _finds(row: Subscription, through: int) -> bool:
    try:
        return bool(_places(row.view, row.person, reach(row.person), row.told, through, 1))
    except Invalid:
        return False  # the page of the view says so


def _again(row: Subscription, at: datetime) -> None:
    Subscription.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=at)


def _end() -> int:
    """The last place that the search knows; -1 if it is empty."""
    last = Indexed.objects.order_by("-position").values_list("position", flat=True).first()
    return -1 if last is None else last


def _places(view: SavedView, person: User, seen: Reach, after: int, through: int, limit: int) -> list[int]:
    """Places of what a view finds for a person between two places, the newest first.

    Raises:
        Invalid: the view cannot be read.
    """
    asked = subscriptions.asked_by(view)
    rows = search.narrowed(asked, seen).since(after + 1).filter(position__lte=through)
    return search.newest(rows, asked, person, limit)


def _of(telling_id: UUID, person: User) -> Telling | None:
    """It is this person's, who wants it still and sees the view now."""
    mine = Telling.objects.filter(pk=telling_id, subscription__person=person.pk)
    seen = mine.filter(subscription__view__in=SavedView.objects.visible_to(person))
    return seen.select_related("subscription__view").first()


def _told(row: Telling, person: User) -> Told | None:
    if _end() < row.through:
        raise Undelivered("the search of the audit is being rebuilt")
    view, seen = row.subscription.view, reach(person)
    try:
        found = _places(view, person, seen, row.after, row.through, COUNTED + 1)
    except Invalid:
        return None
    if not found:
        return None  # what there was may not be seen any more
    told = telling.tell([hit.event for hit in search.at(found[:SHOWN], seen)], person)
    many = f"{COUNTED:,}+ new events" if len(found) > COUNTED else words.plural(len(found), "new event")
    newest = f"; the newest {len(told)}:" if len(found) > len(told) else ":"
    return Told(
        title=view.name,
        label=many,
        about=f"from {row.since:%Y-%m-%d %H:%M} to {row.at:%Y-%m-%d %H:%M} UTC{newest}",
        lines=[_line(one) for one in told],
        path=reverse("portal:views-view", args=[view.pk]),
        stop=f"{reverse('portal:views')}#view-{view.pk}",
    )


def _line(told: telling.Told) -> str:
    text = " ".join(told.sentence.split())
    return f"{told.event.at:%Y-%m-%d %H:%M} UTC: {text if len(text) <= MOST_CHARS else text[: MOST_CHARS - 1] + '…'}"
