"""The alarm that too few people can decide a request any more: raised when it becomes so, taken back when it is over.

A request that nobody could decide is refused when it opens; people leave afterwards. The housekeeping of every worker looks
through the open requests, a page at a time: at once when rights have changed, else every `PAUSE`. What it finds is looked at
again under the request's lock, so each change of the alarm is one event, and lists read one column.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from aegis.core import clock
from aegis.core.db import in_transaction
from aegis.identity.authority import current_epoch
from aegis.identity.models import User
from approvals import delegations, docket, electors, holding, rowwise
from approvals.models import ApprovalRequest, Decision
from approvals.pages.standing import standings

log = structlog.get_logger(__name__)

PAGE: Final = 200
PAUSE: Final = 20.0  # seconds


class Watch:
    """Where a worker's look stands."""

    def __init__(self) -> None:
        self._epoch, self._at, self._after = -1, 0.0, UUID(int=0)
        self._lock = threading.Lock()

    def look(self) -> int:
        """The next page, if one is due. Returns how many alarms were raised or taken back."""
        with self._lock:
            epoch, now = current_epoch(), time.monotonic()
            is_under_way = self._after.int > 0
            if not is_under_way and epoch == self._epoch and now - self._at < PAUSE:
                return 0
            if not is_under_way:
                self._epoch, self._at = epoch, now
            rows = ApprovalRequest.objects.filter(status="open", pk__gt=self._after).order_by("pk")
            page = list(rows.select_related("policy")[:PAGE])
            self._after = page[-1].pk if len(page) == PAGE else UUID(int=0)
        return rowwise.each(_wrong(page), settle)


_watch = Watch()


def watch() -> int:
    """Called by the housekeeping of every worker."""
    return _watch.look()


def _wrong(page: Sequence[ApprovalRequest]) -> list[UUID]:
    """Whose alarm is not as it should be; if that cannot be told of all together, whoever's may not be."""
    try:
        missing = short_of(page)
    except Exception:
        log.exception("page_not_watched", requests=len(page))
        return [row.pk for row in page]  # `settle` looks at each by itself
    return [row.pk for row in page if (row.pk in missing) != (row.short_since is not None)]


def settle(request_id: UUID) -> bool:
    """Raise or take back the alarm of one request, as it stands under the locks. False if it is right already."""

    def work() -> bool:
        question, request = holding.hold(request_id)
        if request.status != "open":
            return False
        holding.rebind_if_policy_moved(request, question, clock.db_now())
        missing = short_of([request]).get(request.pk, 0)
        if bool(missing) == (request.short_since is not None):
            return False
        docket.mark_short(request, missing, clock.db_now())
        return True

    return in_transaction(work)


def short_of(requests: Sequence[ApprovalRequest]) -> dict[UUID, int]:
    """Request -> how many people are missing, for those whose stage asks more people than are left. At most seven queries,
    whatever their number.

    Left are the active people of the groups asked now who were not bound when it opened or was edited, act for nobody who was,
    and have not spoken.
    """
    stands = standings(requests)
    wanted = {row.pk: stands[row.pk] for row in requests if stands[row.pk].tally.status == "open"}
    if not wanted:
        return {}
    asked = {pk: stand.policy.stages[stand.stage].asked(stand.level) for pk, stand in wanted.items()}
    people = electors.active_people({group for groups in asked.values() for group in groups})
    away = _away([row for row in requests if row.pk in wanted])
    found = {}
    for pk, groups in asked.items():
        left = {person for group in groups for person in people.get(group, ())} - away[pk]
        missing = wanted[pk].tally.needed - len(left)
        if missing > 0:
            found[pk] = missing
    return found


def _away(requests: Sequence[ApprovalRequest]) -> defaultdict[UUID, set[str]]:
    """Who is bound, who asked, who acts for one of them now and who has spoken, by request. Three queries."""
    away: defaultdict[UUID, set[str]] = defaultdict(set)
    bound = ApprovalRequest.bound.through.objects.filter(approvalrequest_id__in=[row.pk for row in requests])
    for request, person in bound.values_list("approvalrequest_id", "user_id"):
        away[request].add(str(person))
    for row in requests:
        away[row.pk].add(str(row.requester_id))
    hands = delegations.hands(clock.db_now())
    for tied in away.values():
        tied |= delegations.reached_from(tied, hands)
    # Under a policy that is another than the one they were given under, votes count no more.
    standing = {row.pk: row.stage for row in requests if row.policy_digest == row.policy.digest}
    votes = Decision.objects.filter(request__in=standing, is_void=False).select_related("delegation")
    for vote in votes:
        away[vote.request_id].update(electors.silenced_by(vote, standing[vote.request_id]))
    return away


def alarms(user: User) -> tuple[int, ApprovalRequest | None]:
    """How many requests that `user` may see have the alarm, and the one with the nearest deadline. Two queries."""
    rows = ApprovalRequest.objects.visible_to(user).filter(status="open", short_since__isnull=False)
    count = rows.count()
    return count, rows.select_related("policy").order_by("deadline", "pk").first() if count else None
