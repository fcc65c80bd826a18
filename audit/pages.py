"""The audit page, one event, and verification. Thin: they read a request, call a verb and draw."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from aegis.core.actors import user_actor
from aegis.core.visibility import Viewer
from aegis.identity.models import Area
from audit import counting, detail, exporting, following, histogram, rail, scopes, search, telling, verifications
from audit.index import projection
from audit.models import Event


@require_safe
def list_page(request: HttpRequest) -> HttpResponse:
    """What happened, newest first, filtered by the address. `event=<stream>/<seq>` opens the side panel."""
    asked = search.from_params(request.GET)
    seen = scopes.reach(request.user)
    found = search.find(asked, request.user, seen=seen)
    if asked.before is None and asked.narrows:
        search.record_search(asked, user_id=request.user.pk, auth="session")
    counts = counting.count(asked, request.user, seen)
    opened = _opened(request, seen)
    told = telling.tell(found.events, request.user)
    drawn = rail.draw(asked, request.GET, counts)
    context = {
        "title": "Audit",
        "asked": asked,
        "rail": drawn,
        "counts": counts,
        "chart": histogram.draw(counts, asked, request.GET),
        "rows": [
            rail.Row(one, hit.position, rail.with_event(request.GET, hit.event))
            for one, hit in zip(told, found.hits, strict=True)
        ],
        "drops": [] if found.hits else rail.drops(drawn, request.user, seen),
        "older": rail.older(request.GET, found.older),
        "newest": rail.newest(request.GET) if asked.before is not None else "",
        "detail": detail.show(opened, request.user) if opened else None,
        "closed": rail.without_event(request.GET),
        "badge": verifications.latest(),
        "lag": following.lag(projection.NAME),
        "exports": rail.exports(request.GET),
        "export_most": exporting.MOST,
        "may_verify": seen.ids.get("system") is None and "system" in seen.ids,  # the right to view the area "audit"
    }
    return render(request, "audit/list.html", context)


@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """Exactly what the list shows, whole, as a file."""
    asked = search.from_params(request.GET)
    actor = user_actor(request.user.pk, auth="session")
    return exporting.answer(asked, request.user, actor, request.GET.get("format", ""))


@require_safe
def event_page(request: HttpRequest, stream: str, seq: int) -> HttpResponse:
    """One event on a page of its own: what a copied link leads to."""
    shown = detail.show(_event(request.user, stream, seq), request.user)
    return render(request, "audit/event.html", {"title": shown.told.place, "detail": shown, "alone": True})


@require_safe
def panel(request: HttpRequest, stream: str, seq: int) -> HttpResponse:
    """The same as a partial, for the panel beside the list. The same right, the same 404."""
    shown = detail.show(_event(request.user, stream, seq), request.user)
    return render(request, "audit/_panel.html", {"detail": shown, "closed": ""})


@require_http_methods(["GET", "HEAD", "POST"])
def verify_page(request: HttpRequest) -> HttpResponse:
    """The last verifications; POST runs one now. For those who may view the area "audit"."""
    Area.objects.get_visible(request.user, name="audit")
    if request.method == "POST":
        stream = request.POST.get("stream", "").replace("\x00", "").strip()[:120]
        report = verifications.run(user_actor(request.user.pk, auth="session"), stream or None)
        if report.is_good:
            messages.success(request, f"All checks passed: {report.checked:,} events.")
        else:
            messages.error(request, f"The record is broken. First bad event: {report.first_bad}")
        return redirect("audit:verify")
    return render(request, "audit/verify.html", {"title": "Verify the journal", "runs": verifications.newest(10)})


def _event(user: Viewer, stream: str, seq: int) -> Event:
    event: Event = Event.objects.get_visible(user, stream=stream, seq=seq)
    return event


def _opened(request: HttpRequest, seen: scopes.Reach) -> Event | None:
    """The event named by `event=<stream>/<seq>`; an unknown or hidden one opens nothing."""
    stream, _, seq = request.GET.get("event", "").rpartition("/")
    if not stream or not (seq.isascii() and seq.isdigit() and len(seq) < 10) or "\x00" in stream:
        return None
    return Event.objects.within(seen).filter(stream=stream, seq=int(seq)).first()
