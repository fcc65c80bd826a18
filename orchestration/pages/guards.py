"""The page of what holds work back, and its forms: halt, resume, open and close a breaker. Rules are in the verbs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core.errors import Conflict, Invalid
from aegis.core.pages import etag_of, not_modified, partial, safe_next
from aegis.core.visibility import one_look
from orchestration.engine.guards import standing, verbs
from orchestration.pages import guardboard, haltpage
from orchestration.pages.runs import actor_of, person_of


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    """Halts, breakers and limits that stand; with `part=board` what the page polls.

    `target` ("workflow:notes") is what the form of a halt begins with.
    """
    user = person_of(request)
    shown = guardboard.board(user)
    live_url = f"{reverse('guards:list')}?part=board"
    context = {"board": shown, "title": "Halts and breakers", "live_url": live_url, "here": reverse("guards:list")}
    if request.GET.get("part") != "board":
        context |= {"confirmation": haltpage.CONFIRMATION, "chosen": request.GET.get("target", "")}
        return render(request, "guards/list.html", {**context, "halts": haltpage.page(user, shown)})
    etag = etag_of(user.pk, *guardboard.etag_parts(shown))
    return not_modified(request, etag) or partial(request, "guards/_board.html", context, etag=etag)


@require_POST
def halt(request: HttpRequest) -> HttpResponse:
    """Halt one thing, told as "agent:clerk" or in two fields; everything only with the word typed: no slip stops it all."""
    what, _, name = request.POST.get("target", "").partition(":")
    what, name = what or request.POST.get("what", ""), name or request.POST.get("name", "")
    typed = request.POST.get("confirm", "").strip().lower()

    def work() -> str:
        # Who may not is told that by the verb, typed or not.
        if what == "everything" and typed != haltpage.CONFIRMATION and standing.may_halt_everything(person_of(request)):
            raise Invalid(f"Type “{haltpage.CONFIRMATION}” to halt everything; nothing was halted")
        placed = verbs.halt(what, name, actor=actor_of(person_of(request)), reason=request.POST.get("reason", ""))
        called = f"The {placed.halt.scope} {placed.halt.name}" if placed.halt.target else "Everything"
        return f"{called} is halted: no new work begins." if placed.is_new else f"{called} was halted already."

    return _done(request, work)


@require_POST
def resume(request: HttpRequest, halt_id: UUID) -> HttpResponse:
    def work() -> str:
        pace = request.POST.get("pace", "")
        resumed = verbs.resume(
            halt_id,
            actor=actor_of(person_of(request)),
            reason=request.POST.get("reason", ""),
            pace=int(pace) if pace.isascii() and pace.isdigit() and len(pace) < 6 else verbs.DEFAULT_PACE if not pace else 0,
        )
        return f"New work begins again; what was held goes on at {resumed.halt.pace} runs a second."

    return _done(request, work)


@require_POST
def switch(request: HttpRequest, kind: str, name: str, way: str) -> HttpResponse:
    """Open or close a breaker by hand."""

    def work() -> str:
        verb: Callable[..., Any] = verbs.open_breaker if way == "open" else verbs.close_breaker
        verb(kind, name, actor=actor_of(person_of(request)), reason=request.POST.get("reason", ""))
        if way == "open":
            return f"The breaker of {name} is open until somebody closes it."
        return f"The breaker of {name} is closed; its failures are forgotten."

    return _done(request, work)


def _done(request: HttpRequest, work: Callable[[], str]) -> HttpResponse:
    """Do it and go back to where the form was."""
    try:
        messages.success(request, work())
    except (Invalid, Conflict) as error:
        faults = "; ".join(f"{fault.where.strip('/')} {fault.what}" for fault in error.faults)
        messages.error(request, f"{error.detail}{f' ({faults})' if faults else ''}")
    return redirect(safe_next(request, reverse("guards:list")))
