"""Exact counts of what a process asks of its database: statements and commits, as the database executes them.

Counted at the driver (psycopg, sqlite3), below Django, in every thread: whatever way a statement takes, it is seen.

* A row of `executemany` is a statement of its own, because the database executes it once per row.
* The BEGIN and the COMMIT of a transaction are a statement each; so are savepoints.
* A write commit is a commit after at least one row was inserted, updated or deleted. Outside a transaction, each statement that
  changes rows is a write commit of its own.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

_WRITES = re.compile(r"\b(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE\s+(?!SKIP|NOWAIT)\S|DELETE\s+FROM)", re.IGNORECASE)
_LOCKS = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)


@dataclass(slots=True)
class Counts:
    """What was asked of the database while counting.

    Attributes:
        by_text: first words of a statement -> how often it was executed.
    """

    statements: int = 0
    commits: int = 0
    write_commits: int = 0
    by_text: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _dirty: set[int] = field(default_factory=set, repr=False)

    def executed(self, handle: object, text: str, times: int, rows: int, *, inside: bool) -> None:
        """One call of the driver: `times` executions, `rows` changed (-1: the driver does not know)."""
        writes = rows != 0 and bool(_WRITES.search(_LOCKS.sub("", text)))
        with self._lock:
            self.statements += times
            self.by_text[" ".join(text.split())[:90]] += times
            if writes and inside:
                self._dirty.add(id(handle))
            elif writes:
                self.commits += times
                self.write_commits += times

    def ended(self, handle: object, *, committed: bool, changed: bool = False) -> None:
        """A transaction ended; `changed` if its connection says that rows changed."""
        with self._lock:
            self.statements += 1
            self.by_text["COMMIT" if committed else "ROLLBACK"] += 1
            self.commits += committed
            self.write_commits += committed and (changed or id(handle) in self._dirty)
            self._dirty.discard(id(handle))


@contextmanager
def counting() -> Iterator[Counts]:
    """Count what every thread of this process asks of the default database, of the vendor it has."""
    counts = Counts()
    watch = _watch_postgresql if connection.vendor == "postgresql" else _watch_sqlite
    with watch(counts):
        yield counts


@contextmanager
def _replaced(*changes: tuple[type, str, Callable[..., Any]]) -> Iterator[None]:
    before = [(owner, name, owner.__dict__.get(name)) for owner, name, _ in changes]
    for owner, name, function in changes:
        setattr(owner, name, function)
    try:
        yield
    finally:
        for owner, name, function in before:
            if function is None:
                delattr(owner, name)
            else:
                setattr(owner, name, function)


@contextmanager
def _watch_postgresql(counts: Counts) -> Iterator[None]:
    """psycopg sends BEGIN with the first statement of a transaction, and nothing for an empty one."""
    from psycopg import Connection, Cursor
    from psycopg.pq import TransactionStatus

    idle = TransactionStatus.IDLE

    def text_of(query: Any, cursor: Any) -> str:
        return query if isinstance(query, str) else query.as_string(cursor) if hasattr(query, "as_string") else query.decode()

    def begin(cursor: Any) -> None:
        if cursor.connection.info.transaction_status == idle and not cursor.connection.autocommit:
            counts.executed(cursor.connection, "BEGIN", 1, 0, inside=False)

    def execute(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        begin(cursor)
        result = real_execute(cursor, query, *args, **options)
        inside = cursor.connection.info.transaction_status != idle
        counts.executed(cursor.connection, text_of(query, cursor), 1, cursor.rowcount, inside=inside)
        return result

    def executemany(cursor: Any, query: Any, rows: Iterable[Any], **options: Any) -> Any:
        begin(cursor)
        listed = list(rows)
        result = real_executemany(cursor, query, listed, **options)
        inside = cursor.connection.info.transaction_status != idle
        counts.executed(cursor.connection, text_of(query, cursor), len(listed), cursor.rowcount, inside=inside)
        return result

    def ender(real: Callable[[Any], None], *, committed: bool) -> Callable[[Any], None]:
        def end(connection_: Any) -> None:
            was_idle = connection_.info.transaction_status == idle
            real(connection_)
            if not was_idle:
                counts.ended(connection_, committed=committed)

        return end

    real_execute, real_executemany = Cursor.execute, Cursor.executemany
    with _replaced(
        (Cursor, "execute", execute),
        (Cursor, "executemany", executemany),
        (Connection, "commit", ender(Connection.commit, committed=True)),
        (Connection, "rollback", ender(Connection.rollback, committed=False)),
    ):
        yield


@contextmanager
def _watch_sqlite(counts: Counts) -> Iterator[None]:
    """Django's SQLite cursor is a Python class of its own; its connection ends transactions through `_commit` and `_rollback`.

    What changed is asked of the connection (`total_changes`): a statement with RETURNING knows its rows once they are read.
    """
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.sqlite3.base import SQLiteCursorWrapper

    before: dict[int, int] = {}  # connection -> its changes when the open transaction began

    def counted(real: Callable[..., Any], cursor: Any, query: str, args: tuple[Any, ...], times: int) -> Any:
        handle = cursor.connection
        was_inside, changes = handle.in_transaction, handle.total_changes
        result = real(cursor, query, *args)
        if handle.in_transaction and not was_inside:
            before[id(handle)] = changes
        counts.executed(handle, query, times, 0 if handle.in_transaction else -1, inside=handle.in_transaction)
        return result

    def execute(cursor: Any, query: str, *args: Any) -> Any:
        return counted(real_execute, cursor, query, args, 1)

    def executemany(cursor: Any, query: str, rows: Iterable[Any]) -> Any:
        listed = list(rows)
        return counted(real_executemany, cursor, query, (listed,), len(listed))

    def ender(real: Callable[[Any], None], *, committed: bool) -> Callable[[Any], None]:
        def end(wrapper: Any) -> None:
            handle = wrapper.connection
            if handle is None or not handle.in_transaction:
                real(wrapper)
                return
            changed = handle.total_changes != before.pop(id(handle), handle.total_changes)
            real(wrapper)
            counts.ended(handle, committed=committed, changed=changed)

        return end

    real_execute, real_executemany = SQLiteCursorWrapper.execute, SQLiteCursorWrapper.executemany
    with _replaced(
        (SQLiteCursorWrapper, "execute", execute),
        (SQLiteCursorWrapper, "executemany", executemany),
        (BaseDatabaseWrapper, "_commit", ender(BaseDatabaseWrapper._commit, committed=True)),
        (BaseDatabaseWrapper, "_rollback", ender(BaseDatabaseWrapper._rollback, committed=False)),
    ):
        yield
