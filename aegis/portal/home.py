"""Home: what needs this person now, the last day's runs, the state of the record. Every figure is a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aegis.core import clock
from aegis.core.pages import etag_of, not_modified, partial
from aegis.identity.authority import current_epoch
from aegis.identity.models import User
from aegis.portal import alarms, counts, emergency, integrity
from aegis.portal.alerts import listing
from approvals import delegations
from approvals.alerts import reading
from approvals.alerts.models import Episode
from approvals.models import ApprovalRequest, Delegation
from approvals.pages.inbox import titles_of
from approvals.pages.standing import standings
from audit import telling
from audit.models import Event
from orchestration.authority import role_reviews
from orchestration.authority.role_reviews import Standing
from orchestration.engine.models import ReviewItem, Run
from orchestration.pages import guardboard, marks, runlist

_LISTED = Q(parent__isnull=True) | Q(status__in=runlist.PARTS_COME_UP)  # what the list of runs shows behind a figure
SOON = timedelta(hours=1)
ENDING = timedelta(hours=24)  # a delegation about to end
SHOWN = 6
EVENTS = 6
FIRING = 4
_RARE = ("waiting_time", "waiting_message", "waiting_resource", "waiting_children", "rolled_back")
_WAITING = ("waiting_decision", "waiting_review")


@dataclass(frozen=True, slots=True)
class Due:
    """A request or review item with its deadline."""

    title: str
    url: str
    deadline: datetime
    detail: str
    risk: str = ""

    @property
    def is_soon(self) -> bool:
        return self.deadline - clock.now() < SOON


@dataclass(frozen=True, slots=True)
class Lent:
    """A delegation to this person, or of him.

    Attributes:
        word, at: "from" its beginning, or "until" its end.
    """

    title: str
    word: str
    at: datetime
    detail: str
    is_soon: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A count that is a link to the rows it counts."""

    count: int
    label: str
    url: str
    tone: str = ""
    icon: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowDay:
    """One workflow over the last 24 hours."""

    title: str
    figures: tuple[Figure, ...]
    verdict: tuple[str, str, str]  # tone, icon, words


@dataclass(frozen=True, slots=True)
class Home:
    decisions: list[Due] = field(default_factory=list)
    decisions_count: int = 0
    items: list[Due] = field(default_factory=list)
    items_count: int = 0
    delegations: list[Lent] = field(default_factory=list)
    reviews: list[Due] = field(default_factory=list)  # roles whose grants the person is to confirm
    reviews_count: int = 0
    figures: list[Figure] = field(default_factory=list)
    workflows: list[WorkflowDay] = field(default_factory=list)


def home(request: HttpRequest) -> HttpResponse:
    """The page; called by the admin site's index, which has checked that somebody is signed in."""
    return render(request, "portal/home.html", {"title": "Home", "etag": _etag(request), **_context(request)})


@require_safe
def part(request: HttpRequest) -> HttpResponse:
    """What `live.js` polls. Nothing on it changes without an event, a change of rights, or time (alarms, ten minutes late at
    most), so those make the ETag."""
    etag = _etag(request)
    return not_modified(request, etag) or partial(request, "portal/_home.html", _context(request), etag=etag)


def _etag(request: HttpRequest) -> str:
    newest = Event.objects.order_by("-id").values_list("id", flat=True).first()
    return etag_of(request.user.pk, newest, current_epoch(), clock.now().strftime("%Y-%m-%dT%H:%M")[:-1])


def _context(request: HttpRequest) -> dict[str, Any]:
    user = cast(User, request.user)
    wrong = alarms.of(user)
    return {
        "taken": emergency.standing_for(user),
        "firing": _firing(user),
        "alarms": wrong[: alarms.SHOWN],
        "alarms_count": len(wrong),
        "alarms_more": max(0, len(wrong) - alarms.SHOWN),
        "home": _gather(user, counts.counts_of(request)),
        "badge": integrity.badge(),
        "guards": guardboard.board(user),
        "events": telling.tell(list(Event.objects.visible_to(user).order_by("-id")[:EVENTS]), user),
    }


def _firing(user: User) -> list[listing.Row]:
    """Alerts that nobody has taken on, newest first; one query where nothing fires."""
    if not Episode.objects.filter(status=Episode.Status.FIRING).exists():
        return []
    rows = reading.episodes(user, show="firing").filter(is_silenced=False)
    return [listing.row(one) for one in reading.page(rows, limit=FIRING).episodes]


def _gather(user: User, counted: dict[str, int]) -> Home:
    decisions = list(counts.my_decisions(user).select_related("policy").order_by("deadline", "opened_at")[:SHOWN])
    items = list(counts.my_review_items(user).select_related("queue", "run").order_by("due_at")[:SHOWN])
    since = clock.now() - runlist.DAY
    reviews = role_reviews.of_reviewer(user, clock.now())
    return Home(
        decisions=_due_decisions(user, decisions),
        decisions_count=counted["approvals"],
        items=[_due_item(item) for item in items],
        items_count=counted["queues"],
        delegations=[_lent(row, user) for row in delegations.concerning(user, clock.now())[:SHOWN]],
        reviews=[_due_review(one) for one in reviews[:SHOWN]],
        reviews_count=len(reviews),
        figures=_figures(user, since),
        workflows=_workflows(user, since),
    )


def _due_decisions(user: User, requests: list[ApprovalRequest]) -> list[Due]:
    titles, stands = titles_of(user, requests), standings(requests)
    return [
        Due(
            title=titles[request.pk],
            url=reverse("approvals:request", args=[request.pk]),
            deadline=request.deadline,
            detail=" · ".join(part for part in (request.agent, str(request.policy), stands[request.pk].progress) if part),
            risk=request.risk,
        )
        for request in requests
    ]


def _due_item(item: ReviewItem) -> Due:
    return Due(
        f"{item.run.business_key}: {marks.code_words(item.code)}",
        reverse("review:item", args=[item.pk]),
        item.due_at,
        str(item.queue),
    )


def _due_review(one: Standing) -> Due:
    return Due(
        f"Confirm the grants of {one.name}",
        f"{reverse('portal:matrix-role-review')}?{urlencode({'role': one.name})}",
        one.due_at,
        f"{len(one.left)} of {len(one.grants)} to confirm",
    )


def _lent(row: Delegation, user: User) -> Lent:
    """Who the other one is and when, as both see it on their page; of what it is limited to, nothing: he may not see that."""
    now = clock.now()
    if row.starts_at > now:
        title = f"You are to decide in the place of {row.delegator.display_name}"
        return Lent(title, "from", row.starts_at, "decline it if you will not")
    is_soon = row.ends_at - now < ENDING
    if row.delegate_id == user.pk:
        title = f"You decide in the place of {row.delegator.display_name}"
        detail = "about to end" if is_soon else "it ends by itself; you may decline it"
    else:
        title = f"{row.delegate.display_name} decides in your place"
        detail = "about to end; delegate again if you stay away" if is_soon else "take it back when you decide yourself again"
    return Lent(title, "until", row.ends_at, detail, is_soon)


def _figures(user: User, since: datetime) -> list[Figure]:
    """Runs by status: those still open whenever they began, those that ended in the last day. One query.

    What is rare stands there only while there is some of it: a row of zeros hides the figure that matters.
    """
    rows = Run.objects.visible_to(user).filter(_LISTED, Q(ended_at__isnull=True) | Q(ended_at__gte=since))
    found = dict(rows.order_by().values_list("status").annotate(n=Count("pk")))
    figures = []
    for status, mark in marks.RUN_STATUSES.items():
        if status in _RARE and status not in found:
            continue
        day = {"day": "ended"} if status in Run.TERMINAL else {}
        figures.append(Figure(found.get(status, 0), mark.word, _runs(status=status, **day), mark.tone, mark.icon))
    return figures


def _workflows(user: User, since: datetime) -> list[WorkflowDay]:
    """One query over the runs of the last day and those still open."""
    rows = Run.objects.visible_to(user).filter(Q(submitted_at__gte=since) | Q(ended_at__isnull=True) | Q(ended_at__gte=since))
    grouped = (
        rows.order_by()
        .values("workflow__name", "workflow__title")
        .annotate(
            started=Count("pk", filter=Q(submitted_at__gte=since, parent__isnull=True)),
            completed=Count("pk", filter=Q(status="completed", ended_at__gte=since, parent__isnull=True)),
            failed=Count("pk", filter=Q(status="failed", ended_at__gte=since)),
            waiting=Count("pk", filter=Q(status__in=_WAITING)),
        )
        .order_by("workflow__name")
    )
    return [_workflow_day(row) for row in grouped]


def _workflow_day(row: Mapping[str, Any]) -> WorkflowDay:
    name = row["workflow__name"]
    figures = (
        Figure(row["started"], "Started", _runs(workflow=name, day="started")),
        Figure(row["completed"], "Completed", _runs(workflow=name, status="completed", day="ended")),
        Figure(row["failed"], "Failed", _runs(workflow=name, status="failed", day="ended")),
        Figure(row["waiting"], "Waiting for a person", _runs(workflow=name, status="open")),
    )
    return WorkflowDay(row["workflow__title"] or name, figures, _judged(row["completed"], row["failed"]))


def _judged(completed: int, failed: int) -> tuple[str, str, str]:
    """Words for the day. No history is compared yet, so it says only what the two counts say."""
    if not completed and not failed:
        return "grey", "dot", "nothing ended yet"
    if not failed:
        return "green", "check-circle", "all that ended is well"
    return "red" if failed > completed else "amber", "alert", f"{failed} of {completed + failed} failed"


def _runs(**query: str) -> str:
    return f"{reverse('runs:list')}?{urlencode(query)}"
