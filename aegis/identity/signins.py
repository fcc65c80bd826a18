"""Log-ins are events as well. Django's log-in signals are the one place every path passes (page, admin, API session)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.http import HttpRequest

from aegis.core import clock, clock_text
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.identity.models import User
from aegis.identity.recorder import Entry, Principal, recorder

MAX_CLIENT_CHARS = 200
PROVED_AT: Final = "proved_at"  # session key


def connect() -> None:
    """Called once at start-up."""
    for signal, receiver in ((user_logged_in, _signed_in), (user_logged_out, _signed_out), (user_login_failed, _failed)):
        signal.connect(receiver, dispatch_uid=f"aegis.identity.{receiver.__name__}", weak=False)


def _signed_in(request: HttpRequest | None, user: object, **_: Any) -> None:
    if isinstance(user, User):
        ref = str(user.pk)
        remember_proof(request)
        _record("access.signed_in", user_actor(ref, auth="password"), ref, {"method": "password"}, _client(request))


def remember_proof(request: HttpRequest | None) -> None:
    """Keep in the session that its person has just proved who it is."""
    if request is not None and hasattr(request, "session") and request.session.session_key:
        request.session[PROVED_AT] = clock_text.render(clock.now())


def proved_at(request: HttpRequest) -> datetime | None:
    """When the person of this session last gave the password; None if that is not known."""
    text = request.session.get(PROVED_AT) if hasattr(request, "session") else None
    return clock_text.parse(text) if isinstance(text, str) else None


def _signed_out(request: HttpRequest | None, user: object, **_: Any) -> None:
    if isinstance(user, User):  # None: there was no session to end
        ref = str(user.pk)
        _record("access.signed_out", user_actor(ref, auth="session"), ref, {}, {})


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """A wrong password, under the account it named. Tries with unknown names are counted together, one event in ten minutes.

    Tries that met the lock of axes are left out: the journal must not grow at a stranger's will, and the tries that led to the
    lock are in it, the last one as "locked_out".
    """
    if request is not None and not getattr(request, "password_was_checked", False):
        return
    code = "locked_out" if getattr(request, "axes_locked_out", False) else "bad_credentials"
    name = str(credentials.get("username") or "")[:150].replace("\x00", "")
    person = User.objects.filter(username=name).first() if name else None
    ref = str(person.pk) if person else ""
    data: dict[str, Json] = {"code": code, **({"person": ref} if ref else {})}
    texts: dict[str, Json] = {"name": name, **_client(request)}
    if person is None:
        recorder().unknown_name(Entry("access.sign_in_failed", Principal("user", ""), SYSTEM, clock.now(), data, texts))
    else:
        _record("access.sign_in_failed", SYSTEM, ref, data, texts)


def _record(event: str, actor: Any, ref: str, data: dict[str, Json], texts: dict[str, Json]) -> None:
    entry = Entry(event, Principal("user", ref), actor, clock.now(), data, texts)
    in_transaction(lambda: recorder().record(entry))


def _client(request: HttpRequest | None) -> dict[str, Json]:
    """Address and browser: personal data, so a payload."""
    if request is None:
        return {}
    text = f"{request.META.get('REMOTE_ADDR', '')} {request.META.get('HTTP_USER_AGENT', '')}".strip()
    printable = "".join(char for char in text if char.isprintable())[:MAX_CLIENT_CHARS]
    return {"client": printable} if printable else {}
