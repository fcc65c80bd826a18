"""Base parts of pages that are not admin lists: ETag for polled partials, safe return addresses."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme


def etag_of(*parts: object) -> str:
    """A weak tag over whatever decides what the page shows (stream positions, counts, the reader's id)."""
    text = "\x1f".join(str(part) for part in parts)
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'


def partial(request: HttpRequest, template: str, context: dict[str, Any], *, etag: str = "") -> HttpResponse:
    """Answer a poll of `live.js`: 304 when nothing changed, else the rendered part with its ETag.

    Args:
        etag: from cheap facts, checked by the caller before it queries (`unchanged`); empty = of the rendered text.
    """
    html = render_to_string(template, context, request)
    tag = etag or etag_of(html)
    response = not_modified(request, tag) or HttpResponse(html)
    response["ETag"] = tag
    response["Cache-Control"] = "private, no-cache"
    return response


def not_modified(request: HttpRequest, etag: str) -> HttpResponse | None:
    """304 if the reader already has what `etag` stands for."""
    if etag not in {tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")}:
        return None
    response = HttpResponseNotModified()
    response["ETag"] = etag
    return response


def safe_next(request: HttpRequest, fallback: str = "/") -> str:
    """The posted `next` address, if it is a path of this portal."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return target
    return fallback
