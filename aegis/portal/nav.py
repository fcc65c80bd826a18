"""The sidebar: sections, links and counts of what this person can act on."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


def _link(name: str) -> str | None:
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    home = reverse("admin:index")
    return [
        {
            "title": "Operate",
            "items": [
                {"key": "home", "title": "Home", "link": home, "icon": "home", "active": request.path == home, "has_permission": True},
            ],
        }
    ]
