"""Grants that nobody used: the report, and its cells taken into the draft to be dropped."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from aegis.core.errors import Conflict
from aegis.core.visibility import one_look
from aegis.portal.matrix import cells
from aegis.portal.matrix.drafts import Draft, standing_cell
from aegis.portal.matrix.views import require_access
from orchestration.authority import reviewing
from orchestration.authority.models import Role
from orchestration.authority.reviewing import DAYS, DEFAULT_DAYS
from orchestration.engine import explaining


@require_safe
@one_look()
def unused_page(request: HttpRequest) -> HttpResponse:
    require_access(request)
    matrix = cells.current()
    found = reviewing.report(explaining.as_seen(matrix, request.user), _days(request.GET.get("days", "")))
    editable = set(Role.objects.visible_to(request.user, "edit").values_list("name", flat=True))
    context = {
        "title": "Unused grants",
        "report": found,
        "rows": [(one, cells.MARKS[one.label], one.role in editable) for one in found.unused],
        "days": DAYS,
        "may_edit": bool(editable),
        "unsaved": len(Draft(request.session).cells()),
    }
    return render(request, "portal/matrix_unused.html", context)


@require_POST
def drop(request: HttpRequest) -> HttpResponse:
    """Take cells ("<capability> <role>") into the draft, empty.

    Nothing is applied: the review page tells what that does, and change control asks who must be asked.
    """
    require_access(request)
    draft, dropped = Draft(request.session), 0
    parts = [text.replace("\x00", "").partition(" ") for text in request.POST.getlist("cell")]
    wanted = [(role, capability) for capability, _, role in parts if role]
    rows = {
        row.name: row for row in Role.objects.visible_to(request.user, "edit").filter(name__in=[role for role, _ in wanted])
    }
    for role, capability in wanted:
        row = rows.get(role)
        if row is None or standing_cell(row, capability) is None:
            continue  # gone since the page was drawn, or not to be changed by this person
        try:
            draft.put(row, capability, None)
        except Conflict as error:
            messages.error(request, error.detail)
            break
        dropped += 1
    if not dropped:
        messages.info(request, "No cell was chosen that you may change.")
        return redirect(reverse("portal:matrix-unused"))
    messages.info(request, f"{dropped} {'cell' if dropped == 1 else 'cells'} to drop. Nothing has changed yet.")
    return redirect(reverse("portal:matrix-review"))


def _days(text: str) -> int:
    return int(text) if text in map(str, DAYS) else DEFAULT_DAYS
