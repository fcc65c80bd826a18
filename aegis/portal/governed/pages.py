"""The overview of one document, and what all document pages share."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aegis.core import canonical
from aegis.core.errors import Conflict, Forbidden
from aegis.core.visibility import Viewer, groups_with
from aegis.identity.models import Area
from aegis.portal.governed.kinds import KindPages, pages_of
from approvals.models import Governed


def url_of(row: Governed, page: str = "change", **more: object) -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", kwargs={"pk": row.pk, **more})


@require_safe
def open_by_name(request: HttpRequest, kind: str) -> HttpResponse:
    """Follow a link made by `{% document_url %}`, perhaps to another page of the document. Hidden and unknown names look the
    same."""
    known = pages_of(kind)
    row = known.model.objects.get_visible(request.user, name=request.GET.get("name", ""))
    page = request.GET.get("page", "")
    return HttpResponseRedirect(url_of(row, page if page in known.more_pages else "change"))


def who_may(row: Governed | None, kind: KindPages, action: str) -> list[str]:
    """Names of the groups that hold `action` on a row or on its whole area."""
    named = set(groups_with(row, action)) if row is not None else set()
    area = Area.objects.filter(name=kind.area).first()
    return sorted(named | set(groups_with(area, action) if area else ()))


def may(user: Viewer, row: Governed, action: str) -> bool:
    return type(row).objects.visible_to(user, action).filter(pk=row.pk).exists()


def may_create(user: Viewer, kind: KindPages) -> bool:
    """A new document needs the right on the whole area: there is no row yet to hold one."""
    return Area.objects.visible_to(user, "edit").filter(name=kind.area).exists()


def visible_row(request: HttpRequest, kind: KindPages, pk: UUID) -> Governed:
    row: Governed = kind.model.objects.get_visible(request.user, pk=pk)
    return row


def editable_row(request: HttpRequest, kind: KindPages, pk: UUID) -> Governed:
    """
    Raises:
        NotFound: unknown or hidden.
        Forbidden: visible, but not to be changed by this person; names who may.
        Conflict: documents of this kind are frozen.
    """
    row = visible_row(request, kind, pk)
    if not may(request.user, row, "edit"):
        raise forbidden(row, kind)
    if kind.successor:
        raise Conflict(f"A {kind.singular} never changes once it is applied; add another one instead")
    return row


def forbidden(row: Governed | None, kind: KindPages) -> Forbidden:
    givers = ", ".join(who_may(row, kind, "edit")) or "nobody yet; an admin can grant it"
    what = f"change the {kind.singular} “{row.name}”" if row is not None else f"add {kind.plural}"
    return Forbidden(
        f"You may not {what}; the right “edit” is granted to: {givers}", right=f"edit ({kind.area})", granted_by=givers
    )


def frame(request: HttpRequest, kind: KindPages, row: Governed | None, tab: str) -> dict[str, Any]:
    """What templates/portal/document.html needs, whatever the tab."""
    is_editable = may(request.user, row, "edit") if row is not None else True
    return {
        "title": row.name if row is not None else f"New {kind.singular}",
        "kind": kind,
        "row": row,
        "tab": tab,
        "may_edit": is_editable,
        "editors": [] if is_editable else who_may(row, kind, "edit"),
        "list_url": reverse(f"{kind.prefix}_changelist"),
        "new_url": reverse(f"{kind.prefix}_add"),
        "urls": {page: url_of(row, page) for page in ("change", "edit", "history", *kind.more_pages)}
        if row is not None
        else {},
        "more_tabs": [
            (name, icon, word, url_of(row, name))
            for name, icon, word in kind.tabs
            if row is not None and _is_offered(request.user, row, kind.tab_rights.get(name, ""), is_editable=is_editable)
        ],
        "error": None,
    }


def _is_offered(user: Viewer, row: Governed, right: str, *, is_editable: bool) -> bool:
    """Whether a tab would not lead to a refusal."""
    if right in ("", "edit"):
        return is_editable or not right
    return may(user, row, right)


@require_safe
def overview_page(request: HttpRequest, kind: KindPages, pk: UUID) -> HttpResponse:
    row = visible_row(request, kind, pk)
    document = canonical.parse(row.document)
    context = frame(request, kind, row, "overview")
    context |= {"document": document, "metadata": document.get("metadata", {}), "spec": document.get("spec", {})}
    context |= kind.overview(row, document, request.user)
    return render(request, "portal/document.html", context)
