"""The one place that reads the clock. Pure modules take time as an argument.

`AEGIS_CLOCK_OFFSET_SECONDS` skews a process on purpose (fault tests); production leaves it unset.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

from django.db import connection

_OFFSET = timedelta(seconds=float(os.environ.get("AEGIS_CLOCK_OFFSET_SECONDS", "0")))


def now() -> datetime:
    """This process's wall clock, aware UTC."""
    return datetime.now(UTC) + _OFFSET


def db_now() -> datetime:
    """The clock that leases and deadlines are judged by: the database's on PostgreSQL (one round trip), ours on SQLite.

    `clock_timestamp()`, because `now()` is the start of the transaction and stands still while we wait for a lock.
    """
    if connection.vendor != "postgresql":
        return now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment.astimezone(UTC)


def monotonic() -> float:
    """Seconds for measuring durations and pacing loops."""
    return time.monotonic()
