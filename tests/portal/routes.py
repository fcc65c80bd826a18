"""Every route of the portal as a concrete address, so that tests can walk them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

from aegis.identity.models import User
from approvals.models import ApprovalRequest
from audit.models import Event
from orchestration.agents.models import Agent
from orchestration.engine.models import ReviewItem, Run

_GIVEN: dict[str, Any] = {"name": "support-desk", "kind": "Agent", "number": 1, "stream": "system", "seq": 1, "action": "view"}
_ROWS = {
    "group_id": Group,
    "person_id": User,
    "request_id": ApprovalRequest,
    "run_id": Run,
    "item_id": ReviewItem,
    "event": Event,
}


def addresses(model_rows: dict[str, Any]) -> list[str]:
    """All addresses; a route with a row's id is filled with an existing row where there is one.

    Args:
        model_rows: "<app>_<model>" -> id of a row, for the routes of governed documents.
    """
    return sorted({"/" + path for path in _walk(get_resolver().url_patterns, "", model_rows)})


def _walk(patterns: list[URLPattern | URLResolver], prefix: str, rows: dict[str, Any]) -> Iterator[str]:
    for pattern in patterns:
        if not isinstance(pattern.pattern, RoutePattern):
            continue  # the two catch-alls
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route, rows)
        else:
            yield _filled(route, pattern, rows)


def _filled(route: str, pattern: URLPattern, rows: dict[str, Any]) -> str:
    for part in route.split("<")[1:]:
        converter = part.split(">")[0]
        name = converter.split(":")[-1]
        route = route.replace(f"<{converter}>", str(_value(name, pattern, rows)))
    return route


def _value(name: str, pattern: URLPattern, rows: dict[str, Any]) -> Any:
    if name == "pk":
        model = (pattern.name or "").rpartition("_")[0]
        return rows.get(model, uuid4())
    if name in _ROWS:
        return _ROWS[name].objects.values_list("pk", flat=True).first() or uuid4()
    return _GIVEN.get(name, uuid4() if name.endswith("id") else "x")


def governed_rows() -> dict[str, Any]:
    """ "<app>_<model>" -> id of one row of each governed kind."""
    from aegis.portal.governed.kinds import all_pages

    rows = {}
    for pages in all_pages():
        meta = pages.model._meta
        if (row := pages.model._default_manager.first()) is not None:
            rows[f"{meta.app_label}_{meta.model_name}"] = row.pk
    assert Agent.objects.exists()
    return rows
