"""Ctrl K: pages, and what this person may see by name. Every source starts from `visible_to`; nothing is cached."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aegis.portal.governed.kinds import all_pages
from aegis.portal.governed.pages import url_of
from approvals.models import ApprovalRequest
from orchestration.engine.models import ReviewItem, Run

MAX_CHARS = 100
PER_GROUP = 6


@dataclass(frozen=True, slots=True)
class Hit:
    title: str
    detail: str
    url: str
    icon: str


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """A list of links for the search dialog."""
    asked = request.GET.get("q", "").replace("\x00", "").strip()[:MAX_CHARS]
    groups = [("Pages", _pages(request, asked))]
    if len(asked) >= 2:
        groups += [
            ("Configuration", _documents(request, asked)),
            ("Runs", _runs(request, asked)),
            ("Work", _work(request, asked)),
        ]
    found = [(title, hits) for title, hits in groups if hits]
    return render(request, "portal/_found.html", {"groups": found, "asked": asked})


def _pages(request: HttpRequest, asked: str) -> list[Hit]:
    items = [item for group in admin.site.each_context(request)["sidebar_navigation"] for item in group["items"]]
    return [Hit(item["title"], "", item["link"], item["icon"]) for item in items if asked.lower() in item["title"].lower()]


def _documents(request: HttpRequest, asked: str) -> list[Hit]:
    named = Q(name__icontains=asked) | Q(title__icontains=asked)
    hits: list[Hit] = []
    for kind in all_pages():
        rows = kind.model.objects.visible_to(request.user).filter(named).order_by("name")[:PER_GROUP]
        hits += [Hit(row.title or row.name, f"{kind.singular} {row.name}", url_of(row), kind.icon) for row in rows]
    return hits[: PER_GROUP * 2]


def _runs(request: HttpRequest, asked: str) -> list[Hit]:
    """By business key, from its start so that the index serves, or by the short id people see ("RUN-3F2A91")."""
    condition = Q(business_key__startswith=asked) | _by_label(asked, "RUN-")
    rows = Run.objects.visible_to(request.user).filter(condition).select_related("workflow").order_by("-submitted_at")
    return [
        Hit(row.business_key or row.label, f"{row.label} · {row.workflow}", reverse("runs:run", args=[row.pk]), "runs")
        for row in rows[:PER_GROUP]
    ]


def _work(request: HttpRequest, asked: str) -> list[Hit]:
    """Requests and review items by short id; what they ask is found in their own lists."""
    hits = [
        Hit(row.label, row.capability or "approval request", reverse("approvals:request", args=[row.pk]), "stamp")
        for row in ApprovalRequest.objects.visible_to(request.user).filter(_by_label(asked, "APR-"))[:PER_GROUP]
    ]
    hits += [
        Hit(item.label, "review item", reverse("review:item", args=[item.pk]), "queue")
        for item in ReviewItem.objects.visible_to(request.user).filter(_by_label(asked, "REV-"))[:PER_GROUP]
    ]
    return hits


def _by_label(asked: str, prefix: str) -> Q:
    """The id range that a short id stands for; matches nothing for any other text."""
    digits = asked.upper().removeprefix(prefix).lower()
    if (
        not asked.upper().startswith(prefix)
        or not 1 <= len(digits) <= 6
        or any(char not in "0123456789abcdef" for char in digits)
    ):
        return Q(pk__in=[])
    low, high = digits.ljust(32, "0"), digits.ljust(32, "f")
    return Q(pk__gte=low, pk__lte=high)
