"""The pages of the metrics. Thin: they read an address, have it counted, and draw."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aegis.core.visibility import one_look
from aegis.identity.models import Area
from aegis.portal.metrics import board
from aegis.portal.metrics.asked import SPANS, Asked
from approvals import quality
from audit import following, scopes
from audit.metrics import projection, reading


@require_safe
@one_look()
def page(request: HttpRequest) -> HttpResponse:
    """What was counted of what this person may see; for everybody, as the journal is."""
    asked = Asked.of(request.GET)
    seen = scopes.reach(request.user)
    context = {
        "title": "Metrics",
        "asked": asked,
        "board": board.gather(seen, asked),
        "spans": [(title, asked.page(span=span), span == asked.span) for span, (title, *_) in SPANS.items()],
        "workflows": reading.workflows(seen),
        "lag": following.lag(projection.NAME),
        "answers": board.ANSWERS,
        "may_see_people": seen.ids.get("system") is None and "system" in seen.ids,  # the right to view the area "audit"
    }
    return render(request, "metrics/page.html", context)


@require_safe
@one_look()
def approvals_page(request: HttpRequest) -> HttpResponse:
    """How people decide, by name: for those who may view the area "audit", of the requests they may see."""
    Area.objects.get_visible(request.user, name="audit")
    asked = Asked.of(request.GET)
    votes = quality.read(request.user, asked.start(0))
    context = {
        "title": "Approval quality",
        "asked": asked,
        "people": [(one, asked.url("votes", "", f"user:{one.key}")) for one in quality.by_person(votes)],
        "policies": [(one, asked.url("votes", one.key)) for one in quality.by_policy(votes)],
        "spans": [(title, f"?span={span}", span == asked.span) for span, (title, *_) in SPANS.items()],
        "most": quality.MOST if len(votes) == quality.MOST else 0,
        "rules": quality,
    }
    return render(request, "metrics/approvals.html", context)
