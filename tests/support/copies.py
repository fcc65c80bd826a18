"""What a test stands on, made once: the rows that making it wrote are kept, and written again where another test begins alike.

Half of the suite's time went into granting the same rights to the same people and applying the same configuration. The verbs
still do that, the first time and once a minute; a test that asks for the same, from the same beginning, gets a copy of the rows
they wrote; where tests commit, the copy is committed. What is raced, killed or driven afterwards is the real thing as before.

A beginning is the same when the steps before were the same and nothing else was written since. What is in doubt is made anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from aegis.core import clock

KEPT_SECONDS = 60.0  # "just now" stays true of what a copy holds
_CLOCKS = (clock.now, clock.db_now)
_MOVED = timedelta(seconds=1)
_READING = ("SELECT", "SAVEPOINT", "RELEASE", "BEGIN")
_TABLE = re.compile(r'(?:INSERT (?:OR \w+ )?INTO|UPDATE|DELETE FROM) "?(\w+)')

Row = tuple[Any, ...]
Rows = dict[str, dict[Any, Row]]  # table -> primary key -> row
Beginning = Hashable  # a stamp of the untouched database, or the number of the copy that was written last


@dataclass(frozen=True, slots=True)
class Copy:
    """What one step wrote, and how it left the tables that it wrote to."""

    number: int
    made_at: float
    inserted: dict[str, list[Row]]
    updated: dict[str, list[Row]]
    left: Rows

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.made_at < KEPT_SECONDS


@dataclass(slots=True)
class Standing:
    """Where a test stands.

    Attributes:
        beginning: of what is made next. A copy made anew has another number: its rows have other keys.
    """

    beginning: Beginning
    rows: Rows
    writes: int
    stamp: Hashable


@dataclass
class Copies:
    """Those of this process, for the database of the tests.

    Attributes:
        writes: how many statements that may write there were; `touched` the tables they named.
    """

    kept: dict[tuple[Beginning, Hashable], Copy] = field(default_factory=dict)
    untouched: dict[Hashable, Rows] = field(default_factory=dict)
    writes: int = 0
    touched: set[str] = field(default_factory=set)
    writes_at_begin: int = 0
    standing: Standing | None = None
    copied: int = 0
    made: int = 0

    def test_begins(self) -> None:
        self.standing, self.writes_at_begin = None, self.writes
        if self.watch not in connection.execute_wrappers:
            connection.execute_wrappers.append(self.watch)

    def watch(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """For `execute_wrappers`: counts what may write."""
        text = str(sql).lstrip("( \n")
        if not text.startswith(_READING):
            self.writes += 1
            self.touched.update(_TABLE.findall(text))
        return execute(sql, params, many, context)

    def make(self, step: Hashable, work: Callable[[], Any]) -> None:
        """Have done what `work` does: by doing it, or by writing again what it wrote. Read back what you need of it."""
        before = self._where_we_stand()
        self.standing = None  # what fails half way is no beginning
        if before is None:
            work()
            return
        steps = (before.beginning, step)
        copy = self.kept.get(steps)
        if copy is not None and copy.is_fresh:
            self.copied += 1
            _write(copy)
        else:
            self.made += 1
            copy = self._made(before.rows, work)
            self.kept = {known: one for known, one in self.kept.items() if one.is_fresh}
            if copy is None:
                return
            self.kept[steps] = copy
        self.standing = Standing(copy.number, {**before.rows, **copy.left}, self.writes, _stamp())

    def _where_we_stand(self) -> Standing | None:
        """None: not known, or what stands here is to be made each time."""
        if _is_inside_a_transaction_of_the_test() or _is_another_time() or self.watch not in connection.execute_wrappers:
            return None
        if self.standing is not None:
            is_as_we_left_it = self.standing.writes == self.writes and self.standing.stamp == _stamp()
            return self.standing if is_as_we_left_it else None
        if self.writes != self.writes_at_begin:
            return None
        beginning = _stamp()
        if beginning not in self.untouched:
            self.untouched[beginning] = {table: _rows(table) for table in _tables()}
        return Standing(beginning, self.untouched[beginning], self.writes, beginning)

    def _made(self, before: Rows, work: Callable[[], Any]) -> Copy | None:
        """None when it took rows away: such a thing is not copied."""
        self.touched.clear()
        work()
        left = {table: _rows(table) for table in sorted(self.touched & before.keys())}
        if any(before[table].keys() - rows.keys() for table, rows in left.items()):
            return None
        new = {table: [row for key, row in rows.items() if key not in before[table]] for table, rows in left.items()}
        other = {
            table: [row for key, row in rows.items() if key in before[table] and before[table][key] != row]
            for table, rows in left.items()
        }
        return Copy(self.made, time.monotonic(), _some(new), _some(other), left)


COPIES = Copies()


def made(step: Hashable, work: Callable[[], Any]) -> None:
    """`Copies.make` of this process.

    Args:
        step: tells `work` from any other; equal steps after equal steps leave equal rows.
    """
    COPIES.make(step, work)


def _is_inside_a_transaction_of_the_test() -> bool:
    """Not that in which pytest-django holds a whole test: one that the test began, and may roll back."""
    blocks = [block for block in connection.atomic_blocks if not block._from_testcase]
    return bool(blocks)


def _is_another_time() -> bool:
    """The test has moved the clock. Some replace it by one that they may move later."""
    now, db_now = _CLOCKS
    return (clock.now, clock.db_now) != _CLOCKS and (
        abs(clock.now() - now()) > _MOVED or abs(clock.db_now() - db_now()) > _MOVED
    )


def _stamp() -> Hashable:
    """Tells a database as the migrations left it from one in which a test left something, or another process wrote."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM audit_event), (SELECT count(*) FROM identity_user)")
        return tuple(cursor.fetchone())


def _tables() -> list[str]:
    names: list[str] = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return names


_columns: dict[str, list[str]] = {}
_keys: dict[str, int] = {}  # table -> where in a row its primary key stands


def _rows(table: str) -> dict[Any, Row]:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}"')
        rows = cursor.fetchall()
        if table not in _columns:
            _columns[table] = [column[0] for column in cursor.description]
            _keys[table] = _columns[table].index(connection.introspection.get_primary_key_column(cursor, table))
    return {row[_keys[table]]: row for row in rows}


def _write(copy: Copy) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for table, rows in copy.updated.items():
            columns, key = _columns[table], _keys[table]
            sets = ", ".join(f'"{column}" = %s' for column in columns)
            sql = f'UPDATE "{table}" SET {sets} WHERE "{columns[key]}" = %s'
            cursor.executemany(sql, [(*row, row[key]) for row in rows])
        for table, rows in copy.inserted.items():
            places = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f'INSERT INTO "{table}" VALUES ({places})', rows)


def _some(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    return {table: found for table, found in rows.items() if found}
