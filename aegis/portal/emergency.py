"""The page of rights taken in an emergency: take one, give it back, take it away, review it. Rules are in the verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core import canonical, clock
from aegis.core.actors import Actor, user_actor
from aegis.core.errors import Conflict, Forbidden, Invalid
from aegis.core.visibility import Viewer, groups_with
from aegis.identity import areas
from aegis.identity import emergency as verbs
from aegis.identity.models import Area, TakenRight, User
from audit.models import Event, Payload

MAX_LISTED: Final = 100
MINUTES: Final = (15, 30, 60, 120, 240)
_WORDS: Final = {"view": "see", "operate": "stop and resume", "edit": "propose and apply changes"}


@dataclass(frozen=True, slots=True)
class Line:
    """One right that was taken."""

    row: TakenRight
    reason: str  # "" once erased
    is_standing: bool
    may_end: bool
    may_review: bool

    @property
    def over_at(self) -> datetime:
        return self.row.ended_at or self.row.ends_at


@require_safe
def list_page(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    breakable = list(Area.objects.visible_to(user, "break").order_by("title"))
    sees_all = _sees_all(user)
    rows = list(_visible(user, sees_all=sees_all)[:MAX_LISTED])
    if not (breakable or sees_all or rows):
        givers = ", ".join(groups_with(areas.area("access"), "view")) or "nobody yet; an admin can grant it"
        raise Forbidden(f"Rights taken in an emergency are shown to: {givers}", right="view", granted_by=givers)
    context = {
        "title": "Emergency rights",
        "lines": lines_of(user, rows),
        "areas": breakable,
        "rights": _WORDS.items(),
        "minutes": MINUTES,
        "sees_all": sees_all,
        "breakers": {area.title: names for area in Area.objects.order_by("title") if (names := groups_with(area, "break"))}
        if sees_all
        else {},
    }
    return render(request, "emergency/list.html", context)


@require_POST
def take(request: HttpRequest) -> HttpResponse:
    def work(actor: Actor) -> str:
        minutes = request.POST.get("minutes", "")
        row = verbs.take(
            request.POST.get("area", ""),
            request.POST.get("right", ""),
            for_time=timedelta(minutes=int(minutes) if minutes.isascii() and minutes.isdigit() and len(minutes) < 5 else 0),
            actor=actor,
            reason=request.POST.get("reason", ""),
        )
        return f"You have “{row.verb}” on {row.area.title} until it ends by itself. Everybody who sees access is told."

    return _done(request, work)


@require_POST
def end(request: HttpRequest, taken_id: UUID) -> HttpResponse:
    def work(actor: Actor) -> str:
        is_new = verbs.end(taken_id, actor=actor, reason=request.POST.get("reason", ""))
        return "It is over." if is_new else "It was over already."

    return _done(request, work)


@require_POST
def review(request: HttpRequest, taken_id: UUID) -> HttpResponse:
    def work(actor: Actor) -> str:
        verdict, reason = request.POST.get("verdict", ""), request.POST.get("reason", "")
        is_new = verbs.review(taken_id, verdict=verdict, actor=actor, reason=reason)
        return "Reviewed." if is_new else "It was reviewed already."

    return _done(request, work)


def standing_for(user: Viewer) -> list[Line]:
    """What stands now, as home announces it: all of it to whoever sees access, else one's own."""
    sees_all, now = _sees_all(user), clock.now()
    if not sees_all and getattr(user, "taken_until", None) is None:
        return []
    rows = verbs.standing(now).select_related("person", "area", "reviewed_by").order_by("taken_at")
    return lines_of(user, list(rows if sees_all else rows.filter(person=user.pk)))


def to_review(user: Viewer) -> list[TakenRight]:
    """What is over and waits for a word of this person; nobody reviews his own."""
    if not Area.objects.visible_to(user, "edit").filter(name="access").exists():
        return []
    rows = TakenRight.objects.filter(reviewed_at__isnull=True).exclude(person=user.pk).select_related("person", "area")
    now = clock.now()
    return [row for row in rows.order_by("taken_at")[:MAX_LISTED] if not verbs.is_standing(row, now)]


def lines_of(user: Viewer, rows: list[TakenRight]) -> list[Line]:
    """With reasons from the journal. Three queries."""
    now, reasons = clock.now(), _reasons(rows)
    may_edit = bool(rows) and Area.objects.visible_to(user, "edit").filter(name="access").exists()
    return [
        Line(
            row=row,
            reason=reasons.get(str(row.pk), ""),
            is_standing=(is_standing := verbs.is_standing(row, now)),
            may_end=is_standing and (may_edit or row.person_id == user.pk),
            may_review=not is_standing and row.reviewed_at is None and may_edit and row.person_id != user.pk,
        )
        for row in rows
    ]


def _visible(user: Viewer, *, sees_all: bool) -> Any:
    rows = TakenRight.objects.select_related("person", "area", "reviewed_by").order_by("-taken_at")
    return rows if sees_all else rows.filter(person=user.pk)


def _sees_all(user: Viewer) -> bool:
    return Area.objects.visible_to(user).filter(name="access").exists()


def _reasons(rows: Iterable[TakenRight]) -> dict[str, str]:
    people = {str(row.person_id) for row in rows}
    if not people:
        return {}
    told = Event.objects.filter(type="access.right_taken", scope="access", scope_id__in=people).order_by("-id")[
        : 4 * MAX_LISTED
    ]
    places = {(event.stream, event.seq): canonical.parse(event.line)["data"]["taken"] for event in told}
    texts = Payload.objects.filter(
        stream__in={stream for stream, _ in places}, seq__in={seq for _, seq in places}, name="reason", erased_at__isnull=True
    )
    return {
        places[text.stream, text.seq]: str(canonical.parse(text.body)) for text in texts if (text.stream, text.seq) in places
    }


def _done(request: HttpRequest, work: Callable[[Actor], str]) -> HttpResponse:
    try:
        messages.success(request, work(user_actor(cast(User, request.user).pk, auth="session")))
    except (Invalid, Conflict) as error:
        faults = "; ".join(f"{fault.where.strip('/')} {fault.what}" for fault in error.faults)
        messages.error(request, f"{error.detail}{f' ({faults})' if faults else ''}")
    return redirect(reverse("portal:emergency"))
