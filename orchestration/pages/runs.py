"""Pages of runs: the list, one run, its events. Cancel and retry go through the engine's verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core.actors import Actor, user_actor
from aegis.core.errors import Conflict, Invalid, NotFound
from aegis.core.pages import etag_of, not_modified, partial
from aegis.core.visibility import one_look
from aegis.identity.models import User
from approvals.pages import words
from audit import bundles, masking
from audit.models import Event, Payload
from orchestration.engine import verbs
from orchestration.engine.models import Run
from orchestration.pages import marks, runlist, runpage

Verb = Callable[..., Run]


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    """Runs, newest first; the same address with `part=list` is what the page polls."""
    user = person_of(request)
    filters = runlist.Filters.of(request.GET)
    found = runlist.page(user, filters)
    context = {"page": found, "filters": filters, "title": "Runs", "live_url": _part_url(request, "list")}
    if request.GET.get("part") != "list":
        return render(request, "runs/list.html", context)
    etag = etag_of(user.pk, filters, found.etag_parts)
    return not_modified(request, etag) or partial(request, "runs/_rows.html", context, etag=etag)


@require_safe
@one_look()
def run_page(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One run; with `part=live` what the page polls, answered 304 while the run stands still."""
    user = person_of(request)
    run = runpage.visible_run(user, run_id)
    lanes, agent = _lanes(request), request.GET.get("agent", "")[:200]
    if request.GET.get("part") != "live":
        return render(request, "runs/run.html", _context(request, user, run, lanes, agent))
    etag = etag_of(*runpage.etag_parts(run, user), lanes, agent)
    if response := not_modified(request, etag):
        return response
    return partial(request, "runs/_live.html", _context(request, user, run, lanes, agent), etag=etag)


@require_safe
@one_look()
def event_page(request: HttpRequest, run_id: UUID, seq: int) -> HttpResponse:
    """One event of the run's stream with its journal line and its whole payloads, which may not fit into the timeline."""
    user = person_of(request)
    run = runpage.visible_run(user, run_id)
    event = Event.objects.visible_to(user).filter(stream=run.stream, seq=seq).first()
    if event is None:
        raise NotFound
    payloads = [
        {"name": row.name, "text": words.pretty_text(body), "size": len(body), "erased_at": row.erased_at}
        for row, body in masking.bodies(user, Payload.objects.filter(stream=run.stream, seq=seq).order_by("id"))
    ]
    context = {
        "run": run,
        "event": event,
        "line": words.pretty_text(event.line),
        "payloads": payloads,
        "title": f"{run.label}, event {seq}",
    }
    return render(request, "runs/event.html", context)


@require_safe
@one_look()
def evidence(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The evidence bundle of the run, as far as this person may see it. That it was taken is on record."""
    user = person_of(request)
    run = runpage.visible_run(user, run_id)
    try:
        bundle = bundles.of_run(run.pk, run.stream, run.label, viewer=user, actor=actor_of(user))
    except (Conflict, Invalid) as error:
        context = _context(request, user, run, ()) | {"error": error}
        return render(request, "runs/run.html", context, status=error.http_status)
    return HttpResponse(
        bundle.content,
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{bundle.name}"'},
    )


@require_POST
def cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return _tell(request, run_id, "cancel", verbs.cancel_run, "The run is being cancelled.")


@require_POST
def retry(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return _tell(request, run_id, "retry", verbs.retry_run, "The step is being tried again.")


@require_POST
def rollback(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return _tell(request, run_id, "rollback", verbs.rollback_run, "The rollback is asked for; others decide about it.")


def _tell(request: HttpRequest, run_id: UUID, name: str, verb: Verb, said: str) -> HttpResponse:
    """Ask the run for something; refused for its input or state, the page comes back with what was typed."""
    user = person_of(request)
    reason = request.POST.get("reason", "")
    try:
        verb(run_id, person=user, actor=actor_of(user), reason=reason)
    except (Invalid, Conflict) as error:
        run = runpage.visible_run(user, run_id)
        context = _context(request, user, run, ()) | {"error": error, "open_form": name, "typed_reason": reason}
        return render(request, "runs/run.html", context, status=error.http_status)
    messages.success(request, said)
    return redirect("runs:run", run_id)


def _context(request: HttpRequest, user: User, run: Run, lanes: tuple[str, ...], agent: str = "") -> dict[str, Any]:
    shown = runpage.gather(user, run, lanes, agent)
    here = reverse("runs:run", args=[run.pk])
    chips = [
        {
            "lane": lane,
            "icon": marks.LANES.get(lane, "info"),
            "count": count,
            "is_on": lane in lanes,
            "url": f"{here}{_query(_toggled(lanes, lane), agent)}#timeline",
        }
        for lane, count in shown.lanes.items()
    ]
    agents = [
        {
            "agent": name,
            "count": count,
            "is_chosen": name == agent,
            "url": f"{here}{_query(lanes, '' if name == agent else name)}#timeline",
        }
        for name, count in shown.agents.items()
    ]
    return {
        "page": shown,
        "run": run,
        "title": f"{run.business_key or '(erased)'}, {run.label}",
        "chips": chips,
        "agents": agents,
        "is_filtered": bool(lanes or agent),
        "here": here,
        "link": request.build_absolute_uri(here),
        "live_url": here + _query(lanes, agent, part="live"),
        "open_form": "",
        "typed_reason": "",
    }


def _lanes(request: HttpRequest) -> tuple[str, ...]:
    asked = request.GET.get("lane", "").split(",")
    return tuple(lane for lane in marks.LANES if lane in asked)


def _toggled(lanes: tuple[str, ...], toggled: str) -> tuple[str, ...]:
    """The lanes with one switched on or off."""
    return tuple(lane for lane in marks.LANES if (lane in lanes) != (lane == toggled))


def _query(lanes: tuple[str, ...], agent: str, **rest: str) -> str:
    """The filter as an address has it."""
    chosen = {**rest, "lane": ",".join(lanes), "agent": agent}
    query = urlencode({name: value for name, value in chosen.items() if value}, safe=",")
    return f"?{query}" if query else ""


def _part_url(request: HttpRequest, part: str) -> str:
    query = request.GET.copy()
    query["part"] = part
    return f"{request.path}?{query.urlencode()}"


def person_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    return request.user


def actor_of(user: User) -> Actor:
    return user_actor(user.pk, auth="session")
