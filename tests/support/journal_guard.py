"""Lets the test harness empty append-only tables between transactional tests. Lives here and not in the product on purpose.

The triggers refuse DELETE and TRUNCATE. The harness alone goes around them: in one transaction the triggers are lifted, the
tables emptied, the triggers put back. Everything a test does meets them standing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from audit import triggers


@contextmanager
def lifted(using: str = "default", *, tables: frozenset[str] | None = None) -> Iterator[None]:
    """Without the triggers, as an owner of the database could arrange it: for emptying and for forging.

    Args:
        tables: whose triggers; None = all of them.
    """
    connection = connections[using]
    guards = [guard for guard in triggers.protected() if tables is None or guard.table in tables]
    _run(connection, [sql for guard in guards for sql in triggers.dropping(guard, connection.vendor)])
    try:
        yield
    finally:
        _run(connection, [sql for guard in guards for sql in triggers.creating(guard, connection.vendor)])


def _run(connection: Any, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
