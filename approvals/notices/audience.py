"""Who hears of a notice, as things stand now: whom it asks, for whom those may decide, who asked, who voted; of emergencies,
who watches over access; of alerts, who answers for the rule; of what somebody follows, he alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

import structlog
from django.db.models import Q

from aegis.core import clock
from aegis.core.visibility import Viewer, groups_with
from aegis.identity import areas
from aegis.identity.models import Area, User
from approvals import delegations, holding, questions
from approvals.alerts import notices
from approvals.electors import active_people, silenced_by, standing_decisions
from approvals.models import ApprovalRequest
from approvals.notices import followed
from approvals.notices.models import Notice, NoticePreference
from approvals.pages.standing import standing

log = structlog.get_logger(__name__)

MOST: Final = 500  # people of one notice: what each may see is a query
_WATCHING: Final = ("view", "edit")
_ASKING: Final = (Notice.Kind.ASKED, Notice.Kind.REMINDED, Notice.Kind.ESCALATED)


def recipients(notice: Notice) -> list[User]:
    """Active people with an address who may see what it is about, not in mode `never`; at most `MOST` are looked at.

    Ask it outside a transaction: it is a query for each of them.
    """
    people = User.objects.filter(pk__in=_wanted(notice), is_active=True).exclude(email="")
    if notice.taken_right is None:  # nobody keeps himself from hearing of an emergency
        people = people.exclude(pk__in=NoticePreference.objects.filter(mode=NoticePreference.Mode.NEVER).values("person"))
    found = list(people.order_by("pk")[: MOST + 1])
    if len(found) > MOST:
        log.warning("notice_cut", notice=str(notice.pk), told=MOST)
    return [one for one in found[:MOST] if sees(one, notice)]


def sees(person: User, notice: Notice) -> bool:
    """Whom a delegation is between knows of it; one that is over by now is not told as given. Who took a right in an emergency
    knows of that, and who sees it on home."""
    if (row := notice.delegation) is not None:
        is_void = row.ended_at is not None and notice.kind == Notice.Kind.DELEGATED
        return person.pk in (row.delegator_id, row.delegate_id) and not is_void
    if (taken := notice.taken_right) is not None:
        return person.pk == taken.person_id or watches_access(person)
    if notice.alert is not None:
        return bool(notices.told(notice, person))
    if notice.telling is not None:
        return notice.person_id == person.pk and followed.is_seen(notice.telling, person)
    return notice.request is not None and ApprovalRequest.objects.visible_to(person).filter(pk=notice.request.pk).exists()


def watches_access(person: Viewer) -> bool:
    """He sees access, as the page of rights taken in an emergency asks; or may review, which takes `edit` there."""
    return any(Area.objects.visible_to(person, verb).filter(name="access").exists() for verb in _WATCHING)


def _watchers() -> set[str]:
    """Everybody in a group that may look at access or review there. Two queries and one."""
    access = areas.area("access")
    groups = {name for verb in _WATCHING for name in groups_with(access, verb)}
    return {str(pk) for pk in User.objects.filter(groups__name__in=groups).values_list("pk", flat=True)}


def _wanted(notice: Notice) -> Collection[str]:
    if notice.taken_right is not None:
        return _watchers() | {str(notice.taken_right.person_id)}
    if notice.alert is not None:
        return notices.answering(notice.alert)
    if notice.request is None or notice.kind == Notice.Kind.GIVEN:
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
