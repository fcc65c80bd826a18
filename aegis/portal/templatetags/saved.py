"""`{% load saved %}{% saved_views "runs" %}`: the menu of saved views of a list (aegis.portal.saved.pages)."""

from __future__ import annotations

from typing import Any

from django import template

from aegis.portal.saved import listing

register = template.Library()


@register.inclusion_tag("saved/_menu.html", takes_context=True)
def saved_views(context: dict[str, Any], key: str) -> dict[str, Any]:
    """Outside of parts that update by themselves: what is typed into it must stay."""
    request = context["request"]
    return {"menu": listing.menu(request.user, key, request.GET), "csrf_token": context.get("csrf_token"), "request": request}
