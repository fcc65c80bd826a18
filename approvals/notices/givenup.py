"""What was given up, for people: what of it each may see, and sending that again.

It is shown to who reads the audit, as the alarm on home is, and to who may send it again: that takes `operate` or `edit` on the
area "approvals". Nobody is shown, or moves, a notice about something that he may not see; the command does, for whoever runs
AEGIS. Mail addresses are not shown to anybody, names of readers to who sees people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import NotFound
from aegis.core.visibility import Viewer
from aegis.identity.models import Area, User
from aegis.identity.principals import stated
from approvals.alerts import addresses, notices
from approvals.alerts.models import Alert
from approvals.models import ApprovalRequest
from approvals.notices import again, audience
from approvals.notices.mail import path_to
from approvals.notices.models import Delivery, Notice

MOST: Final = 100
_UNBUILT: Final = "it could not be written; see the worker's log"
_RELATED: Final = ("request", "taken_right__area", "alert")


@dataclass(frozen=True, slots=True)
class Lost:
    """A message, or a notice that never became one.

    Attributes:
        id: of the delivery or the notice.
        to: who should have read it; "" if the reader may not know.
        why: how the last attempt failed.
        about, url: what it tells of, and the page of that.
    """

    id: UUID
    what: str
    channel: str
    to: str
    why: str
    attempts: int
    since: datetime | None
    at: datetime
    about: str
    url: str


def may_look(user: Viewer) -> bool:
    return again.may_send(user) or Area.objects.visible_to(user).filter(name="audit").exists()


def listed(user: User) -> list[Lost]:
    """What the reader may see of it, the latest first; at most `MOST`. The number of queries does not grow with the rows."""
    sees_people = Area.objects.visible_to(user).filter(name="people").exists()
    dead = Delivery.objects.filter(_seen_by(user, "notice__"), dead_at__isnull=False)
    rows = dead.select_related("person", *(f"notice__{name}" for name in _RELATED)).order_by("-dead_at", "pk")[:MOST]
    unbuilt = Notice.objects.filter(_seen_by(user), dead_at__isnull=False)
    found = [_of_delivery(row, sees_people=sees_people) for row in rows]
    found += [_of_notice(row) for row in unbuilt.select_related(*_RELATED).order_by("-dead_at", "pk")[:MOST]]
    return sorted(found, key=lambda one: one.at, reverse=True)[:MOST]


def send_again(*, actor: Actor, reason: str, only: UUID | None = None) -> int:
    """Let the worker try again what the actor may see of it, or one alone. Returns how much; nothing is recorded if none.

    Raises:
        Forbidden: he may neither operate nor edit approvals. NotFound: nothing of that id, or he may not see it.
        Invalid: no reason. NotAuthenticated: the actor is not a live person.
    """

    def work() -> int:
        person = again.require_sender(actor)
        why = stated(reason)
        deliveries, notices = Delivery.objects.filter(_seen_by(person, "notice__")), Notice.objects.filter(_seen_by(person))
        if only is not None:
            deliveries, notices = deliveries.filter(pk=only), notices.filter(pk=only)
            if not deliveries.exists() and not notices.exists():
                raise NotFound
        # By their keys: what a colleague sends again meanwhile is then looked at once more, and neither moved nor counted here.
        keys, unbuilt = ([*rows.filter(dead_at__isnull=False).values_list("pk", flat=True)] for rows in (deliveries, notices))
        return again.revive(Delivery.objects.filter(pk__in=keys), Notice.objects.filter(pk__in=unbuilt), actor, why)

    return in_transaction(work)


def _seen_by(user: Viewer, path: str = "") -> Q:
    """What the reader may see: requests as everywhere, delegations and emergencies as their events, and his own."""
    requests = Q(**{f"{path}request__in": ApprovalRequest.objects.visible_to(user)})
    requests |= Q(**{f"{path}alert__in": Alert.objects.visible_to(user)})  # that one was told; what it found, it does not say
    requests |= Q(**{f"{path}telling__isnull": False, f"{path}person": user.pk})  # what others follow is theirs alone
    if audience.watches_access(user):
        return requests | Q(**{f"{path}request__isnull": True, f"{path}alert__isnull": True, f"{path}telling__isnull": True})
    own = Q(**{f"{path}taken_right__person": user.pk})
    return requests | own | Q(**{f"{path}delegation__delegator": user.pk}) | Q(**{f"{path}delegation__delegate": user.pk})


def _of_delivery(row: Delivery, *, sees_people: bool) -> Lost:
    to = row.person.display_name if row.person is not None and sees_people else ""
    assert row.dead_at is not None
    about, url = _about(row.notice)
    what = str(row.notice.get_kind_display())
    return Lost(row.pk, what, row.channel, to, row.detail, row.attempts, row.tried_since, row.dead_at, about, url)


def _of_notice(row: Notice) -> Lost:
    assert row.dead_at is not None
    about, url = _about(row)
    return Lost(row.pk, str(row.get_kind_display()), "", "", _UNBUILT, row.attempts, row.tried_since, row.dead_at, about, url)


def _about(notice: Notice) -> tuple[str, str]:
    if notice.request is not None:
        return notice.request.label, path_to(notice, None)
    if notice.taken_right is not None:
        return f"“{notice.taken_right.verb}” on {notice.taken_right.area.title}", path_to(notice, None)
    if notice.telling is not None:
        return "A saved view", path_to(notice, None)
    if notice.alert is not None:
        return f"Alert {notices.title_of(notice.alert)}", addresses.of_rule(notice.alert.name)
    return "Delegation", ""  # the page of delegations shows everybody his own
