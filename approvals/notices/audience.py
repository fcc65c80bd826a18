"""Who hears of a notice, as things stand now: whom it asks, for whom those may decide, who asked, who voted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

import structlog
from django.db.models import Q

from aegis.core import clock
from aegis.identity.models import User
from approvals import delegations, holding, questions
from approvals.electors import active_people, silenced_by, standing_decisions
from approvals.models import ApprovalRequest
from approvals.notices.models import Notice, NoticePreference
from approvals.pages.standing import standing

log = structlog.get_logger(__name__)

MOST: Final = 500  # people of one notice: what each may see is a query
_ASKING: Final = (Notice.Kind.ASKED, Notice.Kind.REMINDED, Notice.Kind.ESCALATED)


def recipients(notice: Notice) -> list[User]:
    """Active people with an address who may see the request, not in mode `never`; at most `MOST` are looked at.

    Ask it outside a transaction: it is a query for each of them.
    """
    request = notice.request
    silent = NoticePreference.objects.filter(mode=NoticePreference.Mode.NEVER).values("person")
    people = User.objects.filter(pk__in=_wanted(notice), is_active=True).exclude(email="").exclude(pk__in=silent)
    found = list(people.order_by("pk")[: MOST + 1])
    if len(found) > MOST:
        log.warning("notice_cut", notice=str(notice.pk), told=MOST)
    return [one for one in found[:MOST] if sees(one, request)]


def sees(person: User, request: ApprovalRequest) -> bool:
    return ApprovalRequest.objects.visible_to(person).filter(pk=request.pk).exists()


def _wanted(notice: Notice) -> Collection[str]:
    if notice.kind == Notice.Kind.GIVEN:
        return {str(notice.person_id)} if notice.person_id else set()
    if notice.kind in _ASKING:
        return _asked(notice.request)
    return _concerned(notice.request, with_asked=notice.kind == Notice.Kind.SHORT)


def _asked(request: ApprovalRequest) -> set[str]:
    """Who could decide the stage now asked, for himself or in the place of one who could, if it is still open."""
    if request.status != "open":
        return set()
    now = clock.db_now()
    live = questions.get(request.question).live(request.subject)
    spoken = {who for vote in standing_decisions(request) for who in silenced_by(vote, request.stage)}
    stands = standing(request)
    groups = stands.policy.stages[stands.stage].asked(stands.level)
    without = holding.barred_by(request, live, now) | spoken
    own = {person for members in active_people(groups, without=without).values() for person in members}
    # As `judging.judge`: who votes for another is asked where that one is, and bound by all that binds himself.
    lent = delegations.in_force(now).filter(
        Q(policy="") | Q(policy=request.policy.name),
        Q(capability="") | Q(capability=request.capability),
        delegator__in=[UUID(pk) for pk in own],
    )
    return own | ({str(pk) for pk in lent.values_list("delegate_id", flat=True)} - without)


def _concerned(request: ApprovalRequest, *, with_asked: bool) -> set[str]:
    """Who asked for it, and who has voted; of an alarm, also those who are left."""
    voters = {str(vote.person_id) for vote in standing_decisions(request)}
    asked = {str(request.requester_id)} if request.requester_id else set()
    return voters | asked | (_asked(request) if with_asked else set())
