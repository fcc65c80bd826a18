"""Times as text inside event lines. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


def render(moment: datetime) -> str:
    """RFC 3339 UTC with microseconds, the only form of time inside an event line."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"  # a third of what strftime takes


def parse(text: str) -> datetime:
    """Aware UTC."""
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
