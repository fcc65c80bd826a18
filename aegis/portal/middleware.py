"""The admin and page edge of the error tree, and what polled parts tell the shell around them."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse

from aegis.core.errors import AegisError
from aegis.portal import counts, errors

log = structlog.get_logger(__name__)


class ErrorPages:
    """Turns refusals that a view raises into pages. The API has an edge of its own (`core.api`) and never gets here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
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
