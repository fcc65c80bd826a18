"""Reviews that were not done in time: for each such role one proposal to drop what nobody used, and the record that it lapsed.

Called by the housekeeping of every worker. Nothing is dropped by time: two people decide the proposal like any other. It is
opened once for each due date; again only if its base moved or it was answered in part, for then the role is due still. What is
judged is the time between two reviews: grants that no verdict rested on in as many days.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction

from aegis.core import canonical, clock, clock_text
from aegis.core.actors import SYSTEM
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError
from aegis.core.kinds import Key, Overlay
from aegis.identity.authority import current_epoch, raise_epoch
from approvals import changes
from approvals.models import ChangeSet
from audit import journal
from audit.drafts import Context, Draft
from orchestration.authority import confirming, role_reviews, shedding
from orchestration.authority.live import STREAM
from orchestration.authority.live import current as live
from orchestration.authority.models import LapseTry, RoleReview
from orchestration.authority.reviewing import report
from orchestration.authority.role_reviews import Standing

log = structlog.get_logger(__name__)

PAUSE: Final = 60.0  # seconds between two looks of one process
AGAIN: Final = timedelta(days=1)  # what was refused is tried again after it, also if no right has changed
ASKED: Final = "asked"
ALL_USED: Final = "all_used"
GUARDING: Final = "all_guarding"  # what nobody used holds back another role by its limits
_STATUS = ChangeSet.Status
_GUARD: Final = "Its review was not done in time: two others decide what nobody used."


class _AsBefore(Exception):
    """Nothing came of it, as is on record already: what the transaction did so far is taken back."""


class _Moved(Exception):
    """The role, or its review, is no longer what was judged: the next look judges again."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """
    Attributes:
        unused: what is proposed to be dropped.
        code: what comes of it where that is nothing.
    """

    standing: Standing
    unused: list[str]
    code: str


class Watch:
    """When this process looked last. What need not be tried again before rights change is in the database, for all workers."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._lock = threading.Lock()

    def look(self) -> int:
        """Every role whose review is overdue, if a look is due. Returns how many lapses went on record."""
        with self._lock:
            now = time.monotonic()
            if self._at is not None and now - self._at < PAUSE:
                return 0
            self._at = now
        at = clock.db_now()
        overdue = [one for one in role_reviews.of_all() if _is_open(one, at)]
        tried = {row.role: row for row in LapseTry.objects.filter(role__in=[one.name for one in overdue])} if overdue else {}
        return sum(self._each(one.name, tried.get(one.name), at) for one in overdue)

    def _each(self, role: str, tried: LapseTry | None, now: datetime) -> bool:
        epoch = current_epoch()
        if tried is not None and tried.epoch == epoch and now - tried.tried_at < AGAIN:
            return False
        try:
            return lapse(role)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one role must not keep the others from being looked at
            log.exception("review_not_lapsed", role=role)
            _note(role, epoch, now)
            return False


_watch = Watch()


def watch() -> int:
    """Called by the housekeeping of every worker."""
    return _watch.look()


def lapse(role: str) -> bool:
    """Put on record that the review of a role is overdue, and propose to drop what nobody used.

    The verdicts are read before the lock of authority is taken, for that takes as long as there are many, and while it is held
    exclusively no run moves. What was judged is compared again under the lock.

    Returns:
        False: it is not, or that is done already; another worker was faster.
    """
    epoch, now = current_epoch(), clock.db_now()
    standing = role_reviews.of_role(role)
    if standing is None or not _is_open(standing, now):
        return False
    judged = _judge(standing, now)
    if not judged.unused and _is_on_record(standing, judged.code):
        _note(role, epoch, now)
        return False
    try:
        in_transaction(lambda: _put(judged))
    except _Moved:
        return False
    except _AsBefore:
        _note(role, epoch, now)
        return False
    return True


def _put(judged: _Judged) -> None:
    """In a transaction: the proposal, the dates and the record, if everything is still as it was judged."""
    epoch = raise_epoch()  # exclusive: of two workers the second finds what the first has done
    was, now = judged.standing, clock.db_now()
    standing = role_reviews.of_role(was.name)
    if standing is None or not _is_open(standing, now) or _basis(standing) != _basis(was):
        raise _Moved
    row = confirming.locked(standing.role)
    code, request = _ask(standing, judged.unused) if judged.unused else (judged.code, None)
    if request is None and _is_on_record(standing, code):
        raise _AsBefore
    row.lapsed_due, row.lapse_code = standing.due_at, code
    if request is not None:
        row.request, row.asked_by = request, None
    row.save(update_fields=["lapsed_due", "lapse_code", "request", "asked_by"])
    _note(standing.name, epoch, now)
    _record(standing, judged.unused, code, request, now)


def _basis(one: Standing) -> tuple[UUID, str, datetime, frozenset[str]]:
    return one.role.pk, one.role.digest, one.due_at, one.confirmed


def _is_on_record(standing: Standing, code: str) -> bool:
    return (standing.lapsed_due, standing.lapse_code) == (standing.due_at, code)


def _note(role: str, epoch: int, now: datetime) -> None:
    """Every worker leaves the role alone until rights change, or a day has passed: use changes too."""
    LapseTry.objects.update_or_create(role=role, defaults={"epoch": epoch, "tried_at": now})


def _is_open(standing: Standing, now: datetime) -> bool:
    """Overdue, and nothing waits for it that would drop what nobody used."""
    if not standing.is_due(now) or standing.request is not None:
        return False
    if standing.lapsed_due != standing.due_at or standing.lapse_code != ASKED:
        return True
    asked = RoleReview.objects.filter(role=standing.name).values("request")
    # Decided, or run out, is answered: it is asked once for each due date.
    return ChangeSet.objects.filter(pk__in=asked, status__in=(_STATUS.STALE, _STATUS.WITHDRAWN)).exists()


def _judge(standing: Standing, now: datetime) -> _Judged:
    """What nobody used and nobody confirmed, but for limits that hold back what another role lets through: a limit is a guard,
    and time alone proposes to shed none."""
    found = report(live().matrix, standing.terms.every_days, now=now).unused
    unused = {one.capability for one in found if one.role == standing.name} - standing.confirmed
    guarding = shedding.by_dropping(canonical.parse(standing.role.document), unused, Overlay()).keys()
    return _Judged(standing, sorted(unused - guarding), GUARDING if unused & guarding else ALL_USED)


def _ask(standing: Standing, unused: list[str]) -> tuple[str, UUID | None]:
    """What came of asking, and the id of the proposal. A refusal (nobody may decide, a scope test speaks for the grant) is its
    code: it is on record and shown, and tried again when rights change."""
    key = Key("Role", standing.name)
    days, due = standing.terms.every_days, clock_text.render(standing.due_at)[:10]
    try:
        with transaction.atomic():  # a savepoint: what was written before a refusal goes with it
            change_set = changes.ask(
                [(key, confirming.without(standing.role, unused))],
                asker=None,
                actor=SYSTEM,
                reason=f"Its review was due on {due} and nobody did it; these grants were not used within {days} days.",
                guard=_GUARD,
                bases={key: standing.role.digest},
            )
    except AegisError as error:
        return error.code, None
    return ASKED, change_set.pk


def _record(standing: Standing, unused: list[str], code: str, request: UUID | None, now: datetime) -> None:
    data: dict[str, Json] = {
        "role": standing.name,
        "digest": standing.role.digest,
        "days": standing.terms.every_days,
        "unused": len(unused),
        "due": clock_text.render(standing.due_at),
        "code": code,
        **({"request": str(request)} if request else {}),
    }
    draft = Draft("role.review_lapsed", SYSTEM, data=data, payloads={"cells": canonical.dump({"unused": unused})})
    journal.append(Context(stream=STREAM, scope="access"), [draft], now)
