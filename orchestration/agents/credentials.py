"""Signing secrets issued to agents: shown once, ending by themselves, rotated with an overlap, revoked.

A secret that signs must be there again for every call, so a digest of it alone would not do. It is made of a salt in its row
and the installation's own secret, which is no part of the database: who reads the database, or a backup of it, has no secret of
any agent. What is kept of the secret itself is a SHA-256, which says whether it was made again right (docs/adr/0035).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from aegis.core import canonical, clock, clock_text
from aegis.core.actors import Actor
from aegis.core.canonical import Json
from aegis.core.errors import Conflict, Fault, Forbidden, Invalid, NotFound
from aegis.identity.authority import raise_epoch
from aegis.identity.principals import KEY_AUTH, changing_rights, stated
from audit import journal
from audit.drafts import Context, Draft
from orchestration.agents import registry, signing
from orchestration.agents.models import Agent, AgentCredential

PREFIX_CHARS: Final = 8
MAX_LIFETIME: Final = timedelta(days=366)
MAX_OVERLAP: Final = timedelta(days=30)
MAX_LIVE: Final = 3  # of one agent at once: every call carries a signature of each
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # no look-alikes: people read prefixes aloud
_LABEL: Final = b"aegis/agent-signing-secret/v1\x00"


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential as issued. `secret` is shown once; it stays out of `repr`, so out of logs and error pages."""

    credential: AgentCredential
    secret: str = field(repr=False)


def issue(name: str, *, expires_at: datetime, others_end_in: timedelta | None = None, actor: Actor, reason: str) -> Issued:
    """Issue a signing secret to an agent; calls that begin from this commit on carry its signature too.

    Args:
        expires_at: aware; at most a year ahead.
        others_end_in: how long those valid now go on signing beside it, at most `MAX_OVERLAP`; None leaves them as they are.

    Raises:
        NotFound, Forbidden: as `registry.set_enabled`; and Forbidden for whoever came with an API key.
        Invalid: calls to this agent are not signed; expiry or overlap not allowed; no reason.
        Conflict: it has `MAX_LIVE` already.
    """

    def work() -> Issued:
        raise_epoch()
        agent = registry.operable(registry.id_of(name), actor)
        why = stated(reason)
        if actor.auth.startswith(KEY_AUTH):
            raise Forbidden("Sign in to issue a secret; a key issues none")
        now = clock.db_now()
        _check(agent, expires_at, others_end_in, now)
        data: dict[str, Json] = {}
        if others_end_in is not None:
            end = now + others_end_in
            AgentCredential.objects.filter(agent=agent, revoked_at__isnull=True, expires_at__gt=end).update(expires_at=end)
            data["others_end_at"] = clock_text.render(end)
        if live(agent, now).count() >= MAX_LIVE:
            raise Conflict(f"{agent.name} has {MAX_LIVE} valid secrets; revoke one first, or let them end at once")
        salt = secrets.token_bytes(32)
        secret = _made(salt, settings.SECRET_KEY)
        row = AgentCredential.objects.create(
            agent=agent,
            prefix="".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_CHARS)),
            salt=salt.hex(),
            secret_digest=hashlib.sha256(secret).hexdigest(),
            issued_by_id=actor.ref if actor.kind == "user" else None,
            created_at=now,
            expires_at=expires_at,
        )
        data |= {"prefix": row.prefix, "expires_at": clock_text.render(expires_at)}
        _record("agent.credential_issued", agent, actor, now, data, why)
        return Issued(row, signing.text_of(secret))

    return changing_rights(work, actor=actor, what="agents.issue_credential")


def revoke(name: str, prefix: str, *, actor: Actor, reason: str) -> bool:
    """End a secret: no call that begins from this commit on is signed with it. False if it was revoked already.

    Raises:
        NotFound: no such agent or secret, or the agent is hidden from the person.
        Forbidden, Invalid: as `registry.set_enabled`.
    """

    def work() -> bool:
        raise_epoch()
        agent = registry.operable(registry.id_of(name), actor)
        why = stated(reason)
        row = AgentCredential.objects.filter(agent=agent, prefix=prefix).first()
        if row is None:
            raise NotFound
        now = clock.db_now()
        if not AgentCredential.objects.filter(pk=row.pk, revoked_at__isnull=True).update(revoked_at=now):
            return False
        _record("agent.credential_revoked", agent, actor, now, {"prefix": prefix}, why)
        return True

    return changing_rights(work, actor=actor, what="agents.revoke_credential")


def keys_of(agent_ids: Collection[str]) -> dict[str, tuple[bytes, ...]]:
    """Agent id -> the secrets that sign now. One query, and a write on the first use of a day."""
    if not agent_ids:
        return {}
    now = clock.db_now()
    rows = list(
        AgentCredential.objects.filter(
            agent__in=[UUID(one) for one in agent_ids], revoked_at__isnull=True, expires_at__gt=now
        ).order_by("created_at")
    )
    fresh = [row.pk for row in rows if row.last_used_on != now.date()]
    if fresh:
        AgentCredential.objects.filter(pk__in=fresh).update(last_used_on=now.date())
    found: dict[str, tuple[bytes, ...]] = {}
    for row in rows:
        secret = remade(row)
        if secret is not None:
            found[str(row.agent_id)] = (*found.get(str(row.agent_id), ()), secret)
    return found


def remade(row: AgentCredential) -> bytes | None:
    """The secret of a row; None where the installation's own secret is another one than when it was issued."""
    salt = bytes.fromhex(row.salt)
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        secret = _made(salt, key)
        if hmac.compare_digest(hashlib.sha256(secret).hexdigest(), row.secret_digest):
            return secret
    return None


def live(agent: Agent, now: datetime) -> QuerySet[AgentCredential]:
    """Those that sign now."""
    return AgentCredential.objects.filter(agent=agent, revoked_at__isnull=True, expires_at__gt=now)


def _made(salt: bytes, key: str) -> bytes:
    return hmac.digest(key.encode(), _LABEL + salt, hashlib.sha256)


def _check(agent: Agent, expires_at: datetime, others_end_in: timedelta | None, now: datetime) -> None:
    if "http" not in canonical.parse(agent.document)["spec"]["connector"]:
        raise Invalid(f"{agent.name} is asked inside AEGIS; only calls over HTTP are signed")
    faults = []
    if expires_at.tzinfo is None or not now < expires_at <= now + MAX_LIFETIME:
        faults.append(Fault("/expires_at", f"must be within the next {MAX_LIFETIME.days} days, with its time zone"))
    if others_end_in is not None and not timedelta(0) <= others_end_in <= MAX_OVERLAP:
        faults.append(Fault("/others_end_in", f"must be from nothing to {MAX_OVERLAP.days} days"))
    if faults:
        raise Invalid("The secret cannot be issued", faults=faults)


def _record(event: str, agent: Agent, actor: Actor, at: datetime, data: Mapping[str, Json], why: str) -> None:
    context = Context(stream=registry.STREAM, scope="agent", scope_id=str(agent.pk))
    draft = Draft(event, actor, data={"name": agent.name, **data}, payloads={"reason": canonical.dump(why)}, agent=agent.name)
    journal.append(context, [draft], at)
