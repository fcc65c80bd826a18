"""The page of erasures and legal holds, and its forms. Rules are in the verbs."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core.errors import Conflict, Fault, Invalid
from aegis.core.visibility import one_look
from aegis.identity.models import Area
from orchestration.engine.erasing import verbs
from orchestration.pages import erasureboard
from orchestration.pages.runs import actor_of, person_of

MAX_KEY_CHARS = 200


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    """What was asked, what is held; with `about=` what an erasure would empty, for whoever may ask."""
    user = person_of(request)
    Area.objects.get_visible(user, name="audit")
    shown = erasureboard.board(user)
    about = request.GET.get("about", "").replace("\x00", "").strip()[:MAX_KEY_CHARS]
    found = erasureboard.preview(user, about) if about and shown.may_ask else None
    context = {"title": "Erasure and holds", "board": shown, "about": about, "preview": found}
    return render(request, "erasures/list.html", context)


@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    def work() -> str:
        actor, reason = actor_of(person_of(request)), request.POST.get("reason", "")
        verbs.officer(actor)
        run_id, key = _named(request)
        erasure = verbs.ask(run_id=run_id, key=key, actor=actor, reason=reason)
        return f"{erasure.label} waits for two others to approve it."

    return _done(request, work)


@require_POST
def place(request: HttpRequest) -> HttpResponse:
    def work() -> str:
        actor, reason = actor_of(person_of(request)), request.POST.get("reason", "")
        verbs.officer(actor)
        scope, run_id, key = request.POST.get("scope", ""), None, ""
        if scope != "everything":
            run_id, key = _named(request)
        verbs.place_hold(scope, run_id=run_id, key=key, actor=actor, reason=reason)
        return "The hold stands: nothing of it is erased until another person lifts it."

    return _done(request, work)


@require_POST
def lift(request: HttpRequest) -> HttpResponse:
    def work() -> str:
        actor, reason = actor_of(person_of(request)), request.POST.get("reason", "")
        verbs.officer(actor)
        hold_id = _uuid(request.POST.get("hold", ""))
        if hold_id is None:
            raise Invalid("Say which hold", faults=[Fault("/hold", "is no id")])
        verbs.lift_hold(hold_id, actor=actor, reason=reason)
        return "The hold is lifted."

    return _done(request, work)


def _named(request: HttpRequest) -> tuple[UUID | None, str]:
    """The run or the business key that a form is about."""
    run_id, key = _uuid(request.POST.get("run", "")), request.POST.get("key", "").strip()
    if (run_id is None) == (not key) or len(key) > MAX_KEY_CHARS or "\x00" in key:
        raise Invalid("Say what it is about", faults=[Fault("/key", "name a run or a business key")])
    return run_id, key


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _done(request: HttpRequest, work: Callable[[], str]) -> HttpResponse:
    try:
        messages.success(request, work())
    except (Invalid, Conflict) as error:
        faults = "; ".join(f"{fault.where.strip('/')} {fault.what}" for fault in error.faults)
        messages.error(request, f"{error.detail}{f' ({faults})' if faults else ''}")
    return redirect(reverse("erasures:list"))
