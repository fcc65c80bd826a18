"""What a person sets for himself."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from aegis.core.pages import safe_next
from aegis.identity.models import User


@require_POST
def set_shortcuts(request: HttpRequest) -> HttpResponse:
    """Switch single-key shortcuts on or off (WCAG 2.1.4)."""
    user = cast(User, request.user)
    user.single_key_shortcuts = request.POST.get("on") == "1"
    user.save(update_fields=["single_key_shortcuts"])
    messages.success(request, f"Single-key shortcuts are {'on' if user.single_key_shortcuts else 'off'}.")
    return HttpResponseRedirect(safe_next(request))
