"""`{% load saved %}{% saved_views "runs" %}`: the menu of saved views of a list (aegis.portal.saved.pages)."""

from __future__ import annotations

from typing import Any

from django import template

from aegis.portal.saved import listing, subscriptions

register = template.Library()


@register.inclusion_tag("saved/_menu.html", takes_context=True)
def saved_views(context: dict[str, Any], key: str) -> dict[str, Any]:
    """Outside of parts that update by themselves: what is typed into it must stay."""
    request = context["request"]
    return {"menu": listing.menu(request.user, key, request.GET), "csrf_token": context.get("csrf_token"), "request": request}


@register.inclusion_tag("saved/_followed.html", takes_context=True)
def followed_views(context: dict[str, Any]) -> dict[str, Any]:
    """The views that the reader is told of by mail, and where he ends it."""
    user = context["request"].user
    lines = listing.lines(user, page=subscriptions.PAGE, told_only=True)
    return {"lines": lines, "when": subscriptions.when(user) if lines else "", "csrf_token": context.get("csrf_token")}
