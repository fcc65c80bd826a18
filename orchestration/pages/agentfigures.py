"""How agents did lately, from the newest events a person may see. One bounded query, whatever the size of the journal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Avg, Count

from aegis.core import clock
from aegis.core.visibility import Viewer
from approvals.models import ApprovalRequest
from audit.models import Event

WINDOW: Final = timedelta(days=1)
MAX_EVENTS: Final = 20_000  # of the journal, newest first: on a busy day the figures stand for less than the window
#: Event of an answer -> what it counts as.
_ANSWERS: Final[Mapping[str, str]] = {
    "step.completed": "done",
    "step.abstained": "unsure",
    "step.unsure": "unsure",
    "step.failed": "failed",
    "contract.violated": "failed",
}
_OPEN: Final = ("open", "frozen")


@dataclass(slots=True)
class Figures:
    """Answers of one agent within the window.

    Attributes:
        unsure: it said that it does not know, or was less sure than the workflow asks for.
        failed: no answer, or one that broke its contract.
        open_requests: open questions about what it proposed, as far as the reader may see them.
    """

    done: int = 0
    unsure: int = 0
    failed: int = 0
    total_ms: float = 0.0
    open_requests: int = 0

    @property
    def calls(self) -> int:
        return self.done + self.unsure + self.failed

    @property
    def success(self) -> int | None:
        """Percent of its calls that were done; None without a call."""
        return round(100 * self.done / self.calls) if self.calls else None

    @property
    def tone(self) -> str:
        if not self.failed:
            return "green" if self.done else "grey"
        return "red" if self.failed * 5 > self.calls else "amber"

    @property
    def mean_ms(self) -> int | None:
        return round(self.total_ms / self.calls) if self.calls else None


def of(user: Viewer, names: Collection[str]) -> dict[str, Figures]:
    """Name -> figures. Three small queries."""
    found = {name: Figures() for name in names}
    if not names:
        return found
    newest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
    rows = Event.objects.visible_to(user).filter(
        id__gt=newest - MAX_EVENTS, at__gte=clock.now() - WINDOW, type__in=_ANSWERS, agent__in=names
    )
    grouped: Any = rows.order_by().values_list("agent", "type").annotate(n=Count("pk"), ms=Avg("duration_ms"))
    for name, type_, count, mean in grouped:
        figures = found[name]
        setattr(figures, _ANSWERS[type_], getattr(figures, _ANSWERS[type_]) + count)
        figures.total_ms += count * float(mean or 0)
    waiting: Any = ApprovalRequest.objects.visible_to(user).filter(agent__in=names, status__in=_OPEN)
    for name, count in waiting.order_by().values_list("agent").annotate(n=Count("pk", distinct=True)):
        found[name].open_requests = count
    return found
