"""Telling people what waits for them: an outbox written with the event, handed out and sent by a thread of the worker.

A notice is a row of the event's own transaction, so nothing is told that did not happen and nothing is forgotten. Who hears of
it is found when it is handed out, and asked again when it is sent: nobody is told of a request that he may not see by then. An
attempt is written down before it is made, so that two workers never make the same one; after a crash it is made again under the
same message id. Failing ones wait longer each time and are given up after `GIVE_UP`, visibly; `again` sends them once more.
What fails keeps nothing else back: each notice is built by itself, and mail never waits for the webhook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q
from django.db.models.expressions import Combinable

from aegis.core import clock
from aegis.core.db import in_transaction
from aegis.identity.models import User
from approvals.notices import audience, followed, mail, modes, posting
from approvals.notices.models import Delivery, Notice, NoticePreference

log = structlog.get_logger(__name__)

GIVE_UP: Final = timedelta(hours=48)  # after the first attempt
PAGE: Final = 50
LEASE: Final = timedelta(minutes=5)  # longer than an attempt takes
_FIRST_WAIT: Final = timedelta(seconds=30)
_LONGEST_WAIT: Final = timedelta(hours=2)

_RELATED: Final = (
    "notice__request__policy", "notice__delegation__delegator", "notice__delegation__delegate",
    "notice__taken_right__person", "notice__taken_right__area", "notice__alert", "person",
)  # fmt: skip

Sender = Callable[[Delivery], None]
_webhook: list[Sender] = []


class Undelivered(Exception):
    """An attempt failed; says how, without quoting secrets or what the other side sent."""


class Silent(Undelivered):
    """There was no answer in time; the next message would wait as long."""


def register_webhook(sender: Sender) -> None:
    """Called at start-up by the room that may open connections. It raises `Undelivered`."""
    _webhook[:] = [sender]


def look() -> int:
    """Write what is new of what people follow, hand out what waits, then send what is due. How many attempts were made."""
    if not posting.is_telling():
        return 0
    try:
        followed.write_due()
    except Exception:
        log.exception("followed_failed")  # it is due still; nobody waits for it
    hand_out()
    return deliver()


def hand_out() -> int:
    """Write the deliveries of waiting notices; one that cannot be built waits as a failed attempt does. Returns how many."""
    now = clock.db_now()
    waiting = Notice.objects.filter(Q(next_at__isnull=True) | Q(next_at__lte=now), handed_at__isnull=True, dead_at__isnull=True)
    waiting = waiting.select_related("request__policy", "delegation", "taken_right", "alert").order_by(
        *_urgent("taken_right"), "at"
    )
    done = 0
    for notice in waiting[:PAGE]:
        try:
            done += _hand_out(notice)
        except Exception as error:
            log.warning("notice_not_built", notice=str(notice.pk), fault=type(error).__name__)
            _not_built(notice)
    return done


def deliver() -> int:
    """Make every attempt that is due, mail first. Returns how many."""
    return sum(_pass(channel) for channel in (Delivery.Channel.MAIL, Delivery.Channel.WEBHOOK))


def lost(since: datetime) -> dict[str, int]:
    """How much was given up since then: channel -> messages, "" -> notices that could not be built. Two queries."""
    rows = Delivery.objects.filter(dead_at__gte=since).order_by().values_list("channel").annotate(Count("pk"))
    unbuilt = Notice.objects.filter(dead_at__gte=since).count()
    return {**dict(rows), **({"": unbuilt} if unbuilt else {})}


def _pass(channel: Delivery.Channel) -> int:
    """The due attempts of one channel, emergencies first; what is for a receiver that did not answer in time waits for the next
    pass."""
    due = Delivery.objects.filter(channel=channel, sent_at__isnull=True, dead_at__isnull=True, due_at__lte=clock.db_now())
    made, done, silent = 0, set(), set()
    for row in due.select_related(*_RELATED).order_by(*_urgent("notice__taken_right"), "due_at", "pk")[:PAGE]:
        receiver = _receiver(row)
        if row.pk in done or receiver in silent:
            continue
        batch = _with_it(row)
        taken = [one for one in batch if _take(one)]
        done |= {one.pk for one in batch}
        if taken:
            made += 1
            if not _attempt(taken):
                silent.add(receiver)
    return made


def _urgent(path: str) -> tuple[Combinable]:
    """To order by: what tells of an emergency comes first, however much else waits."""
    return (ExpressionWrapper(Q(**{f"{path}__isnull": True}), output_field=BooleanField()),)


def _receiver(row: Delivery) -> str:
    """One server each: the mail server, the webhook, that of emergencies if it is another."""
    is_apart = row.channel == Delivery.Channel.WEBHOOK and row.notice.taken_right_id and settings.EMERGENCY_WEBHOOK_URL
    return f"{row.channel} of emergencies" if is_apart else str(row.channel)


def _hand_out(notice: Notice) -> bool:
    people = audience.recipients(notice) if settings.TELLS_BY_MAIL else []

    def write() -> bool:
        now = clock.db_now()
        if not Notice.objects.filter(pk=notice.pk, handed_at__isnull=True).update(handed_at=now):
            return False  # another worker was faster
        Delivery.objects.bulk_create(_deliveries(notice, people, now))
        return True

    return in_transaction(write)


def _deliveries(notice: Notice, people: Sequence[User], now: datetime) -> list[Delivery]:
    digests = NoticePreference.objects.filter(person__in=people, mode=NoticePreference.Mode.DIGEST)
    if notice.taken_right_id:
        digests = digests.none()  # an emergency waits for no daily mail
    hours = {one.person_id: one.hour for one in digests} if people else {}
    rows = [
        Delivery(
            notice=notice,
            channel=Delivery.Channel.MAIL,
            person=person,
            is_digest=person.pk in hours,
            # What is followed is posted when the hour has come: the mail of that hour takes it along.
            due_at=modes.next_hour(now, hours[person.pk]) if person.pk in hours and notice.telling is None else now,
        )
        for person in people
    ]
    if posting.tells_by_webhook(notice):
        rows.append(Delivery(notice=notice, channel=Delivery.Channel.WEBHOOK, due_at=now))
    return rows


def _not_built(notice: Notice) -> None:
    now, mine = clock.db_now(), Notice.objects.filter(pk=notice.pk, handed_at__isnull=True)
    since = notice.tried_since or now
    if now - since >= GIVE_UP:
        mine.update(dead_at=now, attempts=F("attempts") + 1)
    else:
        mine.update(next_at=now + _wait(notice.attempts + 1), attempts=F("attempts") + 1, tried_since=since)


def _with_it(row: Delivery) -> Sequence[Delivery]:
    """A digest takes all of its person that are due; everything else goes alone."""
    if not row.is_digest:
        return [row]
    mine = Delivery.objects.filter(
        person=row.person, is_digest=True, sent_at__isnull=True, dead_at__isnull=True, due_at__lte=clock.db_now()
    )
    return list(mine.select_related(*_RELATED).order_by("notice__at", "pk")[:PAGE])


def _take(row: Delivery) -> bool:
    """Write the attempt down before it is made; False if another worker makes it. The lease counts from this moment, however
    long the attempts before it took."""
    now = clock.db_now()
    mine = Delivery.objects.filter(pk=row.pk, sent_at__isnull=True, dead_at__isnull=True, due_at=row.due_at)
    row.tried_since = row.tried_since or now
    if not mine.update(due_at=now + LEASE, attempts=F("attempts") + 1, tried_since=row.tried_since):
        return False
    row.attempts += 1
    return True


def _attempt(rows: Sequence[Delivery]) -> bool:
    """False: nobody answered in time."""
    began = clock.monotonic()
    try:
        if rows[0].channel == Delivery.Channel.WEBHOOK:
            _webhook[0](rows[0])
        elif (message := _built(rows)) is not None:
            message.send()
    except _PartlyUnbuilt as error:
        _failed(error.broken, error.fault)
        return _attempt([row for row in rows if row not in error.broken])
    except Undelivered as error:
        _failed(rows, str(error))
        return not isinstance(error, Silent)
    except Exception as error:  # a mail server may raise anything; what it said may quote the password
        log.warning("notice_failed", delivery=str(rows[0].pk), fault=type(error).__name__)
        _failed(rows, type(error).__name__)
        # By the time it took: smtplib calls a greeting that never came a lost connection.
        return not isinstance(error, TimeoutError) and clock.monotonic() - began < settings.EMAIL_TIMEOUT
    else:
        Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(sent_at=clock.db_now(), detail="")
    return True


class _PartlyUnbuilt(Exception):
    """Some of a digest cannot be built; the others go without them."""

    def __init__(self, broken: Sequence[Delivery], fault: str) -> None:
        super().__init__(fault)
        self.broken, self.fault = broken, fault


def _built(rows: Sequence[Delivery]) -> EmailMultiAlternatives | None:
    """The mail of these; None where its reader may see none of them any more."""
    person = rows[0].person
    assert person is not None
    try:
        visible = [row for row in rows if person.is_active and audience.sees(person, row.notice)]
        return mail.build(person, visible) if visible else None
    except Exception as error:
        broken = [row for row in rows if _breaks(row)] if len(rows) > 1 else []
        if not broken or len(broken) == len(rows):
            raise
        log.warning("notice_failed", delivery=str(broken[0].pk), fault=type(error).__name__)
        raise _PartlyUnbuilt(broken, type(error).__name__) from error


def _breaks(row: Delivery) -> bool:
    try:
        _built([row])
    except Exception:
        return True
    return False


def _failed(rows: Sequence[Delivery], detail: str) -> None:
    now = clock.db_now()
    for row in rows:
        mine = Delivery.objects.filter(pk=row.pk)
        if now - (row.tried_since or now) >= GIVE_UP:
            mine.update(dead_at=now, detail=detail[:200])
        else:
            mine.update(due_at=now + _wait(row.attempts), detail=detail[:200])


def _wait(attempts: int) -> timedelta:
    return min(_FIRST_WAIT * (1 << min(attempts - 1, 10)), _LONGEST_WAIT)
