"""Every refusal as a page: code, sentence, faults, and for a missing right who can give it."""

from __future__ import annotations

import math
import sys

import structlog
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.template import loader

from aegis.core import refusals
from aegis.core.db import as_unavailable
from aegis.core.errors import AegisError, Forbidden, Malformed, NotAuthenticated, NotFound, Overloaded, Unavailable

log = structlog.get_logger(__name__)

_NEXT = {
    400: "Check what was sent; nothing was changed.",
    403: "Nothing was changed.",
    404: "It does not exist, or you may not see it: both look the same on purpose.",
    409: "Nothing was changed by you. Go back, look again, and decide on what stands now.",
    413: "Send less at once; nothing was changed.",
    422: "Nothing was changed. Mend the places named above and send it again.",
    429: "Nothing was changed. Try again in a moment.",
    503: "Nothing was changed. Try again in a moment.",
}


def error_page(request: HttpRequest, error: AegisError) -> HttpResponse:
    """The page of one refusal.

    A 404 says nothing about the request: hidden and unknown are the same bytes, so it carries no form and no address.
    """
    status = error.http_status
    if isinstance(error, NotAuthenticated):
        return redirect(f"{resolve_url('/login/')}")
    shown = NotFound() if isinstance(error, NotFound) else error
    context = {
        "title": shown.title,
        "error": shown,
        "status": status,
        "next_step": _NEXT.get(status, ""),
        "right": getattr(shown, "right", ""),
        "granted_by": getattr(shown, "granted_by", ""),
        "given_by": refusals.given_by(shown),
        "layout": "aegis/page.html" if _is_signed_in(request) else "aegis/bare.html",
        "no_forms": True,
    }
    response = render(request, "aegis/error.html", context, status=status)
    for name, value in _headers(error).items():
        response[name] = value
    return refusals.mark(response, error)


def unavailable(error: Unavailable) -> HttpResponse:
    """The database is busy, full or away: like `server_error` without anything that would ask it again."""
    page = loader.render_to_string("aegis/503.html", {"error": error})
    return HttpResponse(page, status=error.http_status, headers=_headers(error))


@login_not_required
def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(request, Malformed("The request cannot be understood"))


@login_not_required
def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(request, as_refusal(exception) or Forbidden())


@login_not_required
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(request, NotFound())


@login_not_required
def server_error(request: HttpRequest) -> HttpResponse:
    """Without database, session or context processors: any of them may be what failed."""
    # Middleware asks the database too (sessions, people); what it raises passes no other edge and is being handled here.
    if away := as_unavailable(sys.exc_info()[1]):
        return unavailable(away)
    return HttpResponse(loader.render_to_string("aegis/500.html"), status=500)


@login_not_required
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    log.warning("csrf_refused", reason=reason, path=request.path)
    said = "This form is too old or came from another site. Go back, reload the page, send it again."
    refusal = Forbidden(said, right="a form of this site")
    refusal.can_be_given = False
    return error_page(request, refusal)


def as_refusal(error: Exception | None) -> AegisError | None:
    """The refusal a page shows for an exception; None for a fault of ours."""
    match error:
        case AegisError() if error.http_status < 500 or error.http_status == 503:
            return error
        case Http404():
            return NotFound()
        case PermissionDenied():
            return Forbidden(str(error))
        case _:
            return None


def _headers(error: AegisError) -> dict[str, str]:
    if isinstance(error, Unavailable | Overloaded):
        return {"Retry-After": str(math.ceil(error.retry_after))}
    return {}


def _is_signed_in(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_authenticated)
