"""The shell's context for every page, admin view or not: Unfold's `each_context`, the person's groups, the integrity badge."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from aegis.portal import integrity


def shell(request: HttpRequest) -> dict[str, Any]:
    """Nothing for strangers; lazy where it costs a query, so that polled partials do not pay for the sidebar."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"site_title": "AEGIS"}
    user.shell_groups = SimpleLazyObject(lambda: list(user.groups.order_by("name").values_list("name", flat=True)[:3]))
    return {
        **admin.site.each_context(request),
        "integrity": SimpleLazyObject(integrity.badge),
    }
