"""Transactions that retry as a whole, and the advisory lock of authority."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection, transaction

from aegis.core.errors import Unavailable

Result = TypeVar("Result")

RETRIES = 8
_RETRIED_SQLSTATES = {"40001", "40P01", "55P03"}  # serialisation failure, deadlock, lock not available


def in_transaction(work: Callable[[], Result]) -> Result:
    """Run `work` in one transaction, and the whole of it again after a deadlock, serialisation failure or busy database.

    `work` must hold no effect outside the database. Called inside an open transaction it joins that one and does not retry
    (the outermost caller does).

    Raises:
        Unavailable: still refused after the last try.
    """
    if connection.in_atomic_block:
        return work()
    for attempt in range(RETRIES):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if not is_transient(error):
                raise
            if attempt == RETRIES - 1:
                raise Unavailable("The database is busy; nothing was changed") from error
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # full jitter: the losers must not meet again
    raise AssertionError("unreachable")


def is_transient(error: OperationalError) -> bool:
    """Would the same transaction, run again, be likely to pass?"""
    state = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        return state in _RETRIED_SQLSTATES
    return connection.vendor == "sqlite" and ("locked" in str(error) or "busy" in str(error))


def advisory_lock(key: int, *, shared: bool) -> None:
    """Take a transaction-scoped advisory lock. SQLite needs none: an IMMEDIATE transaction already holds the writer lock."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        cursor.execute(f"SELECT {function}(%s)", [key])
