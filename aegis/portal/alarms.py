"""What somebody should look at before it hurts, as home shows it: agents, queues and requests that a person may see, and
rights taken in an emergency that wait for his review."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from aegis.core import clock
from aegis.identity.models import Area, User
from aegis.portal import emergency
from approvals import shortage
from approvals.notices import outbox, posting
from orchestration.agents import alarms as agents
from orchestration.authority import lock_reviews, owners, role_reviews
from orchestration.authority.role_reviews import Standing
from orchestration.engine import queue_alarms

SHOWN: Final = 6
LOOKED_BACK: Final = timedelta(days=7)
_GIVEN_UP: Final = {
    "mail": "mails of the last week were given up: nobody took them. See the worker's settings and log.",
    "webhook": "messages of the last week were given up: nobody took them. See the worker's settings and log.",
    "": "notices of the last week could not be written and were given up. See the worker's log.",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One line. `since` is when it began, or will begin, to hurt."""

    tone: str
    icon: str
    name: str
    words: str
    url: str
    at: datetime | None


def of(user: User) -> list[Alarm]:
    """The worst first. Twenty-nine queries at most."""
    found = [
        Alarm(one.tone, "bot", one.agent, one.words, _document("Agent", one.agent), one.until) for one in agents.of_all(user)
    ]
    for late in queue_alarms.of_all(user):
        url = (
            f"{reverse('review:list')}?{urlencode({'queue': late.queue})}"
            if late.code == "overdue"
            else _document("ReviewQueue", late.queue)
        )
        found.append(Alarm(late.tone, "queue", late.title, late.words, url, late.since))
    found += _reviews_of_access(user)
    found += [Alarm("amber", "lock", one.name, one.words, one.url, one.since) for one in lock_reviews.of_all(user)]
    for left in owners.alarms(user):
        words = f"Its owner {left.shown} has left: nobody decides about its {left.capabilities} capabilities. Name another one."
        found.append(Alarm("red", "effect", left.resource, words, f"{reverse('portal:matrix')}?find={left.resource}", None))
    for row in emergency.to_review(user):
        waits = "is over, and nobody reviewed it in time" if row.late_at else "is over and waits for your review"
        words = f"“{row.verb}” on {row.area.title}, taken in an emergency, {waits}; it ended"
        url = reverse("portal:emergency")
        tone = "red" if row.late_at else "amber"
        found.append(Alarm(tone, "key", row.person.display_name, words, url, row.ended_at or row.ends_at))
    found += _given_up(user)
    count, nearest = shortage.alarms(user)
    if nearest is not None:
        one = count == 1
        words = f"Too few people are left who could decide {'it' if one else f'{count:,}'}."
        url = reverse("approvals:request", args=[nearest.pk]) if one else f"{reverse('approvals:inbox')}?tab=waiting&short=yes"
        found.append(Alarm("red", "stamp", nearest.label if one else "Requests", f"{words} Expires", url, nearest.deadline))
    return sorted(found, key=lambda alarm: alarm.tone != "red")


def _reviews_of_access(user: User) -> list[Alarm]:
    """For those who may edit access: roles whose review was not done in time, and roles that nobody may review."""
    if not Area.objects.visible_to(user, "edit").filter(name="access").exists():
        return []
    every, now = role_reviews.of_all(), clock.now()
    late = [one for one in every if one.is_due(now)]
    alone = [one for one in every if not one.has_reviewer]
    url, found = reverse("portal:matrix-reviews"), []
    if late:
        words = f"The review of {_named(late)} was not done in time. Due since"
        found.append(Alarm("red", "matrix", "Reviews of access", words, f"{url}?show=due", late[0].due_at))
    if alone:
        words = f"Nobody may review {_named(alone)}: whoever is named has left, or holds the role. Name another."
        found.append(Alarm("amber", "matrix", "Reviews of access", words, url, None))
    return found


def _named(roles: list[Standing]) -> str:
    return roles[0].name if len(roles) == 1 else f"{len(roles)} roles"


def _given_up(user: User) -> list[Alarm]:
    """To who reads the audit: notices that nobody took, by channel. No query where none are sent, else three."""
    if not posting.is_telling() or not Area.objects.visible_to(user).filter(name="audit").exists():
        return []
    lost = outbox.lost(clock.now() - LOOKED_BACK)
    url, again = reverse("approvals:given-up"), "The page, or “aegis notices again”, sends them again."
    return [
        Alarm("red", "bell", name, f"{lost[channel]:,} {_GIVEN_UP[channel]} {again}", url, None)
        for channel, name in (("mail", "Mail"), ("webhook", "Webhook"), ("", "Notices"))
        if channel in lost
    ]


def _document(kind: str, name: str) -> str:
    return f"{reverse('portal:open', args=[kind])}?{urlencode({'name': name})}"
