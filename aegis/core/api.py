"""The API edge: strict JSON in, problem documents (RFC 9457) out, and who is asking."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import IO, Any, Final, Literal, assert_never

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.core.signals import got_request_exception
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpResponse
from rest_framework import exceptions as drf
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.views import set_rollback

from aegis.core import canonical, db, refusals
from aegis.core.actors import Actor, user_actor
from aegis.core.bodies import MAX_BATCH_BYTES, MAX_BODY_BYTES
from aegis.core.errors import (
    AegisError,
    Fault,
    Forbidden,
    Invalid,
    NotAuthenticated,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
)

Field = Literal["text", "number", "list", "texts", "any"]  # what a field of a body must be

PROBLEM = "application/problem+json"
MAX_FAULTS = 100  # told of one body: a small body of many wrong names must not have a large answer
MAX_NAME_CHARS = 80
_MUST_BE: Final[Mapping[Field, str]] = {
    "text": "must be text",
    "number": "must be a whole number",
    "list": "must be a list",
    "texts": "must be a list of texts",
    "any": "",
}
CHALLENGE = 'Bearer realm="aegis"'

log = structlog.get_logger(__name__)


class StrictJSONParser(BaseParser):
    """`application/json` in UTF-8 and nothing else; what two readers could read differently is refused with its place."""

    media_type = "application/json"
    max_bytes = MAX_BODY_BYTES

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> canonical.Json:
        """
        Raises:
            TooLarge: more than `max_bytes`; nothing beyond that is read.
            Malformed: with the JSON pointer, or line and column.
            UnsupportedMediaType: a character set other than UTF-8.
        """
        charset = _parameter(media_type or "", "charset")
        if charset not in {"", "utf-8", "utf8"}:
            raise drf.UnsupportedMediaType(media_type or "")
        raw = stream.read(self.max_bytes + 1)
        if len(raw) > self.max_bytes:
            raise TooLarge(f"The body is over {self.max_bytes:,} bytes")
        return canonical.parse(raw, max_bytes=self.max_bytes)


class BatchJSONParser(StrictJSONParser):
    """For bodies that carry many payloads."""

    max_bytes = MAX_BATCH_BYTES


def actor_of(request: Request) -> Actor:
    """Who acts through this request, and how they proved it ("session" or "api_key:<prefix>").

    Raises:
        NotAuthenticated
    """
    if not request.user.is_authenticated:
        raise NotAuthenticated
    return user_actor(request.user.pk, auth=request.auth if isinstance(request.auth, str) else "session")


def body_of(request: Request, *, required: Mapping[str, Field], optional: Mapping[str, Field] | None = None) -> dict[str, Any]:
    """The fields of a JSON body.

    Raises:
        Invalid: with a fault per field, as `field_faults`.
    """
    if faults := field_faults(request.data, required=required, optional=optional):
        raise Invalid("The body cannot be used", faults=faults)
    return dict(request.data)


def page_size(request: Request, *, default: int, most: int) -> int:
    """How many of a list are asked for (`limit`).

    Raises:
        Invalid: it is no number from 1 to `most`.
    """
    text = request.query_params.get("limit", "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= most):
        raise Invalid("This is no size of a page", faults=[Fault("limit", f"a number from 1 to {most}")])
    return int(text)


def field_faults(
    data: Any, where: str = "", *, required: Mapping[str, Field], optional: Mapping[str, Field] | None = None
) -> list[Fault]:
    """What is missing, unknown or of another type in an object of a body; at most `MAX_FAULTS`.

    Args:
        where: JSON pointer to the object.
    """
    if not isinstance(data, dict):
        return [Fault(where or "/", "must be an object")]
    known = {**required, **(optional or {})}
    faults = [Fault(f"{where}/{name}", "is missing") for name in required if name not in data]
    faults += [
        Fault(f"{where}/{name}", _MUST_BE[known[name]]) for name in known if name in data and not _is(known[name], data[name])
    ]
    faults += [Fault(f"{where}/{name[:MAX_NAME_CHARS]}", "is unknown") for name in sorted(set(data) - set(known))]
    return faults[:MAX_FAULTS]


def _is(field: Field, value: Any) -> bool:
    match field:
        case "text":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "texts":
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case "any":
            return True
        case _:
            assert_never(field)


def problem_response(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's exception handler. Every refusal, ours or the framework's, becomes one problem document; so does a fault of ours,
    without its text, which goes to the log."""
    refusal = as_aegis_error(error)
    set_rollback()
    if refusal is None:
        log.exception("api_fault", exc_info=error)
        got_request_exception.send(sender=problem_response, request=getattr(context.get("request"), "_request", None))
        refusal = AegisError("AEGIS failed to answer; the fault was logged")
    # Not a DRF response: a view with another renderer (the schema answers YAML) would write the problem in that.
    body = canonical.dump(problem(refusal))
    response = HttpResponse(body, status=_status(refusal), content_type=PROBLEM, headers=_headers(error, refusal))
    return refusals.mark(response, refusal)


def problem(error: AegisError) -> dict[str, canonical.Json]:
    """The problem document of a refusal. `faults` names each place; a 403 names the right, who holds it and who can give it."""
    document: dict[str, canonical.Json] = {
        "type": f"urn:aegis:problem:{error.code}",
        "title": error.title,
        "status": _status(error),
        "detail": error.detail,
        "code": error.code,
    }
    if error.faults:
        document["faults"] = [_told(fault) for fault in error.faults]
    if isinstance(error, Forbidden):
        document["right"] = error.right
        document["granted_by"] = error.granted_by
        document["given_by"] = refusals.given_by(error)
    return document


def _told(fault: Fault) -> dict[str, canonical.Json]:
    told: dict[str, canonical.Json] = {"where": fault.where, "what": fault.what, "remedy": fault.remedy}
    return {**told, "code": fault.code} if fault.code else told


class FrameworkRefusal(AegisError):
    """A refusal of the framework's (method, media type, rate) in our form."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code, self.title = status, code, HTTPStatus(status).phrase  # type: ignore[misc]
        super().__init__(detail)


def as_aegis_error(error: Exception) -> AegisError | None:
    """The refusal that stands for any exception that may reach the edge; None for a fault of the program."""
    match error:
        case AegisError():
            return error
        case Http404() | drf.NotFound():
            return NotFound()  # the framework's wording names models: an unknown id and a hidden one must read alike
        case drf.NotAuthenticated() | drf.AuthenticationFailed():
            return NotAuthenticated()
        case PermissionDenied() | drf.PermissionDenied():
            return Forbidden(str(error), right="a session of this site")  # the framework refuses a form without its token
        case drf.ValidationError():
            return Invalid(faults=list(_faults(error.detail)))
        case ValidationError():
            return Invalid(faults=list(_faults(error.message_dict if hasattr(error, "error_dict") else error.messages)))
        case RequestDataTooBig():
            return TooLarge()
        case drf.APIException():
            return FrameworkRefusal(error.status_code, str(error.default_code), str(error.detail))
        case DatabaseError() | InterfaceError():
            return _as_unavailable(error)
        case _:
            return None


def _as_unavailable(error: Exception) -> AegisError | None:
    refusal = db.as_unavailable(error)
    if refusal is not None:
        log.warning("database_unavailable", code=refusal.code, error=str(error))
    return refusal


def _status(error: AegisError) -> int:
    return error.status if isinstance(error, FrameworkRefusal) else error.http_status


def _headers(error: Exception, refusal: AegisError) -> dict[str, str]:
    headers = {}
    if isinstance(refusal, NotAuthenticated):
        headers["WWW-Authenticate"] = CHALLENGE
    if wait := getattr(error, "wait", None):  # drf.Throttled: seconds
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(refusal, Unavailable | Overloaded):
        headers["Retry-After"] = str(math.ceil(refusal.retry_after))
    return headers


def _faults(detail: Any, where: str = "") -> Iterator[Fault]:
    """DRF's nested lists and dicts of messages, as places."""
    if isinstance(detail, Mapping):
        for key, child in detail.items():
            yield from _faults(child, where if key == "non_field_errors" else f"{where}/{key}")
    elif isinstance(detail, list | tuple):
        for index, child in enumerate(detail):
            yield from _faults(child, where if isinstance(child, str) else f"{where}/{index}")
    else:
        yield Fault(where or "/", str(detail))


def _parameter(media_type: str, name: str) -> str:
    for part in media_type.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""
