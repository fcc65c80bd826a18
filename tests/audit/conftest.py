from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from aegis.core import clock
from aegis.core.actors import SYSTEM, user_actor
from audit import catalogue, journal
from audit.catalogue import EventType
from audit.chain import Line
from audit.drafts import Context, Draft
from audit.models import Event, Payload

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
USER = "018f0000-0000-7000-8000-000000000001"

# The tests' own types, so that they pin the journal and not the sentences of other rooms.
PROBE = EventType(
    "probe.noted",
    "{actor} noted {data.code} on {subject}",
    "system",
    fields=("code", "count?"),
    payloads={"reason": "personal", "document": "business"},
    tone="blue",
)
catalogue.register(PROBE)


@pytest.fixture
def note(db: None) -> Callable[..., list[Line]]:
    """Appends events to a stream: `note("system", 3)` or `note("config:Policy", reason="because")`."""

    def append(stream: str = "config:Probe", count: int = 1, *, reason: str = "", **fields: Any) -> list[Line]:
        about: dict[str, Any] = {"scope": "system", **fields.pop("context", {})}
        payloads = {"reason": reason.encode()} if reason else {}
        drafts = [
            Draft("probe.noted", fields.get("actor", user_actor(USER, auth="session")), {"code": f"c{n}"}, payloads)
            for n in range(count)
        ]
        with transaction.atomic():
            return journal.append(Context(stream=stream, **about), drafts, fields.get("at", NOON))

    return append


@pytest.fixture
def lines_of() -> Callable[[str], list[Event]]:
    return journal.read


@pytest.fixture
def sql() -> Callable[..., None]:
    """Runs a statement as somebody with the database in his hands."""

    def run(statement: str, *values: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    return run


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Moves the clock that checkpoints are judged by: `later(minutes=2)`."""
    gone = timedelta()
    real = clock.db_now

    def move(**by: float) -> None:
        nonlocal gone
        gone += timedelta(**by)

    monkeypatch.setattr(clock, "db_now", lambda: real() + gone)
    return move


__all__ = ["NOON", "SYSTEM", "USER", "Event", "Payload"]
