"""The admin and page edge of the error tree, and what polled parts tell the shell around them."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse

from aegis.core.db import as_unavailable
from aegis.core.errors import AegisError, Malformed
from aegis.portal import counts, errors

API = "/api/"  # paths that are answered with problem documents
_NUL = "\x00"

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
