"""What every edge adds to a refusal: who can give the missing right, and which refusal a response stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http.response import HttpResponseBase
from rest_framework.exceptions import ParseError, UnsupportedMediaType

from aegis.core.errors import AegisError, Forbidden, Invalid

ResponseT = TypeVar("ResponseT", bound=HttpResponseBase)
View = TypeVar("View", bound=Callable[..., Any])

NOBODY = "nobody yet; an admin can grant it"

_givers: Callable[[], Iterable[str]] = tuple


def register_givers(ask: Callable[[], Iterable[str]]) -> None:
    """Called once at start-up by identity, which knows the groups that may change access."""
    global _givers
    _givers = ask


def given_by(error: AegisError) -> str:
    """Names of the groups that can give what is missing; "" where no grant would help."""
    if not (isinstance(error, Forbidden) and error.right and error.can_be_given):
        return ""
    return ", ".join(_givers())


def mark(response: ResponseT, error: AegisError) -> ResponseT:
    """Let the response carry the refusal it stands for, so that the edge can put it on record. Returns the response."""
    response.refusal = error  # type: ignore[attr-defined]
    return response


def marked(response: HttpResponseBase) -> AegisError | None:
    found: AegisError | None = getattr(response, "refusal", None)
    return found


def right_before_input(check: Callable[..., object]) -> Callable[[View], View]:
    """On a view of the API: where it finds fault with what was sent, the right is asked first, and its refusal is the answer.

    The verb asks for the right by itself, under its lock. This is about the faults an edge finds before it calls the verb:
    nobody learns them about a thing he may not see or touch. A call without faults pays nothing for it.

    Args:
        check: called with the person and the arguments of the path; raises NotFound or Forbidden.
    """

    def around(view: View) -> View:
        @wraps(view)
        def asked(self: Any, request: Any, **arguments: Any) -> Any:
            try:
                return view(self, request, **arguments)
            except (Invalid, ParseError, UnsupportedMediaType):
                check(request.user, **arguments)
                raise

        return cast(View, asked)

    return around
