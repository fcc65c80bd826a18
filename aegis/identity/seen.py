"""People as far as a reader may see them: with the area "people" all who are active, else oneself alone."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import QuerySet

from aegis.core.visibility import Viewer
from aegis.identity.models import Area, User


def people_seen(reader: Viewer | None) -> QuerySet[User]:
    """Active people the reader may ask about. `reader` None is the command line, which sees all."""
    rows = User.objects.filter(is_active=True)
    if reader is None or Area.objects.visible_to(reader).filter(name="people").exists():
        return rows
    return rows.filter(pk=cast(User, reader).pk)


def may_name(username: str, reader: Any, stood: str = "") -> bool:
    """May a document name this person? He is active, and the author sees him, or it named him before.

    Who is away, who was never there and whom the author may not see are one answer: a refusal tells none of them apart.
    """
    rows = User.objects.filter(is_active=True) if username == stood else people_seen(reader)
    return rows.filter(username=username).exists()
