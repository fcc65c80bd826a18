"""The workflow that a rule is about, by the port of kinds: rules name it, counts know its id."""

from __future__ import annotations

from aegis.core import kinds


def id_of(name: str) -> str | None:
    """ "" for everything; None if there is no such workflow (any more)."""
    if not name:
        return ""
    row = kinds.get_kind("Workflow").row(name)
    return str(row.pk) if row is not None else None
