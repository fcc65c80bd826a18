"""Lets the test harness empty append-only tables between transactional tests. Lives here and not in the product on purpose.

Django flushes with DELETE (SQLite) or TRUNCATE (PostgreSQL), which the triggers refuse. The flush alone goes around them: in
one transaction the triggers are lifted, the tables emptied, the triggers put back. Everything a test does meets them standing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.operations import BaseDatabaseOperations

from audit import triggers


@contextmanager
def flush_goes_around() -> Iterator[None]:
    original = BaseDatabaseOperations.execute_sql_flush

    def flush(self: Any, sql_list: list[str]) -> None:
        with transaction.atomic(using=self.connection.alias), lifted(self.connection.alias):
            original(self, sql_list)

    BaseDatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
    try:
        yield
    finally:
        BaseDatabaseOperations.execute_sql_flush = original  # type: ignore[method-assign]


@contextmanager
def lifted(using: str = "default") -> Iterator[None]:
    """Without the triggers, as an owner of the database could arrange it: for flushes and for forging."""
    connection = connections[using]
    guards = triggers.protected()
    _run(connection, [sql for guard in guards for sql in triggers.dropping(guard, connection.vendor)])
    try:
        yield
    finally:
        _run(connection, [sql for guard in guards for sql in triggers.creating(guard, connection.vendor)])


def _run(connection: Any, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
