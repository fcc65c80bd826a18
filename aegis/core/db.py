"""Transactions that retry as a whole, and the advisory lock of authority."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

from aegis.core.errors import StorageFull, Unavailable

Result = TypeVar("Result")

RETRIES = 8
RETRY_SECONDS = 20.0  # no further try after this time: SQLite's own waiting for the writer lock counts in
_RETRIED_SQLSTATES = {"40001", "40P01", "55P03"}  # serialisation failure, deadlock, lock not available
# Classes of what passes by itself: connection lost, lock and transaction conflicts, resources short, restart by an operator.
_PASSING_CLASSES = {"08", "40", "53", "55", "57"}
_DISK_FULL = "53100"
_SQLITE_BUSY = re.compile(r"locked|busy")
_SQLITE_BROKEN = re.compile(r"disk I/O error|unable to open database file")
_NO_ANSWER = "The database does not answer. If you sent a command, send it again under the same Idempotency-Key"


def in_transaction(work: Callable[[], Result]) -> Result:
    """Run `work` in one transaction, and the whole of it again after a deadlock, serialisation failure or busy database.

    `work` must hold no effect outside the database. Called inside an open transaction it joins that one and does not retry
    (the outermost caller does).

    Raises:
        Unavailable: still refused after the last try.
    """
    if connection.in_atomic_block:
        return work()
    started = time.monotonic()
    for attempt in range(RETRIES):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if not is_transient(error):
                raise
            if attempt == RETRIES - 1 or time.monotonic() - started > RETRY_SECONDS:
                raise Unavailable("The database is busy; nothing was changed") from error
            time.sleep(random.uniform(0, 0.02 * 2**attempt))  # full jitter: the losers must not meet again
    raise AssertionError("unreachable")


def is_transient(error: OperationalError) -> bool:
    """Would the same transaction, run again, be likely to pass?"""
    state = getattr(error.__cause__, "sqlstate", None)
    if state is not None:
        return state in _RETRIED_SQLSTATES
    return connection.vendor == "sqlite" and ("locked" in str(error) or "busy" in str(error))


def as_unavailable(error: BaseException | None) -> Unavailable | None:
    """What an edge answers when the database is busy, full, restarting or away; None for a fault of the program.

    Says "ask again under the same key" where a commit may have happened although its answer was lost.
    """
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    state = getattr(error.__cause__, "sqlstate", None)
    if state == _DISK_FULL or (connection.vendor == "sqlite" and "disk is full" in str(error)):
        return StorageFull("There is no space left on the disk of the database; nothing was changed")
    if connection.vendor == "sqlite":
        if _SQLITE_BUSY.search(str(error)):
            return Unavailable("The database is busy; nothing was changed")
        return Unavailable(_NO_ANSWER) if _SQLITE_BROKEN.search(str(error)) else None
    return Unavailable(_NO_ANSWER) if state is None or state[:2] in _PASSING_CLASSES else None


def advisory_lock(key: int, *, shared: bool) -> None:
    """Take a transaction-scoped advisory lock. SQLite needs none: an IMMEDIATE transaction already holds the writer lock."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        cursor.execute(f"SELECT {function}(%s)", [key])
