"""The admin class of every governed kind: a scoped list and one document page. It writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from aegis.core.admin import RestrictedAdmin
from aegis.portal.governed import editing, pages, versions
from aegis.portal.governed.kinds import KindPages
from aegis.portal.templatetags.aegis import moment
from approvals.models import Governed


class GovernedAdmin(RestrictedAdmin):
    """Lists rows from `visible_to`; the pages behind them are `portal.governed`'s. Stock change, add, delete and history
    routes are not mounted at all, so there is nothing to close (HAZARDS T1, T2, T6)."""

    kind_pages: ClassVar[KindPages]

    list_display: Any = ("entry", "version_number", "changed")
    search_fields = ("name", "title")
    ordering = ("name",)

    @property
    def list_intro(self) -> str:
        return self.kind_pages.intro

    @property
    def empty_hint(self) -> str:
        return f"There are no {self.kind_pages.plural} that you may see. {self.kind_pages.empty_hint}".strip()

    @admin.display(description="Name", ordering="name")
    def entry(self, row: Governed) -> str:
        detail = format_html(' <span class="ag-muted">{}</span>', row.title) if row.title and row.title != row.name else ""
        return format_html('<a href="{}"><span class="ag-strong">{}</span>{}</a>', pages.url_of(row), row.name, detail)

    @admin.display(description="Version", ordering="version")
    def version_number(self, row: Governed) -> str:
        return format_html('<span class="ag-num">{}</span>', row.version)

    @admin.display(description="Changed", ordering="updated_at")
    def changed(self, row: Governed) -> str:
        return moment(row.updated_at)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "title": self.kind_pages.plural_title,
            "list_intro": self.list_intro,
            "new_url": reverse(f"admin:{self._prefix}_add") if pages.may_create(request.user, self.kind_pages) else "",
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    @property
    def _prefix(self) -> str:
        meta = self.model._meta
        return f"{meta.app_label}_{meta.model_name}"

    def get_urls(self) -> list[URLPattern]:
        kind = self.kind_pages
        view = self.admin_site.admin_view

        def bind(page: Callable[..., HttpResponse]) -> Any:
            def bound(request: HttpRequest, **arguments: Any) -> HttpResponse:
                return page(request, kind, **arguments)

            return view(bound)

        return [
            path("", view(self.changelist_view), name=f"{self._prefix}_changelist"),
            path("new/", bind(editing.create_page), name=f"{self._prefix}_add"),
            path("new/live/", bind(editing.live_create), name=f"{self._prefix}_add_live"),
            path("<uuid:pk>/", bind(pages.overview_page), name=f"{self._prefix}_change"),
            path("<uuid:pk>/edit/", bind(editing.edit_page), name=f"{self._prefix}_edit"),
            path("<uuid:pk>/edit/live/", bind(editing.live_edit), name=f"{self._prefix}_live"),
            path("<uuid:pk>/history/", bind(versions.history_page), name=f"{self._prefix}_history"),
            path("<uuid:pk>/history/<int:number>/", bind(versions.version_page), name=f"{self._prefix}_version"),
            *(path(route, bind(page), name=f"{self._prefix}_{name}") for name, (route, page) in kind.more_pages.items()),
        ]
