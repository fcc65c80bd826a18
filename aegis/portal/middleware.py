"""The admin and page edge of the error tree, and what polled parts tell the shell around them."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse

from aegis.core import refusals, strangers
from aegis.core.actors import user_actor
from aegis.core.db import as_unavailable
from aegis.core.errors import AegisError, Forbidden, Malformed, NotFound
from aegis.portal import counts, errors
from audit import access

API = "/api/"  # paths that are answered with problem documents
_NUL = "\x00"
_SAFE = ("GET", "HEAD", "OPTIONS")
_NAMED = ("PUT", "PATCH", "DELETE")  # any other word is the caller's own: it names no denial, and makes none of its own

log = structlog.get_logger(__name__)


class PlainCookies:
    """Drops cookies that hold a NUL (a quoted cookie may spell one): no session store takes it, and every page asks for one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        for name in [name for name, value in request.COOKIES.items() if _NUL in value]:
            del request.COOKIES[name]
        return self.get_response(request)


class ErrorPages:
    """Turns refusals that a view raises into pages. The API has an edge of its own (`core.api`) and never gets here.

    A NUL in an address means nothing to any page and no database takes it: refused before a view sees it, the API's too.
    What forms bring in their bodies is for the verbs behind them, which give back what was typed.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if _NUL in request.path_info or any(_NUL in text for item in request.GET.lists() for text in (item[0], *item[1])):
            refusal = Malformed("The address holds a NUL character")
            if request.path_info.startswith(API):
                # Here, because REST framework imports that module by name while it is itself being imported.
                from aegis.core.api import problem_response

                return problem_response(refusal, {})
            return errors.error_page(request, refusal)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if away := as_unavailable(exception):
            log.warning("database_unavailable", code=away.code, error=str(exception))
            return errors.unavailable(away)
        refusal = errors.as_refusal(exception)
        if refusal is not None:
            return errors.error_page(request, refusal)
        if isinstance(exception, AegisError):  # contradicting data: shown as a fault of ours, with its code, and logged whole
            log.exception("page_fault", exc_info=exception)
            got_request_exception.send(sender=type(self), request=request)
            return errors.error_page(request, exception)
        return None


class Denials:
    """Puts every refused write on record: who, what, which right was missing. One place for pages and API.

    It stands outside the other edges, so the refused transaction is over, and sees what no verb has recorded already
    (`access.deny`). A thing hidden from the person (404) counts too. Repeats are only counted (`audit.access`). Who has not
    signed in is nobody; such calls are in the log of the web process.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method not in _SAFE and response.status_code in (403, 404):
            self._record(request, response)
        return response

    def _record(self, request: HttpRequest, response: HttpResponse) -> None:
        refusal = refusals.marked(response) or (Forbidden() if response.status_code == 403 else NotFound())
        route = request.resolver_match.view_name if request.resolver_match else ""
        if refusal.is_on_record or not route or not request.user.is_authenticated:
            return
        auth = getattr(request, "auth", None)  # REST framework leaves here how the caller proved who he is
        actor = user_actor(request.user.pk, auth=auth if isinstance(auth, str) else "session")
        what = route if request.method == "POST" else f"{route} ({request.method if request.method in _NAMED else 'other'})"
        detail = f"{refusal.detail} ({request.path})"
        access.record_denial(
            actor, what, right=getattr(refusal, "right", ""), code=refusal.code, detail=strangers.kept(detail, 2_000)
        )


class LiveCounts:
    """A part that changed brings the sidebar's counts along, so that they never contradict the page: live.js shows them.

    The header reads `approvals=3 queues=1`. Unchanged parts (304) pay for nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.headers.get("X-Requested-With") == "fetch" and response.status_code == 200 and request.user.is_authenticated:
            response["X-Aegis-Counts"] = " ".join(f"{name}={count}" for name, count in counts.counts_of(request).items())
        return response
