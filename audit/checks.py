"""System checks of the audit app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError

from audit import masking, triggers
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
