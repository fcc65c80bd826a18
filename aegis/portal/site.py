"""The admin site: the shell of django-unfold, our pages, and nothing that is not restricted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from aegis.core.admin import RestrictedAdmin

_FORM = ("GET", "HEAD", "POST")  # Django's own views take PUT for POST


class AegisSite(UnfoldAdminSite):  # type: ignore[misc]  # the theme ships no types
    """Served at `/`. Who may see what is decided by `visible_to` alone; `is_staff` and `is_superuser` decide nothing here."""

    site_title = site_header = "AEGIS"
    index_title = "Home"
    login_form = AuthenticationForm
    enable_nav_sidebar = True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Mount restricted admins only.

        Third-party admins (django-q2 schedules run code, guardian's pages grant rights, simple-history's form writes) are
        dropped here whatever they register and whenever: HAZARDS T1, T3, T11, T12.
        """
        if admin_class is not None and isinstance(admin_class, type) and issubclass(admin_class, RestrictedAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def unregister(self, model_or_iterable: Any) -> None:
        """Forgiving, because libraries unregister each other's admins that were never mounted."""
        models: Iterable[type[Model]] = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        for model in models:
            if self.is_registered(model):
                super().unregister(model)

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_authenticated and request.user.is_active)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Once per request: the shell's context processor and stock admin views both ask."""
        known: dict[str, Any] | None = getattr(request, "_aegis_shell", None)
        if known is None:
            known = super().each_context(request)
            request._aegis_shell = known  # type: ignore[attr-defined]
        return dict(known)

    def get_sidebar_list(self, request: HttpRequest) -> Any:
        from aegis.portal import nav

        return nav.sidebar(request)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        return []  # the navigation is ours; the stock list would cost queries on every page

    def get_urls(self) -> list[Any]:
        """Without the shortcut to a row of any type: no page of ours is behind it, and a key of another kind breaks it."""
        return [url for url in super().get_urls() if getattr(url, "name", None) != "view_on_site"]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from aegis.portal.home import home

        return home(request) if request.method in ("GET", "HEAD") else HttpResponseNotAllowed(["GET", "HEAD"])

    @method_decorator(never_cache)
    @login_not_required  # type: ignore[untyped-decorator,unused-ignore]  # the one page of the site for strangers
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().login(request, extra_context) if request.method in _FORM else HttpResponseNotAllowed(_FORM)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        from aegis.portal.password import OwnPasswordPage

        if request.method not in _FORM:
            return HttpResponseNotAllowed(_FORM)
        request.current_app = self.name
        done = reverse("admin:password_change_done", current_app=self.name)
        return OwnPasswordPage.as_view(success_url=done, extra_context={**self.each_context(request), **(extra_context or {})})(
            request
        )

    def app_index(self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None) -> Any:
        raise Http404

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        raise Http404  # Unfold's caches results for five minutes; ours is portal.search

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        raise Http404  # nothing uses it; a scoped one comes with the first form that needs it
