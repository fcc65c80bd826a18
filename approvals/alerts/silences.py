"""Which silences stand, and whom they cover. Placing and lifting are verbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.alerts.models import Silence


@dataclass(frozen=True, slots=True)
class Quiet:
    """The silences of one rule that stand at a moment: group key -> id; "" covers every group."""

    keys: dict[str, UUID]

    def of(self, group_key: str) -> UUID | None:
        return self.keys.get("") or self.keys.get(group_key)


def standing(alert_id: UUID, now: datetime) -> Quiet:
    """One query."""
    rows = Silence.objects.filter(alert=alert_id, ended_at=None, starts_at__lte=now, ends_at__gt=now)
    return Quiet(dict(rows.values_list("group_key", "id")))
