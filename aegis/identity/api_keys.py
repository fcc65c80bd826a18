"""API keys: 256-bit secrets that act as their owner and can do no more than he can. Only a SHA-256 is kept.

A token reads `aegis_<prefix>_<secret>`. The prefix finds the row and names the key in the journal; it is no secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from aegis.core import clock, clock_text
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Fault, Forbidden, Invalid, NotAuthenticated, NotFound
from aegis.identity.authority import raise_epoch
from aegis.identity.models import ApiKey
from aegis.identity.principals import KEY_AUTH, changing_rights, require_area, require_live, stated
from aegis.identity.recorder import Entry, Principal, recorder

SCHEME = "aegis"
PREFIX_CHARS = 8
SECRET_BYTES = 32
MAX_LIFETIME = timedelta(days=366)
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # no look-alikes: people read prefixes aloud
_NO_DIGEST = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as made. `token` is shown once and kept nowhere; it stays out of `repr`, so out of logs and error pages."""

    key: ApiKey
    token: str = field(repr=False)


def create(owner_id: UUID, label: str, *, expires_at: datetime, actor: Actor, reason: str) -> NewKey:
    """Make a key for oneself.

    Nobody makes a key for another person: it would let him act under that name. A key makes no keys.

    Args:
        expires_at: aware; at most a year ahead.

    Raises:
        Forbidden: the actor is not the owner, or came with a key himself.
        Invalid: label or expiry not allowed.
    """
    why = stated(reason)

    def work() -> NewKey:
        raise_epoch()
        now = clock.db_now()
        _require_owner(actor, owner_id)
        _check(label, expires_at, now)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        key = ApiKey.objects.create(
            owner_id=owner_id,
            label=label.strip(),
            prefix="".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_CHARS)),
            secret_digest=_digest(secret),
            created_at=now,
            expires_at=expires_at,
        )
        data = {"person": str(owner_id), "prefix": key.prefix, "expires_at": clock_text.render(expires_at)}
        _record("access.key_created", owner_id, actor, now, data, {"reason": why, "label": key.label})
        return NewKey(key=key, token=f"{SCHEME}_{key.prefix}_{secret}")

    return changing_rights(work, actor=actor, what="api_keys.create")


def revoke(prefix: str, *, actor: Actor, reason: str) -> bool:
    """End a key; requests under way with it can commit nothing more that checks `principals.require_live`.

    The owner may, with a session or the key itself, and whoever may edit access. False if it was revoked already.

    Raises:
        NotFound: no such key, or not the actor's and he may not see access.
    """
    why = stated(reason)

    def work() -> bool:
        raise_epoch()
        key = ApiKey.objects.filter(prefix=prefix).first()
        if key is None:
            raise NotFound
        if not (actor.kind == "user" and actor.ref == str(key.owner_id) and require_live(actor)):
            require_area(actor, "edit", "access")
        now = clock.db_now()
        if not ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=now):
            return False
        _record(
            "access.key_revoked", key.owner_id, actor, now, {"person": str(key.owner_id), "prefix": prefix}, {"reason": why}
        )
        return True

    return changing_rights(work, actor=actor, what="api_keys.revoke")


def authenticate(token: str) -> ApiKey:
    """The live key of a token, with its owner loaded. One query, and a write on the first use of a day.

    Raises:
        NotAuthenticated: for every reason alike, so that the answer tells nothing about the key.
    """
    scheme, _, rest = token.partition("_")
    prefix, _, secret = rest.partition("_")
    key = ApiKey.objects.select_related("owner").filter(prefix=prefix).first() if scheme == SCHEME and prefix else None
    # Compare even without a row: an unknown prefix must not answer sooner than a wrong secret.
    matches = hmac.compare_digest(_digest(secret), key.secret_digest if key else _NO_DIGEST)
    now = clock.now()
    if key is None or not matches or key.revoked_at is not None or key.expires_at <= now or not key.owner.is_active:
        raise NotAuthenticated("This API key is not valid")
    today = now.date()
    if key.last_used_on != today:
        ApiKey.objects.filter(Q(last_used_on__lt=today) | Q(last_used_on__isnull=True), pk=key.pk).update(last_used_on=today)
    return key


def auth_label(key: ApiKey) -> str:
    """What `Actor.auth` says of a request that came with this key."""
    return f"{KEY_AUTH}{key.prefix}"


def _require_owner(actor: Actor, owner_id: UUID) -> None:
    if actor.kind == "system":
        return
    person = require_live(actor)
    if person.pk != owner_id:
        raise Forbidden("A key acts as its owner, so only the owner makes it")
    if actor.auth.startswith(KEY_AUTH):
        raise Forbidden("Sign in to make a key; a key makes no keys")


def _check(label: str, expires_at: datetime, now: datetime) -> None:
    faults = []
    if not label.strip() or len(label) > 80 or "\x00" in label:
        faults.append(Fault("/label", "must be 1 to 80 characters"))
    if expires_at.tzinfo is None or not now < expires_at <= now + MAX_LIFETIME:
        faults.append(Fault("/expires_at", f"must be within the next {MAX_LIFETIME.days} days, with its time zone"))
    if faults:
        raise Invalid("The key cannot be made", faults=faults)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _record(
    event: str, owner_id: UUID, actor: Actor, at: datetime, data: Mapping[str, Json], texts: Mapping[str, Json]
) -> None:
    recorder().record(Entry(event, Principal("user", str(owner_id)), actor, at, data, texts))
