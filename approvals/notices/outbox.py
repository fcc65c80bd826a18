"""Telling people what waits for them: an outbox written with the event, handed out and sent by a thread of the worker.

A notice is a row of the event's own transaction, so nothing is told that did not happen and nothing is forgotten. Who hears of
it is found when it is handed out, and asked again when it is sent: nobody is told of a request that he may not see by then. An
attempt is written down before it is made, so that two workers never make the same one; after a crash it is made again under the
same message id. Failing ones wait longer each time and are given up after `MAX_ATTEMPTS`, visibly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import F

from aegis.core import clock
from aegis.core.db import in_transaction
from aegis.identity.models import User
from approvals import holding, questions
from approvals.electors import active_people, spoken_by, standing_decisions
from approvals.models import ApprovalRequest
from approvals.notices import mail
from approvals.notices.models import Delivery, Notice, NoticePreference
from approvals.pages.standing import standing

log = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 8
PAGE: Final = 50
LEASE: Final = timedelta(minutes=5)  # longer than an attempt takes
_FIRST_WAIT: Final = timedelta(seconds=30)
_LONGEST_WAIT: Final = timedelta(hours=2)
_ASKING: Final = (Notice.Kind.ASKED, Notice.Kind.REMINDED, Notice.Kind.ESCALATED)

Sender = Callable[[Delivery], None]
_webhook: list[Sender] = []


class Undelivered(Exception):
    """An attempt failed; says how, without quoting secrets or what the other side sent."""


def register_webhook(sender: Sender) -> None:
    """Called at start-up by the room that may open connections. It raises `Undelivered`."""
    _webhook[:] = [sender]


def look() -> int:
    """Hand out what waits, then send what is due. Returns how many attempts were made."""
    if not (settings.TELLS_BY_MAIL or settings.TELLS_BY_WEBHOOK):
        return 0
    hand_out()
    return deliver()


def hand_out() -> int:
    """Write the deliveries of waiting notices. Returns how many notices."""
    waiting = Notice.objects.filter(handed_at__isnull=True).order_by("at").values_list("pk", flat=True)[:PAGE]
    return sum(in_transaction(lambda pk=pk: _hand_out(pk)) for pk in list(waiting))  # type: ignore[misc]


def deliver() -> int:
    """Make every attempt that is due. Returns how many."""
    now = clock.db_now()
    due = Delivery.objects.filter(sent_at__isnull=True, dead_at__isnull=True, due_at__lte=now).order_by("due_at", "pk")
    made, done = 0, set()
    for row in due.select_related("notice__request__policy", "person")[:PAGE]:
        if row.pk in done:
            continue
        batch = _with_it(row, now)
        taken = [one for one in batch if _take(one, now)]
        done |= {one.pk for one in batch}
        if taken:
            made += 1
            _attempt(taken)
    return made


def lost_webhooks(since: datetime) -> int:
    """How many messages to the webhook were given up since then. One query."""
    return Delivery.objects.filter(channel=Delivery.Channel.WEBHOOK, dead_at__gte=since).count()


def recipients(notice: Notice) -> list[User]:
    """Who hears of it, as things stand now: active people with an address who may see the request, not in mode `never`."""
    request = notice.request
    wanted = _asked(request) if notice.kind in _ASKING else _concerned(request, with_asked=notice.kind == Notice.Kind.SHORT)
    silent = NoticePreference.objects.filter(mode=NoticePreference.Mode.NEVER).values("person")
    people = User.objects.filter(pk__in=wanted, is_active=True).exclude(email="").exclude(pk__in=silent).order_by("pk")
    return [one for one in people if _sees(one, request)]


def _sees(person: User, request: ApprovalRequest) -> bool:
    return ApprovalRequest.objects.visible_to(person).filter(pk=request.pk).exists()


def _asked(request: ApprovalRequest) -> set[str]:
    """Who could decide the stage now asked, if it is still open."""
    if request.status != "open":
        return set()
    live = questions.get(request.question).live(request.subject)
    spoken = {who for vote in standing_decisions(request) for who in spoken_by(vote)}
    groups = standing(request).policy.stages[request.stage].asked(request.escalated)
    people = active_people(groups, without=holding.bound_by(request, live) | spoken)
    return {person for members in people.values() for person in members}


def _concerned(request: ApprovalRequest, *, with_asked: bool) -> set[str]:
    """Who asked for it, and who has voted; of an alarm, also those who are left."""
    voters = {str(vote.person_id) for vote in standing_decisions(request)}
    asked = {str(request.requester_id)} if request.requester_id else set()
    return voters | asked | (_asked(request) if with_asked else set())


def _hand_out(pk: UUID) -> bool:
    now = clock.db_now()
    if not Notice.objects.filter(pk=pk, handed_at__isnull=True).update(handed_at=now):
        return False  # another worker was faster
    notice = Notice.objects.select_related("request__policy").get(pk=pk)
    rows = []
    if settings.TELLS_BY_MAIL:
        people = recipients(notice)
        hours = {
            one.person_id: one.hour
            for one in NoticePreference.objects.filter(person__in=people, mode=NoticePreference.Mode.DIGEST)
        }
        rows += [
            Delivery(
                notice=notice,
                channel=Delivery.Channel.MAIL,
                person=person,
                is_digest=person.pk in hours,
                due_at=_next_digest(now, hours[person.pk]) if person.pk in hours else now,
            )
            for person in people
        ]
    if settings.TELLS_BY_WEBHOOK:
        rows.append(Delivery(notice=notice, channel=Delivery.Channel.WEBHOOK, due_at=now))
    Delivery.objects.bulk_create(rows)
    return True


def _next_digest(now: datetime, hour: int) -> datetime:
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _with_it(row: Delivery, now: datetime) -> Sequence[Delivery]:
    """A digest takes all of its person that are due; everything else goes alone."""
    if not row.is_digest:
        return [row]
    mine = Delivery.objects.filter(
        person=row.person, is_digest=True, sent_at__isnull=True, dead_at__isnull=True, due_at__lte=now
    )
    return list(mine.select_related("notice__request__policy", "person").order_by("notice__at", "pk")[:PAGE])


def _take(row: Delivery, now: datetime) -> bool:
    """Write the attempt down before it is made; False if another worker makes it."""
    mine = Delivery.objects.filter(pk=row.pk, sent_at__isnull=True, dead_at__isnull=True, due_at=row.due_at)
    if not mine.update(due_at=now + LEASE, attempts=F("attempts") + 1):
        return False
    row.attempts += 1
    return True


def _attempt(rows: Sequence[Delivery]) -> None:
    try:
        if rows[0].channel == Delivery.Channel.WEBHOOK:
            _webhook[0](rows[0])
        else:
            _mail(rows)
    except Undelivered as error:
        _failed(rows, str(error))
    except Exception as error:  # a mail server may raise anything; what it said may quote the password
        log.warning("notice_failed", delivery=str(rows[0].pk), fault=type(error).__name__)
        _failed(rows, type(error).__name__)
    else:
        Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(sent_at=clock.db_now(), detail="")


def _mail(rows: Sequence[Delivery]) -> None:
    person = rows[0].person
    assert person is not None
    visible = [row for row in rows if person.is_active and _sees(person, row.notice.request)]
    if visible:
        mail.send(person, visible)


def _failed(rows: Sequence[Delivery], detail: str) -> None:
    now = clock.db_now()
    for row in rows:
        mine = Delivery.objects.filter(pk=row.pk)
        if row.attempts >= MAX_ATTEMPTS:
            mine.update(dead_at=now, detail=detail[:200])
        else:
            wait = min(_FIRST_WAIT * 2 ** (row.attempts - 1), _LONGEST_WAIT)
            mine.update(due_at=now + wait, detail=detail[:200])
