"""The page of saved views, and the forms that menus on the lists send. Rules are in the verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, cast
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from aegis.core.actors import Actor, user_actor
from aegis.core.errors import AegisError, Conflict, Invalid
from aegis.core.visibility import one_look
from aegis.identity.models import User
from aegis.portal.saved import listing, subscriptions, verbs
from aegis.portal.saved.pages import PAGES


@require_safe
@one_look()
def list_page(request: HttpRequest) -> HttpResponse:
    return _page(request)


@require_safe
def open_first(request: HttpRequest, page: str) -> HttpResponse:
    """What the sidebar leads to where a person chose a view: its list, with that view."""
    return redirect(listing.first_address(cast(User, request.user), page))


@require_safe
def view(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """What a mail leads to: the list, as this view narrows it. A mail holds no filter."""
    return redirect(listing.address_of(cast(User, request.user), view_id))


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """From a list: back to it, with the view in its menu."""
    key, name, query = (request.POST.get(field, "") for field in ("page", "name", "query"))
    try:
        view = verbs.save(key, name, query, actor=_actor(request))
    except (Invalid, Conflict) as error:
        return _page(request, error=error, typed={"page": key, "name": name, "query": query, "title": PAGES[key].title})
    messages.success(request, f"Saved as “{view.name}”.")
    return redirect(PAGES[key].address(view.query))


@require_POST
def change(request: HttpRequest, view_id: UUID) -> HttpResponse:
    name, group = request.POST.get("name", ""), request.POST.get("group", "")

    def work(actor: Actor) -> str:
        view = verbs.change(view_id, name=name, group=group, actor=actor)
        return f"“{view.name}” is {f'shared with {view.group}' if view.group else 'yours alone'}."

    return _done(request, work, {"view": str(view_id), "name": name, "group": group})


@require_POST
def delete(request: HttpRequest, view_id: UUID) -> HttpResponse:
    return _done(request, lambda actor: f"“{verbs.delete(view_id, actor=actor).name}” is deleted.", {})


@require_POST
def first(request: HttpRequest, view_id: UUID) -> HttpResponse:
    def work(actor: Actor) -> str:
        is_first = request.POST.get("on") == "1"
        view = verbs.open_first(view_id, is_first=is_first, actor=actor)
        title = PAGES[view.page].title
        return f"{title} opens with “{view.name}” for you." if is_first else f"{title} opens with everything for you."

    return _done(request, work, {})


@require_POST
def subscribe(request: HttpRequest, view_id: UUID) -> HttpResponse:
    def work(actor: Actor) -> str:
        view = subscriptions.subscribe(view_id, actor=actor)
        return f"You will be told of “{view.name}” by mail {subscriptions.when(cast(User, request.user))}."

    return _done(request, work, {})


@require_POST
def unsubscribe(request: HttpRequest, view_id: UUID) -> HttpResponse:
    return _done(
        request, lambda actor: f"You are told of “{subscriptions.unsubscribe(view_id, actor=actor).name}” no more.", {}
    )


#: Where a form that stands elsewhere leads back to.
_BACK: Final = {"audit": "audit:list", "notices": "approvals:notices"}


def _done(request: HttpRequest, work: Callable[[Actor], str], typed: Mapping[str, str]) -> HttpResponse:
    try:
        messages.success(request, work(_actor(request)))
    except (Invalid, Conflict) as error:
        return _page(request, error=error, typed=typed)
    back = request.POST.get("back", "")
    if back not in _BACK:
        return redirect("portal:views")
    query = PAGES["audit"].query_of(QueryDict(request.POST.get("query", ""))) if back == "audit" else ""
    return redirect(PAGES["audit"].address(query) if back == "audit" else _BACK[back])


def _page(request: HttpRequest, *, error: AegisError | None = None, typed: Mapping[str, str] | None = None) -> HttpResponse:
    user = cast(User, request.user)
    found = listing.lines(user)
    context = {
        "title": "Saved views",
        "own": [line for line in found if line.is_own],
        "shared": [line for line in found if not line.is_own],
        "groups": list(user.groups.order_by("name")),
        "error": error,
        "typed": typed or {},
        "most": verbs.MAX_VIEWS,
        "by_mail": settings.TELLS_BY_MAIL,
        "when": subscriptions.when(user) if any(line.can_be_told for line in found) else "",
    }
    return render(request, "saved/list.html", context, status=error.http_status if error else 200)


def _actor(request: HttpRequest) -> Actor:
    return user_actor(cast(User, request.user).pk, auth="session")
