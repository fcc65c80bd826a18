"""What somebody should look at before it hurts, as home shows it: agents, queues and requests that a person may see, and
rights taken in an emergency that wait for his review."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from aegis.core import clock
from aegis.identity.models import Area, User
from aegis.portal import emergency
from approvals import shortage
from approvals.notices import outbox
from orchestration.agents import alarms as agents
from orchestration.authority import owners, reviewing
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
    """The worst first. Sixteen queries at most."""
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
    found += _due_review(user)
    for left in owners.alarms(user):
        words = f"Its owner {left.shown} has left: nobody decides about its {left.capabilities} capabilities. Name another one."
        found.append(Alarm("red", "effect", left.resource, words, f"{reverse('portal:matrix')}?find={left.resource}", None))
    for row in emergency.to_review(user):
        words = f"“{row.verb}” on {row.area.title}, taken in an emergency, is over and waits for your review; it ended"
        url = reverse("portal:emergency")
        found.append(Alarm("amber", "key", row.person.display_name, words, url, row.ended_at or row.ends_at))
    found += _given_up(user)
    count, nearest = shortage.alarms(user)
    if nearest is not None:
        one = count == 1
        words = f"Too few people are left who could decide {'it' if one else f'{count:,}'}."
        url = reverse("approvals:request", args=[nearest.pk]) if one else f"{reverse('approvals:inbox')}?tab=waiting&short=yes"
        found.append(Alarm("red", "stamp", nearest.label if one else "Requests", f"{words} Expires", url, nearest.deadline))
    return sorted(found, key=lambda alarm: alarm.tone != "red")


def _due_review(user: User) -> list[Alarm]:
    """For those who may do it: who may edit access."""
    if not Area.objects.visible_to(user, "edit").filter(name="access").exists():
        return []
    last, now = reviewing.reviewed(), clock.now()
    if not last.is_soon(now):
        return []
    words = "The review of all grants is due" + (f"; last by {last.by}." if last.by else "; nobody has done one yet.")
    tone = "red" if last.is_due(now) else "amber"
    return [Alarm(tone, "matrix", "Access matrix", words, reverse("portal:matrix-unused"), last.due_at)]


def _given_up(user: User) -> list[Alarm]:
    """To who reads the audit: notices that nobody took, by channel. No query where none are sent, else three."""
    is_told = settings.TELLS_BY_MAIL or settings.TELLS_BY_WEBHOOK
    if not is_told or not Area.objects.visible_to(user).filter(name="audit").exists():
        return []
    lost = outbox.lost(clock.now() - LOOKED_BACK)
    url = reverse("approvals:notices")
    return [
        Alarm("red", "bell", name, f"{lost[channel]:,} {_GIVEN_UP[channel]} “aegis notices again” sends them again.", url, None)
        for channel, name in (("mail", "Mail"), ("webhook", "Webhook"), ("", "Notices"))
        if channel in lost
    ]


def _document(kind: str, name: str) -> str:
    return f"{reverse('portal:open', args=[kind])}?{urlencode({'name': name})}"
