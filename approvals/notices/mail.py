"""Mail about requests: text and HTML, a link that opens the signed-in page and decides nothing, no secret and no parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from aegis.identity.models import User
from approvals.notices.models import Delivery, Notice
from approvals.pages.inbox import titles_of


@dataclass(frozen=True, slots=True)
class Line:
    """One request in a mail; `link` is "" where nobody has said under which address AEGIS is reached."""

    what: str
    title: str
    label: str
    policy: str
    risk: str
    status: str
    deadline: datetime
    link: str


def build(person: User, rows: Sequence[Delivery]) -> EmailMultiAlternatives:
    """One mail about one notice, or a digest of several. Its id is that of the first delivery, so that one sent again after a
    crash can be told from another one."""
    lines = _lines(person, [row.notice for row in rows])
    is_digest = rows[0].is_digest
    subject = f"AEGIS: {len(lines)} requests today" if is_digest else f"AEGIS: {lines[0].what}: {lines[0].label}"
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


def _lines(person: User, notices: Sequence[Notice]) -> list[Line]:
    titles = titles_of(person, [notice.request for notice in notices])  # masked as the page masks them
    return [
        Line(
            what=str(notice.get_kind_display()),
            title=titles[notice.request_id],
            label=notice.request.label,
            policy=str(notice.request.policy),
            risk=str(notice.request.get_risk_display()),
            status=str(notice.request.get_status_display()),
            deadline=notice.request.deadline,
            link=link_to(notice),
        )
        for notice in notices
    ]


def link_to(notice: Notice) -> str:
    path = reverse("approvals:request", args=[notice.request_id])
    return f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else ""


def _host() -> str:
    return urlsplit(settings.PUBLIC_URL).hostname or "aegis.invalid"
