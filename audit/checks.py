"""System checks of the audit app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

from audit import keys, masking, triggers
from audit.erasures import checking
from audit.notes import BadKey
from audit.scopes import missing_scopes


@register()
def scopes_have_owners(**_: Any) -> list[CheckMessage]:
    """aegis.E010: without its owner nobody could see the events of a scope."""
    return [
        Error(
            f"Nobody registered the audit scope {name!r}",
            hint="The app that owns it calls audit.scopes.register_scope in its AppConfig.ready.",
            id="aegis.E010",
        )
        for name in missing_scopes()
    ]


@register()
def payloads_have_a_masker(**_: Any) -> list[CheckMessage]:
    """aegis.E042: without it no page could show a payload."""
    hint = "The app that knows the contracts calls audit.masking.register in its AppConfig.ready."
    return [] if masking.is_registered() else [Error("Nobody registered what masks payloads", hint=hint, id="aegis.E042")]


@register()
def retention_is_long_enough(**_: Any) -> list[CheckMessage]:
    """aegis.E043: the verifier takes an emptying before that time for a forgery."""
    hint = f"AEGIS_RETENTION_RUNS_DAYS and AEGIS_RETENTION_ACCESS_DAYS are {checking.LEAST_DAYS} at least, or 0: for ever"
    return [
        Error(f"Retention of {name} after {days} days is too short", hint=hint, id="aegis.E043")
        for name, days in sorted(settings.RETENTION_DAYS.items())
        if 0 < days < checking.LEAST_DAYS
    ]


@register(Tags.security)
def signing_key_is_private(**_: Any) -> list[CheckMessage]:
    """aegis.E021: who reads the key can sign for a forged history."""
    path = keys.path()
    if settings.JOURNAL_KEY or not path.exists() or not path.stat().st_mode & 0o077:
        return []
    hint = f"chmod 600 {path}, and replace the key: manage.py aegis journal rotate-key"
    return [Error("Others on this machine can read the key that signs the journal's checkpoints", hint=hint, id="aegis.E021")]


@register(Tags.security)
def signing_key_is_one(**_: Any) -> list[CheckMessage]:
    """aegis.E022: with a text that is no key nothing could be signed."""
    if not settings.JOURNAL_KEY and not keys.path().exists():
        return []
    try:
        keys.signers()
    except (BadKey, OSError) as error:
        hint = "Give AEGIS_JOURNAL_KEY_FILE the path of a file made by: manage.py aegis journal make-key"
        return [Error(f"The key that signs the journal's checkpoints cannot be used: {error}", hint=hint, id="aegis.E022")]
    return []


@register(Tags.security, deploy=True)
def signing_key_is_shared(**_: Any) -> list[CheckMessage]:
    """aegis.W023: on PostgreSQL there may be several hosts, and each would make a key of its own."""
    if settings.JOURNAL_KEY or connection.vendor != "postgresql":
        return []
    hint = "Make one with manage.py aegis journal make-key and give it to every worker host by AEGIS_JOURNAL_KEY_FILE"
    return [Warning("The key that signs the journal's checkpoints is made by each host", hint=hint, id="aegis.W023")]


@register(Tags.database)
def append_only_triggers_stand(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """aegis.E020: run by `migrate` and by `check --database default` (which `serve` runs before it starts anything)."""
    messages: list[CheckMessage] = []
    for alias in databases or ():
        try:
            found = triggers.faults(alias)
        except DatabaseError:  # unreachable: `migrate` itself says so, and better
            continue
        if found:
            messages.append(
                Error(
                    "Append-only triggers are missing or changed: " + "; ".join(found),
                    hint="Find out who did it, then run: manage.py aegis journal protect",
                    id="aegis.E020",
                )
            )
    return messages
