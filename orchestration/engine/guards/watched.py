"""Breakers as a state that rules of alerts watch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.urls import reverse

from audit.alerts.states import READ, Standing, State
from orchestration.engine.guards.models import Breaker


def _open(now: datetime, within: timedelta) -> Sequence[Standing]:
    """Those that let nobody through, or one run to try: what opened longest ago comes first."""
    rows = Breaker.objects.filter(is_stirred=True).exclude(phase=Breaker.Phase.CLOSED).order_by("changed_at", "key")[:READ]
    return [
        Standing((row.key,), _words(row), row.openings, reverse("guards:list"), _scope(row), row.target, row.changed_at)
        for row in rows
    ]


def _scope(row: Breaker) -> str:
    """As of its events (`counting`)."""
    return "agent" if row.key.startswith("agent:") else "access"


def _words(row: Breaker) -> str:
    if row.phase == Breaker.Phase.HALF_OPEN:
        return "one run tries whether it works again"
    until = f"until {row.until:%Y-%m-%d %H:%M} UTC" if row.until else "until somebody closes it"
    return f"its circuit breaker is open {until}"


BREAKERS: Final = State("breaker_open", "A circuit breaker is open", "breaker", _open)
