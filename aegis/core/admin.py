"""The restricted base of every admin class: lists and pages start from `visible_to`, and nothing is written by ModelAdmin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from unfold.admin import ModelAdmin as UnfoldModelAdmin

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Any]
else:
    _Base = UnfoldModelAdmin


class RestrictedAdmin(_Base):
    """No add, change or delete form, no actions, no popup, no history form. Verbs have pages of their own.

    Attributes:
        filter_lookups: the only query-string lookups a list accepts (HAZARDS T5: any other is a filter oracle).
    """

    filter_lookups: ClassVar[frozenset[str]] = frozenset()
    actions = None
    list_display_links: Any = None
    show_full_result_count = False
    list_per_page = 50

    def visible(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows this person may see. The one place a list, a page and a permission check start from."""
        manager: Any = self.model._default_manager
        rows: QuerySet[Any] = manager.visible_to(request.user)
        return rows

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.visible(request)
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A list may always be asked for (it may be empty); a row only if it is among the visible ones."""
        if not request.user.is_authenticated:
            return False
        return obj is None or self.visible(request).filter(pk=obj.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_authenticated)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in self.filter_lookups

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A list is read, whatever the stock one would do with a form posted to it."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        page: HttpResponse = super().changelist_view(request, extra_context)
        return page

    # Stock pages that write, confirm or list related rows do not exist here.
    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404
