"""How a person proves on a page, or over the API, who decides, and for how long the page had been open."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.contrib.auth import authenticate
from django.core import signing
from django.http import HttpRequest

from aegis.core import clock
from aegis.core.errors import Fault, Invalid
from aegis.identity import signins
from aegis.identity.models import User
from approvals.models import ApprovalRequest

_SALT: Final = "approvals.opened"
_LONGEST_SECONDS: Final = 2**31 - 1  # what the column holds


class PasswordWrong(Invalid):
    """Counted like a wrong password at sign-in, and locked out like one."""

    code, title = "password_wrong", "The password is not right"


def proved_at(request: HttpRequest, person: User, password: str) -> datetime | None:
    """When the person last gave the password: now, if it comes along.

    Raises:
        PasswordWrong: it came along and is not right, or tries are locked for a while.
    """
    if password:
        if authenticate(request, username=person.get_username(), password=password) != person:
            raise PasswordWrong(
                "Sign in again to approve this", faults=[Fault("/password", "is not right, or locked for a while")]
            )
        signins.remember_proof(request)
    return clock.now() if password else signins.proved_at(request)


def opened(request: ApprovalRequest, digest: str) -> str:
    """A mark for the form: this digest of this request was shown now. Signed, so that nobody makes up how long he read."""
    return signing.dumps([str(request.pk), digest, int(clock.now().timestamp())], salt=_SALT)


def seconds_open(mark: str, request_id: object, digest: str) -> int | None:
    """How long ago the mark was made for this digest of this request; None for any other mark."""
    try:
        shown, seen, at = signing.loads(mark, salt=_SALT)
        age = int(clock.now().timestamp()) - int(at)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if (shown, seen) != (str(request_id), digest):
        return None
    return min(max(age, 0), _LONGEST_SECONDS)
