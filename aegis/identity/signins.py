"""Log-ins are events as well. The log-in page calls these; Django and axes do the checking."""

from __future__ import annotations

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from aegis.core.canonical import Json
from aegis.core.db import in_transaction
from aegis.identity.models import User
from aegis.identity.recorder import Entry, Principal, recorder


def record_signed_in(person: User, *, method: str = "password", client: str = "") -> None:
    """
    Args:
        method: how they proved themselves ("password").
        client: address and browser, as far as known; personal data, so a payload.
    """
    ref = str(person.pk)
    _record(
        Entry(
            "access.signed_in",
            Principal("user", ref),
            user_actor(ref, auth=method),
            clock.now(),
            {"method": method},
            {"client": client} if client else {},
        )
    )


def record_signed_out(person: User) -> None:
    ref = str(person.pk)
    _record(Entry("access.signed_out", Principal("user", ref), user_actor(ref, auth="session"), clock.now()))


def record_refused(username: str, *, code: str, client: str = "") -> None:
    """A sign-in that failed, under the account it named; unknown names share one stream.

    Args:
        code: "bad_credentials", "locked_out".
    """
    person = User.objects.filter(username=username).first()
    ref = str(person.pk) if person else ""
    texts: dict[str, Json] = {"name": username[:150].replace("\x00", "")}
    if client:
        texts["client"] = client
    data: dict[str, Json] = {"code": code, **({"person": ref} if ref else {})}
    _record(Entry("access.sign_in_failed", Principal("user", ref), SYSTEM, clock.now(), data, texts))


def _record(entry: Entry) -> None:
    in_transaction(lambda: recorder().record(entry))
