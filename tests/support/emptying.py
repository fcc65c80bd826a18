"""Puts the database back as the migrations left it after a transactional test, touching only what the test touched.

Django's own flush truncates every table and then makes the content types and permissions again. On PostgreSQL a TRUNCATE makes
new files for the table and each of its indexes, which costs more than most tests do; nearly all tables are empty anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from django.test import TransactionTestCase

from tests.support import journal_guard

Rows = list[tuple[Any, ...]]


class Emptying:
    """What the migrations left in one database, and the way back to it. Make it before any test has written."""

    def __init__(self, using: str = "default") -> None:
        self.using = using
        self._tables = sorted(self._connection.introspection.django_table_names(only_existing=True, include_views=False))
        self._kept = {table: self._rows(table) for table in self._with_rows()}

    @property
    def _connection(self) -> Any:
        """Asked for each time: beside a browser the test ends in another context than it began in, with another connection."""
        return connections[self.using]

    def restore(self) -> None:
        """Every table as it was; sequences go on where they are, as after Django's flush."""
        with transaction.atomic(using=self.using):
            touched = [table for table in self._with_rows(*self._kept) if self._rows_differ(table)]
            with journal_guard.lifted(self.using, tables=frozenset(touched)), self._connection.cursor() as cursor:
                for table in touched:
                    cursor.execute(f'DELETE FROM "{table}"')
                for table in touched:
                    for row in self._kept.get(table, ()):
                        cursor.execute(f'INSERT INTO "{table}" VALUES ({", ".join(["%s"] * len(row))})', row)
                if self._connection.vendor == "postgresql":  # a table with checks to come lets nobody put its triggers back
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def _with_rows(self, *always: str) -> list[str]:
        """The tables that hold a row now, and `always`. One query."""
        looks = [f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM \"{table}\")" for table in self._tables]
        with self._connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(looks))
            return sorted({name for (name,) in cursor.fetchall()} | set(always))

    def _rows_differ(self, table: str) -> bool:
        return table not in self._kept or self._rows(table) != self._kept[table]

    def _rows(self, table: str) -> Rows:
        with self._connection.cursor() as cursor:
            cursor.execute(f'SELECT * FROM "{table}" ORDER BY 1')
            return cursor.fetchall()


@contextmanager
def instead_of_flush() -> Iterator[None]:
    """Transactional tests end with `Emptying.restore` on the database as it stands now."""
    emptying = Emptying()
    original = TransactionTestCase._fixture_teardown
    TransactionTestCase._fixture_teardown = lambda test: emptying.restore()  # type: ignore[method-assign]
    try:
        yield
    finally:
        TransactionTestCase._fixture_teardown = original  # type: ignore[method-assign]
