"""What a person may see of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from aegis.core.visibility import Viewer, VisibleQuerySet
from audit.scopes import Reach, reach

if TYPE_CHECKING:
    from audit.models import Event  # noqa: F401  (the base class names it as text)


class EventQuerySet(VisibleQuerySet["Event"]):
    def visible_to(self, user: Viewer, action: str = "view") -> Self:
        return self.within(reach(user))

    def within(self, seen: Reach) -> Self:
        """The same rule, for a page that has asked the owners already."""
        return self.filter(seen.condition())
