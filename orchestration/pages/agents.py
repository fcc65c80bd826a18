"""Disabling an agent and enabling it again, from its page. Rules are in the verb."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from aegis.core.errors import Conflict, Invalid
from aegis.core.pages import safe_next
from orchestration.agents import registry
from orchestration.pages.runs import actor_of, person_of


@require_POST
def switch(request: HttpRequest, name: str, way: str) -> HttpResponse:
    """Disable or enable, and go back to where the form was."""
    actor, reason = actor_of(person_of(request)), request.POST.get("reason", "")
    try:
        is_new = registry.switch(name, way == "enable", actor=actor, reason=reason)
        messages.success(request, f"{name} is {'' if is_new else 'already '}{way}d.")
    except (Invalid, Conflict) as error:
        messages.error(request, error.detail)
    return redirect(safe_next(request, reverse("admin:orchestration_agent_changelist")))
