"""Two pages beside the grid: who can do one capability, and what one agent, person or role can do."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from aegis.core import clock
from aegis.core.errors import Invalid, NotFound
from aegis.core.visibility import one_look
from aegis.identity import emergency
from aegis.identity.models import TakenRight
from aegis.portal.matrix import cells
from aegis.portal.matrix.question import choices, text
from aegis.portal.matrix.views import lock_view, require_access
from orchestration.authority.explainer import Line
from orchestration.engine import explaining


@require_safe
@one_look()
def who_page(request: HttpRequest) -> HttpResponse:
    """Agents and people that have a cell for a capability, those who may most first."""
    require_access(request)
    matrix = cells.current()
    capability = text(request, "capability")
    context: dict[str, Any] = {"title": "Who can do it", "matrix": matrix, "capabilities": sorted(matrix.capabilities)}
    if capability:
        try:
            answer = explaining.who(matrix, capability, request.user)
        except NotFound as error:
            context["fault"] = error.detail
        else:
            context |= {"answer": answer, "rows": _rows(answer.found.lines), "only_seen": explaining.ONLY_SEEN}
            context["max_people"] = explaining.MAX_PEOPLE
            context["locks"] = [lock_view(lock.name) for lock in matrix.locks.get(capability, ())]
    return render(request, "portal/explain_who.html", {**context, "capability": capability})


@require_safe
@one_look()
def what_page(request: HttpRequest) -> HttpResponse:
    """Capabilities that the roles of an agent or person, or one role, have a cell for."""
    require_access(request)
    matrix = cells.current()
    who = text(request, "who")
    names = [*choices(matrix, request.user), *(f"role:{name}" for name in sorted(matrix.roles))]
    context: dict[str, Any] = {"title": "What it can do", "matrix": matrix, "principals": names}
    if who:
        try:
            answer = explaining.what(matrix, who, request.user)
        except Invalid as error:
            context["fault"] = error.detail
        else:
            context |= {"answer": answer, "rows": _rows(answer.found.lines), "taken": _taken_by(who)}
    return render(request, "portal/explain_what.html", {**context, "who": who})


def _taken_by(who: str) -> list[TakenRight]:
    """What a person holds on areas for a time. It gives no cell: what the matrix says of him is what it said before."""
    kind, _, name = who.partition(":")
    if kind != "person":
        return []
    return list(emergency.standing(clock.now()).filter(person__username=name).select_related("area"))


def _rows(lines: tuple[Line, ...]) -> list[dict[str, Any]]:
    return [
        {
            "line": line,
            "mark": cells.MARKS[line.label],
            "kind": line.who.partition(":")[0],
            "name": line.who.partition(":")[2],
            "ask": line.who if line.who.partition(":")[0] != "role" else "",
        }
        for line in lines
    ]
