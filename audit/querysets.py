"""What a person may see of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from aegis.core.visibility import Viewer, VisibleQuerySet
from audit.scopes import scope_filter

if TYPE_CHECKING:
    from audit.models import Event  # noqa: F401  (the base class names it as text)


class EventQuerySet(VisibleQuerySet["Event"]):
    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        return self.filter(scope_filter(user))
