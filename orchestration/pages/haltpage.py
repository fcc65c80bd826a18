"""What the page of halts shows beside what stands: what may be halted, what the halts hold back, and those that are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from aegis.core import canonical
from aegis.core.visibility import Viewer
from aegis.identity.models import User
from approvals.models import ApprovalRequest
from audit.models import Event
from orchestration.engine.guards import standing
from orchestration.engine.guards.models import Halt
from orchestration.engine.models import ReviewItem
from orchestration.pages import guardboard
from orchestration.pages.guardboard import Board

MAX_COUNTED: Final = 1_000  # beyond it a figure reads "1,000+"
MAX_HISTORY: Final = 30
CONFIRMATION: Final = "everything"  # typed by whoever halts everything


@dataclass(frozen=True, slots=True)
class Past:
    """A halt that is over."""

    halt: Halt
    what: str
    by: str
    reason: str
    resumed_by: str
    resumed_why: str


@dataclass(frozen=True, slots=True)
class HaltPage:
    """
    Attributes:
        targets: (kind, names) of what this person may halt and that is not halted.
        requests, items: open requests and review items whose clock stands, in words ("1,000+").
    """

    targets: Sequence[tuple[str, Sequence[str]]]
    requests: str
    items: str
    history: Sequence[Past]

    @property
    def may_halt_something(self) -> bool:
        return any(names for _, names in self.targets)

    @property
    def freezes(self) -> bool:
        return (self.requests, self.items) != ("0", "0")


def page(user: Viewer, board: Board) -> HaltPage:
    """A handful of queries beside the board's, whatever is held; counts stop at a thousand."""
    halted = {(line.halt.scope, line.halt.name) for line in board.halts if line.halt.status == Halt.Status.STANDING}
    operable = guardboard.operable(user)
    return HaltPage(
        targets=[
            (kind, sorted(name for name in operable[kind] if (kind, name) not in halted)) for kind in ("agent", "workflow")
        ],
        requests=_counted(ApprovalRequest.objects.visible_to(user).filter(status="frozen", frozen_at__isnull=False)),
        items=_counted(ReviewItem.objects.visible_to(user).filter(frozen_at__isnull=False)),
        history=_history(user),
    )


def _counted(rows: QuerySet[Any]) -> str:
    count = rows.order_by()[: MAX_COUNTED + 1].count()
    return f"{MAX_COUNTED:,}+" if count > MAX_COUNTED else str(count)


def _history(user: Viewer) -> list[Past]:
    """The newest that are over, of what the person may see."""
    halts = standing.past_halts(user, MAX_HISTORY)
    keys = {key for halt in halts for key in (halt.placed_by, halt.resumed_by)}
    ids = {key.partition(":")[2] for key in keys if key.startswith("user:")}
    names = {str(one.pk): one.display_name for one in User.objects.filter(pk__in=ids)}
    placed, resumed = standing.reasons([halt.place for halt in halts]), _resumed(halts)
    return [
        Past(
            halt=halt,
            what=f"{halt.scope} {halt.name}" if halt.target else "everything",
            by=names.get(halt.placed_by.partition(":")[2], "AEGIS"),
            reason=placed.get(halt.place, ""),
            resumed_by=names.get(halt.resumed_by.partition(":")[2], "AEGIS"),
            resumed_why=resumed.get(str(halt.pk), ""),
        )
        for halt in halts
    ]


def _resumed(halts: Sequence[Halt]) -> Mapping[str, str]:
    """Halt id -> why it was resumed, as said last. Two queries."""
    if not halts:
        return {}
    rows = Event.objects.filter(type="halt.resuming", stream__in={halt.stream for halt in halts}).order_by("-id")
    places: dict[str, tuple[str, int]] = {}
    for event in rows[: 4 * MAX_HISTORY]:
        places.setdefault(canonical.parse(event.line)["data"]["halt"], (event.stream, event.seq))
    said = standing.reasons([f"{stream}/{seq}" for stream, seq in places.values()])
    return {halt: said.get(f"{stream}/{seq}", "") for halt, (stream, seq) in places.items()}
