"""Pages of the access matrix that change nothing: the grid with what its reader would change, and the reason of one cell."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from aegis.core import canonical
from aegis.core.canonical import Json
from aegis.core.errors import NotFound
from aegis.core.visibility import one_look
from aegis.portal.governed.pages import may, url_of
from aegis.portal.matrix import cells, grid, origin, question, shaping, subjects
from aegis.portal.matrix.drafts import Draft, standing_cell
from approvals.models import DocumentVersion
from orchestration.authority.matrix import Matrix
from orchestration.authority.models import FloorLock, MatrixVersion, Role
from orchestration.engine import explaining


@dataclass(frozen=True, slots=True)
class Source:
    """The document a cell comes from."""

    name: str
    version: int
    at: datetime
    author: str
    url: str
    edit_url: str
    history_url: str


@dataclass(frozen=True, slots=True)
class LockView:
    name: str
    kind: str
    policy: str
    basis: str
    owner: str
    review: str


@require_safe
@one_look()
def matrix_page(request: HttpRequest) -> HttpResponse:
    require_access(request)
    matrix = cells.current()
    draft = Draft(request.session).cells()
    editable = set(Role.objects.visible_to(request.user, "edit").values_list("name", flat=True))
    asked = question.read(request)
    shown = shaping.shape(request, matrix, draft=draft, editable=editable)
    names = [column.key for column in shown.grid.columns]
    picked = request.GET.get("role", "")
    context: dict[str, Any] = {
        "title": "Access matrix",
        "matrix": matrix,
        "shown": shown,
        "grid": shown.grid,
        "version": MatrixVersion.objects.filter(number=matrix.number).first(),
        "picked": picked if picked in names else next(iter(names), ""),
        "asked": asked,
        "answer": question.answer(matrix, asked, request.user) if asked.is_asked else None,
        "principals": question.choices(matrix, request.user),
        "capabilities": sorted(matrix.capabilities),
        "choices": grid.CHOICES.items(),
        "unsaved": len(draft),
        "may_edit": bool(editable) and shown.is_of_roles,
        "new_role_url": reverse("admin:orchestration_role_add"),
    }
    return render(request, "portal/matrix.html", context)


@require_safe
def why_page(request: HttpRequest) -> HttpResponse:
    """Why one cell says what it says: a popover for the grid, and a page of its own without JavaScript."""
    require_access(request)
    matrix = cells.current()
    if "who" in request.GET:
        return _why_of(request, matrix)
    role_name, capability = request.GET.get("role", ""), request.GET.get("capability", "")
    if role_name not in matrix.roles or capability not in matrix.capabilities:
        raise NotFound
    context = {
        "title": f"{role_name} × {capability}",
        "cell": cells.cell(matrix, role_name, capability),
        "role": matrix.roles[role_name],
        "capability": matrix.capabilities[capability],
        "grant": matrix.roles[role_name].grants.get(capability),
        "reason": _reason(request, role_name, capability),
        "source": _source(request, role_name),
        "origin": _origin(request, role_name, capability),
        "locks": [lock_view(name.name) for name in matrix.locks.get(capability, ())],
        "matrix": matrix,
    }
    template = "portal/_why.html" if request.headers.get("X-Requested-With") == "fetch" else "portal/why.html"
    return render(request, template, context)


def _why_of(request: HttpRequest, matrix: Matrix) -> HttpResponse:
    """Of an agent or a person: what decides one capability. Whom the reader may not see is as unknown as who is not there."""
    who, capability = question.text(request, "who"), question.text(request, "capability")
    kind = who.partition(":")[0]
    found = subjects.named(matrix, kind, request.user, who) if kind in subjects.KINDS else None
    if found is None or capability not in matrix.capabilities:
        raise NotFound
    context = {
        "title": f"{found.label} × {capability}",
        "subject": found,
        "cell": subjects.cell_of(matrix, found, capability),
        "line": subjects.line_of(matrix, found, capability),
        "capability": matrix.capabilities[capability],
        "locks": [lock_view(lock.name) for lock in matrix.locks.get(capability, ())],
        "matrix": matrix,
    }
    template = "portal/_why_of.html" if request.headers.get("X-Requested-With") == "fetch" else "portal/why_of.html"
    return render(request, template, context)


def require_access(request: HttpRequest) -> None:
    """
    Raises:
        Forbidden: names the groups that may read the area "access".
    """
    explaining.require_reader(request.user)


def _source(request: HttpRequest, name: str) -> Source | None:
    row = Role.objects.visible_to(request.user).filter(name=name).first()
    if row is None:
        return None
    version = (
        DocumentVersion.objects.filter(kind="Role", name=name, digest=row.digest).select_related("change_set__author").last()
    )
    author = version.change_set.author if version else None
    return Source(
        name=name,
        version=row.version,
        at=version.created_at if version else row.updated_at,
        author=author.display_name if author else "AEGIS (bootstrap)",
        url=url_of(row),
        edit_url=url_of(row, "edit") if may(request.user, row, "edit") else "",
        history_url=url_of(row, "history"),
    )


def _reason(request: HttpRequest, role: str, capability: str) -> str:
    row = Role.objects.visible_to(request.user).filter(name=role).first()
    grant = standing_cell(row, capability) if row else None
    return str(grant.get("reason", "")) if grant else ""


def _origin(request: HttpRequest, role: str, capability: str) -> origin.Origin | None:
    row = Role.objects.visible_to(request.user).filter(name=role).first()
    return origin.of_cell(row, capability) if row else None


def lock_view(name: str) -> LockView:
    return lock_views([name]).get(name) or LockView(name, *["—"] * 5)


def lock_views(names: Collection[str]) -> dict[str, LockView]:
    """One query."""
    rows = FloorLock.objects.filter(name__in=names).values_list("name", "document")
    return {name: _lock_view(name, canonical.parse(document).get("spec", {})) for name, document in rows}


def _lock_view(name: str, spec: Json) -> LockView:
    def text(key: str) -> str:
        return str(spec.get(key) or "—")

    return LockView(name, text("kind"), text("policy"), text("basis"), text("owner"), text("review_date"))
