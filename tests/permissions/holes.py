"""Holes as a release could have them: each opens one route, by one patch. The matrix, asked about that route, must see each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from aegis.core import visibility
from aegis.core.admin import RestrictedAdmin
from aegis.identity.models import User
from aegis.portal import errors, middleware
from aegis.portal.admin import PeopleAdmin
from aegis.portal.governed import pages
from approvals import electors, judging
from approvals.querysets import GovernedQuerySet, RequestQuerySet
from audit import access
from audit.querysets import EventQuerySet
from orchestration.agents.models import Agent
from orchestration.engine.querysets import ReviewItemQuerySet, RunQuerySet

Plant = Callable[[pytest.MonkeyPatch], None]


def unscoped(patch: pytest.MonkeyPatch) -> None:
    """The row is loaded by its id, whoever asks."""
    patch.setattr(visibility.VisibleQuerySet, "get_visible", lambda self, user, action="view", **lookup: self.get(**lookup))


def verb_not_asked(patch: pytest.MonkeyPatch) -> None:
    """To see it is enough to act on it."""
    asked = visibility.VisibleQuerySet.get_visible
    patch.setattr(
        visibility.VisibleQuerySet, "get_visible", lambda self, user, action="view", **lookup: asked(self, user, **lookup)
    )


def _all(queryset: type[Any]) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(queryset, "visible_to", lambda self, user, action="view": self.all())

    plant.__doc__ = f"{queryset.__name__} shows every row."
    return plant


def operating_is_viewing(patch: pytest.MonkeyPatch) -> None:
    """Whoever sees the queue may work on its items."""
    asked = ReviewItemQuerySet.visible_to
    patch.setattr(ReviewItemQuerySet, "visible_to", lambda self, user, action="view": asked(self, user, "view"))


def nothing_on_record(patch: pytest.MonkeyPatch) -> None:
    """Refusals leave no trace."""
    patch.setattr(access, "record_denial", lambda *arguments, **more: True)


def writes_before_it_refuses(patch: pytest.MonkeyPatch) -> None:
    """Something is changed before the right is asked."""
    recorded = middleware.Denials._record

    def changed(self: Any, request: Any, response: Any) -> None:
        Agent.objects.update(title="touched")
        recorded(self, request, response)

    patch.setattr(middleware.Denials, "_record", changed)


def hidden_names_itself(patch: pytest.MonkeyPatch) -> None:
    """The page of a 404 tells what was asked for."""
    shown = errors.error_page

    def told(request: Any, error: Any) -> HttpResponse:
        page = shown(request, error)
        page.content += str(Agent.objects.order_by("name").values_list("title", flat=True)[0]).encode()
        return page

    patch.setattr(errors, "error_page", told)


def anybody_decides(patch: pytest.MonkeyPatch) -> None:
    """Who sees a request may decide it."""
    may = electors.Eligibility(True, "You can decide this", ("Deciders A",))
    patch.setattr(judging, "judge", lambda *arguments: may)


def anybody_adds(patch: pytest.MonkeyPatch) -> None:
    """Nobody asks who may add a document."""
    from aegis.portal.governed import editing

    patch.setattr(editing, "may_create", lambda user, kind: True)


def anybody_edits(patch: pytest.MonkeyPatch) -> None:
    """The form of a document is shown to whoever sees it."""
    patch.setattr(pages, "may", lambda user, row, action: True)


def _open_matrix(module: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(f"aegis.portal.matrix.{module}.require_access", lambda request: None)

    plant.__doc__ = "The matrix is shown to everybody."
    return plant


def lists_show_all(patch: pytest.MonkeyPatch) -> None:
    """A list starts from all rows."""
    patch.setattr(RestrictedAdmin, "visible", lambda self, request: self.model._default_manager.all())


def audit_shows_all(patch: pytest.MonkeyPatch) -> None:
    """The page of the audit asks nobody what may be seen."""
    patch.setattr(EventQuerySet, "within", lambda self, seen: self.all())


def people_show_all(patch: pytest.MonkeyPatch) -> None:
    """People are shown to everybody."""
    patch.setattr(PeopleAdmin, "visible", lambda self, request: User.objects.all())


def refuses_as_conflict(patch: pytest.MonkeyPatch) -> None:
    """A missing right is told as a state."""
    from aegis.core.errors import Forbidden

    patch.setattr(Forbidden, "http_status", 409)


def _holes() -> list[tuple[str, Plant]]:
    ofs: list[tuple[Plant, tuple[str, ...]]] = [
        (unscoped, ("/runs/{run_id}/cancel/", "/api/v1/runs/{run_id}", "/api/v1/runs/{run_id}/rollback",
                    "/api/v1/requests/{request_id}", "/approvals/{request_id}/", "/api/v1/workflows/{name}/map",
                    "/api/v1/routing-tables/{name}/replay", "/api/v1/contracts/{name}", "/open/{kind}/",
                    "/orchestration/agent/{pk}/", "/orchestration/role/{pk}/history/", "/api/v1/agents/{name}/credentials")),
        (verb_not_asked, ("/runs/{run_id}/retry/", "/api/v1/workflows/{name}/dry-run", "/api/v1/workflows/{name}/samples",
                          "/api/v1/runs", "/api/v1/messages", "/agents/{name}/disable/", "/guards/halt/")),
        (_all(RunQuerySet), ("/runs/", "/search/")),
        (_all(ReviewItemQuerySet), ("/api/v1/dead-letters", "/review/{item_id}/", "/search/")),
        (_all(RequestQuerySet), ("/api/v1/requests", "/search/")),
        (_all(EventQuerySet), ("/audit/events/{stream}/{seq}/",)),
        (_all(GovernedQuerySet), ("/orchestration/capability/", "/api/v1/halts", "/orchestration/agent/{pk}/edit/live/",
                                  "/search/", "/review/")),
        (operating_is_viewing, ("/review/{item_id}/claim/", "/api/v1/review-items/{item_id}/statement")),
        (nothing_on_record, ("/review/{item_id}/complete/", "/api/v1/runs/batch", "/orchestration/workflow/{pk}/try/")),
        (writes_before_it_refuses, ("/runs/{run_id}/rollback/",)),
        (hidden_names_itself, ("/orchestration/workflow/{pk}/",)),
        (anybody_decides, ("/api/v1/requests/{request_id}/decisions",)),
        (anybody_adds, ("/orchestration/role/new/", "/orchestration/agent/new/live/")),
        (anybody_edits, ("/orchestration/reviewqueue/{pk}/edit/",)),
        (_open_matrix("views"), ("/matrix/", "/matrix/why/")),
        (_open_matrix("export"), ("/matrix/export/",)),
        (lists_show_all, ("/orchestration/floorlock/",)),
        (audit_shows_all, ("/audit/",)),
        (people_show_all, ("/identity/user/",)),
        (refuses_as_conflict, ("/workflows/{name}/retire/",)),
    ]  # fmt: skip
    return [(path, plant) for plant, paths in ofs for path in paths]


HOLES = _holes()
