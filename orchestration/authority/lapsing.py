"""Reviews that were not done in time: for each such role one proposal to drop what nobody used, and the record that it lapsed.

Called by the housekeeping of every worker. Nothing is dropped by time: two people decide the proposal like any other. It is
opened once for each due date; again only if its base moved or it was answered in part, for then the role is due still. What is
judged is the time between two reviews: grants that no verdict rested on in as many days.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction

from aegis.core import canonical, clock, clock_text
from aegis.core.actors import SYSTEM
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.core.errors import AegisError
from aegis.core.kinds import Key
from aegis.identity.authority import current_epoch, raise_epoch
from approvals import changes
from approvals.models import ChangeSet
from audit import journal
from audit.drafts import Context, Draft
from orchestration.authority import confirming, role_reviews
from orchestration.authority.live import STREAM
from orchestration.authority.live import current as live
from orchestration.authority.models import RoleReview
from orchestration.authority.reviewing import report
from orchestration.authority.role_reviews import Standing

log = structlog.get_logger(__name__)

PAUSE: Final = 60.0  # seconds between two looks of one process
ASKED: Final = "asked"
ALL_USED: Final = "all_used"
_STATUS = ChangeSet.Status
_GUARD: Final = "Its review was not done in time: two others decide what nobody used."


class _AsBefore(Exception):
    """Nothing came of it, as is on record already: what the transaction did so far is taken back."""


class Watch:
    """When this process looked last, and what it need not try again before rights change."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._refused: dict[str, int] = {}  # role -> epoch
        self._lock = threading.Lock()

    def look(self) -> int:
        """Every role whose review is overdue, if a look is due. Returns how many lapses went on record."""
        with self._lock:
            now = time.monotonic()
            if self._at is not None and now - self._at < PAUSE:
                return 0
            self._at = now
        return sum(self._each(one) for one in role_reviews.of_all() if _is_open(one, clock.db_now()))

    def _each(self, standing: Standing) -> bool:
        if self._refused.get(standing.name) == current_epoch():
            return False
        try:
            is_new = lapse(standing.name)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one role must not keep the others from being looked at
            log.exception("review_not_lapsed", role=standing.name)
            is_new = False
        self._refused[standing.name] = current_epoch()
        return is_new


_watch = Watch()


def watch() -> int:
    """Called by the housekeeping of every worker."""
    return _watch.look()


def lapse(role: str) -> bool:
    """Put on record that the review of a role is overdue, and propose to drop what nobody used.

    Returns:
        False: it is not, or that is done already; another worker was faster.
    """

    def work() -> bool:
        raise_epoch()  # exclusive: of two workers the second finds what the first has done
        row = confirming.locked(role)
        standing, now = role_reviews.of_role(role), clock.db_now()
        if standing is None or not _is_open(standing, now):
            return False
        unused = _unused(standing, now)
        code, request = _ask(standing, unused) if unused else (ALL_USED, None)
        if request is None and (row.lapsed_due, row.lapse_code) == (standing.due_at, code):
            raise _AsBefore
        row.lapsed_due, row.lapse_code = standing.due_at, code
        if request is not None:
            row.request, row.asked_by = request, None
        row.save(update_fields=["lapsed_due", "lapse_code", "request", "asked_by"])
        _record(standing, unused, code, request, now)
        return True

    try:
        return in_transaction(work)
    except _AsBefore:
        return False


def _is_open(standing: Standing, now: datetime) -> bool:
    """Overdue, and nothing waits for it that would drop what nobody used."""
    if not standing.is_due(now) or standing.request is not None:
        return False
    if standing.lapsed_due != standing.due_at or standing.lapse_code != ASKED:
        return True
    asked = RoleReview.objects.filter(role=standing.name).values("request")
    # Decided, or run out, is answered: it is asked once for each due date.
    return ChangeSet.objects.filter(pk__in=asked, status__in=(_STATUS.STALE, _STATUS.WITHDRAWN)).exists()


def _unused(standing: Standing, now: datetime) -> list[str]:
    found = report(live().matrix, standing.terms.every_days, now=now).unused
    return sorted(one.capability for one in found if one.role == standing.name and one.capability not in standing.confirmed)


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
