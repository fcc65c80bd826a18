"""A measure and a state of tests: how often kettles boiled, and which are cold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aegis.core import clock
from approvals.alerts.models import Alert, Episode, Judged
from audit import catalogue, journal
from audit.alerts import states
from audit.alerts.states import Standing, State
from audit.catalogue import EventType
from audit.metrics import measures, projection, slots
from audit.metrics.measures import Measure
from audit.metrics.models import Bucket, Series

catalogue.register(EventType("pot.boiled", "{subject} boiled", "handoffs", fields=("kitchen",)))
measures.register(Measure("pots", ("pot.boiled",), ("kitchen",), lambda seen: (seen.text("kitchen"),)))

#: Which pots are cold now: name -> how much.
cold: dict[str, float] = {}
states.register(
    State(
        "pot_cold", "A pot is cold", "pot",
        lambda at, within: [Standing((name,), f"{much:g} degrees", much, "/", "system") for name, much in sorted(cold.items())],
    )
)  # fmt: skip

BOILS: Any = {"by": ["kitchen"], "threshold": {"count": {"measure": "pots"}, "above": 5}}


def now_hour() -> int:
    return projection.hour_number(clock.now())


def counted(counts: Mapping[int, int], kitchen: str = "north", *, scope: str = "system", scope_id: str = "") -> None:
    """Hours ago -> how many boiled in that hour."""
    hours = {now_hour() - ago: count for ago, count in counts.items()}
    at = datetime.fromtimestamp(min(hours) * 3600, UTC)
    series = Series.objects.create(metric="pots", scope=scope, scope_id=scope_id, a=kitchen, first_at=at, month=f"{at:%Y-%m}")
    Bucket.objects.bulk_create(
        Bucket(series=series, hour=hour, slot=slots.NONE, count=count, total=0) for hour, count in hours.items() if count
    )


def judged_until(alert: Alert, ago: int) -> None:
    """The rule was last judged so many hours ago."""
    row = {"digest": alert.basis, "until": now_hour() - ago, "at": datetime(2026, 1, 1, tzinfo=UTC)}
    Judged.objects.update_or_create(alert=alert, defaults=row)


def events_of(episode: Episode) -> list[str]:
    return [event.type for event in journal.read(episode.stream)]
