"""Who is asking, judged now: the live person behind an actor, and the one shape of every verb that changes rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from django.db import connection, transaction

from aegis.core import canonical, clock
from aegis.core.actors import Actor
from aegis.core.db import in_transaction
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, Malformed, NotAuthenticated
from aegis.identity.joining import NotTogether
from aegis.identity.models import ApiKey, Area, User
from aegis.identity.recorder import recorder

Result = TypeVar("Result")

KEY_AUTH = "api_key:"  # Actor.auth of a request that came with an API key; its prefix follows
MAX_REASON_CHARS = 2_000


class OwnRights(Forbidden):
    """Nobody widens his own rights: not by joining a group, not by a grant to a group he is in."""

    code, title, can_be_given = "own_rights", "Somebody else must do this", False


class LastAdmin(Conflict):
    """Refused, because afterwards nobody could change access any more."""

    code, title = "last_admin", "Nobody would be left who may change access"


def require_live(actor: Actor) -> User:
    """The person behind `actor`, still active, and the API key he came with still good.

    Call it after `authority.hold_shared()` or `raise_epoch()`: revoking takes the lock exclusively, so what is found here
    stands until the transaction ends.

    Raises:
        Forbidden: the actor is no person.
        NotAuthenticated: disabled, or the key was revoked or ran out since the request began.
    """
    if actor.kind != "user":
        raise Forbidden("Only a person may do this")
    person_id = _uuid(actor.ref)
    person = User.objects.filter(pk=person_id, is_active=True).first() if person_id else None
    if person is None:
        raise NotAuthenticated("This account is no longer active")
    if actor.auth.startswith(KEY_AUTH):
        prefix = actor.auth.removeprefix(KEY_AUTH)
        if not ApiKey.objects.filter(
            prefix=prefix, owner=person, revoked_at__isnull=True, expires_at__gt=clock.db_now()
        ).exists():
            raise NotAuthenticated("This API key is no longer valid")
    return person


def require_area(actor: Actor, verb: str, area: str) -> None:
    """The actor holds `verb` on an area. SYSTEM passes: it is spelled out by whoever has the command line.

    Raises:
        NotFound: the person may not even see the area.
        Forbidden: sees it, but lacks the verb; or is no person.
    """
    if actor.kind != "system":
        Area.objects.get_visible(require_live(actor), verb, name=area)


def changing_rights(work: Callable[[], Result], *, actor: Actor, what: str) -> Result:
    """Run `work` in one transaction (a savepoint of the caller's, if there is one). A refusal rolls it back and is then
    recorded by itself, since attempts count too.

    Args:
        what: names the attempt in the record ("people.add_to_group").
    """
    try:
        if connection.in_atomic_block:
            with transaction.atomic():
                return work()
        return in_transaction(work)
    except (Forbidden, LastAdmin, NotTogether) as error:
        refusal = error
        in_transaction(lambda: recorder().denied(actor, what, refusal, clock.now()))
        raise


def is_own(actor: Actor, person: User) -> bool:
    return actor.kind == "user" and actor.ref == str(person.pk)


def stated(reason: str) -> str:
    """The reason, trimmed.

    Raises:
        Invalid: empty, too long, or text that no payload may hold (NUL, half a surrogate pair).
    """
    text = reason.strip()
    if not text:
        raise Invalid("Say why", faults=[Fault("/reason", "is empty")])
    if len(text) > MAX_REASON_CHARS:
        raise Invalid("The reason is too long", faults=[Fault("/reason", f"longer than {MAX_REASON_CHARS} characters")])
    try:
        canonical.check_value(text)
    except Malformed as error:
        raise Invalid("The reason cannot be stored", faults=[Fault("/reason", each.what) for each in error.faults]) from None
    return text


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
