"""Pages of the dead letters: the list, the review of what would be sent on, and what became of each. Only POST changes
anything."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core.errors import Invalid
from aegis.core.pages import etag_of, not_modified, partial
from aegis.core.visibility import one_look
from orchestration.engine import deadletters
from orchestration.engine.deadletters import MAX_AT_ONCE
from orchestration.pages import deadletterlist
from orchestration.pages.deadletterlist import Query
from orchestration.pages.runs import actor_of, person_of


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    """Newest first; the same address with `part=list` is what the page polls while nothing is ticked."""
    user, query = person_of(request), Query.of(request.GET)
    found = deadletterlist.page(user, query)
    address = query.url(before=query.before)
    context = {
        "page": found,
        "query": query,
        "title": "Dead letters",
        "live_url": f"{reverse('deadletters:list')}{address}{'&' if len(address) > 1 else ''}part=list",
        "max_at_once": MAX_AT_ONCE,
    }
    if request.GET.get("part") != "list":
        return render(request, "deadletters/list.html", context)
    etag = etag_of(user.pk, query, found.etag_parts)
    return not_modified(request, etag) or partial(request, "deadletters/_rows.html", context, etag=etag)


@require_POST
def review(request: HttpRequest) -> HttpResponse:
    """What would be sent on: the ticked ones, or all that match the filters. Asks for the reason; changes nothing."""
    return _review(request, _chosen(request), None)


@require_POST
def redrive(request: HttpRequest) -> HttpResponse:
    """Send on what was left ticked, and say what became of each."""
    user, ids = person_of(request), request.POST.getlist("id")[: MAX_AT_ONCE + 1]
    known = {letter.id: letter for letter in deadletters.named(user, ids)}
    reason = request.POST.get("reason", "")
    try:
        results = deadletters.redrive_many(ids, person=user, actor=actor_of(user), reason=reason)
    except Invalid as error:
        return _review(request, ids, error)
    told = [{"result": result, "letter": known.get(result.id)} for result in results]
    done = sum(result.is_done for result in results)
    context = {"told": told, "done": done, "refused": len(results) - done, "title": "Sent on", "back": _back(request)}
    return render(request, "deadletters/results.html", context)


def _review(request: HttpRequest, ids: list[str], error: Invalid | None) -> HttpResponse:
    user = person_of(request)
    shown = deadletterlist.rows(user, deadletters.named(user, ids))
    context: dict[str, Any] = {
        "going": [row for row in shown if row.can_go],
        "staying": [row for row in shown if not row.can_go],
        "is_cut": len(ids) >= MAX_AT_ONCE,
        "max_at_once": MAX_AT_ONCE,
        "error": error,
        "reason": request.POST.get("reason", ""),
        "query": Query.of(request.POST),
        "title": "Send on",
        "back": _back(request),
    }
    return render(request, "deadletters/review.html", context, status=error.http_status if error else 200)


def _chosen(request: HttpRequest) -> list[str]:
    if only := request.POST.get("only"):
        return [only]
    if "all" not in request.POST:
        return request.POST.getlist("id")[:MAX_AT_ONCE]
    letters, _ = deadletters.find(person_of(request), Query.of(request.POST).filters(), limit=MAX_AT_ONCE)
    return [letter.id for letter in letters]


def _back(request: HttpRequest) -> str:
    return f"{reverse('deadletters:list')}{Query.of(request.POST).url()}"
