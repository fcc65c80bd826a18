"""Pages of alerts. Thin: they read an address or a form, call a reading function or a verb, and draw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core import clock
from aegis.core.actors import Actor, user_actor
from aegis.core.errors import Conflict, Invalid, NotFound
from aegis.core.pages import partial, safe_next
from aegis.core.visibility import one_look
from aegis.identity.models import Area
from aegis.portal.alerts import episode_page, listing, rule_page
from approvals.alerts import seeing, verbs
from approvals.alerts.models import Alert, Episode, Silence


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    """What fires, by the address; with `part=list` what the page polls."""
    Area.objects.get_visible(request.user, name=seeing.AREA)
    shown = listing.read(request.GET, request.user)
    query = request.GET.copy()
    query["part"] = "list"
    context: dict[str, Any] = {"title": "Alerts", "page": shown, "live_url": f"{reverse('alerts:list')}?{query.urlencode()}"}
    if request.GET.get("part") == "list":
        return partial(request, "alerts/_rows.html", context)
    return render(request, "alerts/list.html", context)


@require_safe
@one_look()
def episode(request: HttpRequest, episode_id: UUID) -> HttpResponse:
    row = Episode.objects.select_related("alert", "acknowledged_by").get_visible(request.user, pk=episode_id)
    page = episode_page.read(row, request.user, request.GET.get("before", ""))
    context = {"title": page.title, "page": page, "silences": episode_page.SILENCES, "here": request.get_full_path()}
    return render(request, "alerts/episode.html", context)


@require_safe
@one_look()
def rule_view(request: HttpRequest, rule: str) -> HttpResponse:
    """One rule; with `rehearse=1` also tried over the last thirty days, which reads all of them."""
    row = Alert.objects.get_visible(request.user, name=rule)
    page = rule_page.read(row, request.user, rehearse=request.GET.get("rehearse") == "1")
    context = {
        "title": row.title or row.name,
        "page": page,
        "silences": episode_page.SILENCES,
        "days": rule_page.DAYS,
        "here": request.get_full_path(),
    }
    return render(request, "alerts/rule.html", context)


@require_POST
def act(request: HttpRequest, episode_id: UUID, verb: str) -> HttpResponse:
    """Take it on, note something, or silence it."""
    Episode.objects.get_visible(request.user, pk=episode_id)
    text = request.POST.get("reason", "")

    def work(actor: Actor) -> str:
        match verb:
            case "acknowledge":
                row = verbs.acknowledge(episode_id, actor=actor, note=text)
                return f"You took on {row.label}. It still resolves by itself."
            case "note":
                row = verbs.note(episode_id, actor=actor, text=text)
                return f"Noted with {row.label}."
            case "silence":
                silence = verbs.silence_episode(episode_id, until=_until(request), actor=actor, reason=text)
                return f"Silenced until {silence.ends_at:%d %b %H:%M} UTC. It is judged and recorded all the same."
        raise NotFound

    return _done(request, reverse("alerts:episode", args=[episode_id]), work)


@require_POST
def silence_rule(request: HttpRequest, rule: str) -> HttpResponse:
    Alert.objects.get_visible(request.user, name=rule)

    def work(actor: Actor) -> str:
        silence = verbs.silence_rule(rule, until=_until(request), actor=actor, reason=request.POST.get("reason", ""))
        return f"{rule} is silenced until {silence.ends_at:%d %b %H:%M} UTC. It is judged and recorded all the same."

    return _done(request, reverse("alerts:rule", args=[rule]), work)


@require_POST
def end_silence(request: HttpRequest, silence_id: UUID) -> HttpResponse:
    Silence.objects.get_visible(request.user, pk=silence_id)

    def work(actor: Actor) -> str:
        silence = verbs.unsilence(silence_id, actor=actor, reason=request.POST.get("reason", ""))
        return f"{silence.rule} is no longer silenced; what still fires is told at the next look."

    return _done(request, reverse("alerts:list"), work)


def _until(request: HttpRequest) -> datetime:
    """The end that was chosen. One that was not offered is no end: the verb refuses it, after it has asked for the right."""
    return clock.now() + (episode_page.silence_end(request.POST.get("hours", "")) or timedelta())


def _done(request: HttpRequest, fallback: str, work: Callable[[Actor], str]) -> HttpResponse:
    """Say what was done or why not, and go back. Refusals are the error pages'."""
    try:
        messages.success(request, work(user_actor(request.user.pk, auth="session")))
    except (Invalid, Conflict) as error:
        messages.error(request, str(error) or error.title)
    return redirect(safe_next(request, fallback))
