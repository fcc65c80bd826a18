"""Mail about requests, delegations, emergencies, alerts and followed views: text and HTML, a link that opens the signed-in page
and decides nothing, no secret and no parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from aegis.identity.models import TakenRight, User
from approvals.alerts import notices
from approvals.notices import followed
from approvals.notices.models import Delivery, Notice
from approvals.pages import words
from approvals.pages.inbox import titles_of


@dataclass(frozen=True, slots=True)
class Line:
    """One request, delegation, right taken in an emergency or followed view, in a mail.

    Attributes:
        about: what is to be known of it before opening it.
        link, stop: its page, and the one where its reader ends being told of it; "" where nobody has said under which address
            AEGIS is reached.
        lines: sentences of what is new in it.
    """

    what: str
    title: str
    label: str
    about: str
    link: str
    lines: Sequence[str] = ()
    stop: str = ""


def build(person: User, rows: Sequence[Delivery]) -> EmailMultiAlternatives | None:
    """One mail about one notice, or a digest of several; None if nothing is left to say. Its id is that of the first delivery,
    so that one sent again after a crash can be told from another one."""
    lines = _lines(person, [row.notice for row in rows])
    if not lines:
        return None
    is_digest = rows[0].is_digest
    subject = f"AEGIS: {words.plural(len(lines), 'notice')} today" if is_digest else f"AEGIS: {lines[0].what}: {lines[0].label}"
    context = {
        "person": person,
        "lines": lines,
        "is_digest": is_digest,
        "preferences": f"{settings.PUBLIC_URL}{reverse('approvals:notices')}" if settings.PUBLIC_URL else "",
    }
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string("approvals/mail.txt", context),
        to=[person.email],
        headers={"Message-ID": f"<{rows[0].pk}@{_host()}>", "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string("approvals/mail.html", context), "text/html")
    return message


def _lines(person: User, rows: Sequence[Notice]) -> list[Line]:
    titles = titles_of(person, [one.request for one in rows if one.request is not None])  # masked as the page masks them
    return [line for notice in rows if (line := _line(notice, titles, person)) is not None]


def _line(notice: Notice, titles: Mapping[UUID, str], person: User) -> Line | None:
    what, link = str(notice.get_kind_display()), link_to(notice, person)
    if notice.delegation is not None:
        row = notice.delegation
        title = f"{row.delegate.display_name} in the place of {row.delegator.display_name}"
        about = (
            f"from {row.starts_at:%Y-%m-%d %H:%M} UTC until {row.ends_at:%Y-%m-%d %H:%M} UTC; decline it there if you will not"
        )
        return Line(what, title, "Delegation", about if notice.kind == Notice.Kind.DELEGATED else "it counts no more", link)
    if notice.taken_right is not None:
        return _emergency(notice.taken_right, what, link)
    if notice.telling is not None:
        news = followed.told(notice.telling, person)
        if news is None:
            return None
        return Line(what, news.title, news.label, news.about, _whole(news.path), news.lines, _whole(news.stop))
    if notice.alert is not None:
        told = notices.told(notice, person)
        return Line(
            what, notices.title_of(notice.alert), words.plural(len(told), "finding"), notices.summary(told, notice), link
        )
    asked = notice.request
    assert asked is not None  # a constraint of the table
    status = f"{asked.get_risk_display()} risk, {asked.get_status_display()}"
    about = f"{asked.policy}, {status}, deadline {asked.deadline:%Y-%m-%d %H:%M} UTC"
    return Line(what, titles[asked.pk], asked.label, about, link)


def _emergency(row: TakenRight, what: str, link: str) -> Line:
    """As it stands when the mail is written. The reason stays inside: somebody typed it."""
    label = f"“{row.verb}” on {row.area.title}"
    if row.ended_at is None:
        about = f"until {row.ends_at:%Y-%m-%d %H:%M} UTC, then it ends by itself; why, and who may take it away, says the page"
    else:
        word = f"it was {row.verdict}, says its review" if row.verdict else "another person who may edit access reviews it"
        about = f"from {row.taken_at:%Y-%m-%d %H:%M} UTC to {row.ended_at:%Y-%m-%d %H:%M} UTC; {word}"
    return Line(what, f"taken by {row.person.display_name}", label, about, link)


def link_to(notice: Notice, person: User | None) -> str:
    """
    Args:
        person: who reads it; None if nobody knows.
    """
    return _whole(path_to(notice, person))


def _whole(path: str) -> str:
    return f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else ""


def path_to(notice: Notice, person: User | None) -> str:
    if notice.alert is not None:
        return notices.path_to(notice, person)
    if notice.telling is not None:
        return reverse("portal:views")
    if notice.request_id:
        return reverse("approvals:request", args=[notice.request_id])
    return reverse("portal:emergency" if notice.taken_right_id else "approvals:delegations")


def _host() -> str:
    return urlsplit(settings.PUBLIC_URL).hostname or "aegis.invalid"
