"""Retiring a version of a workflow, from its page. Rules are in the verb."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from aegis.core.errors import Conflict, Invalid
from aegis.core.pages import safe_next
from approvals.models import ChangeSet
from orchestration.engine import verbs
from orchestration.pages.runs import actor_of, person_of


@require_POST
def retire(request: HttpRequest, name: str) -> HttpResponse:
    """Retire one version and go back to where the form was."""
    user, text = person_of(request), request.POST.get("version", "")
    version = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    reason = request.POST.get("reason", "")
    try:
        change_set = verbs.retire_version(name, version, person=user, actor=actor_of(user), reason=reason)
    except (Invalid, Conflict) as error:
        because = (f"{fault.what}: {fault.remedy}" if fault.remedy else fault.what for fault in error.faults)
        messages.error(request, ". ".join([error.detail.rstrip("."), *because]) + ".")
        return redirect(safe_next(request, reverse("runs:list")))
    if change_set.status == ChangeSet.Status.PROPOSED:
        messages.info(request, f"The workflow is touched by a rule of two: others decide whether version {version} is retired.")
        return redirect("approvals:request", request_id=change_set.pk)
    messages.success(request, f"Version {version} is retired: no new run starts on it.")
    return redirect(safe_next(request, reverse("runs:list")))
