"""Append-only tables, held by the database itself on both vendors.

An app states its tables once (`AppendOnly`), installs the triggers in a migration (`install(...)`) and registers them at
start-up (`protect(...)`), so that start-up check `aegis.E020` and `journal verify` find out when one is missing or was changed:

    LOCKS = triggers.AppendOnly("orchestration_floorlock", keys=(("id",),), migration=("orchestration", "0002_append_only"))
    operations = [triggers.install(LOCKS)]  # in that migration
    triggers.protect(LOCKS)  # in AppConfig.ready

On SQLite a migration that alters such a table rebuilds it, and its triggers vanish: end it with another `install(...)`.

What it holds off: bugs, injected SQL, `queryset.update()`, a careless shell. Not an owner of the database or its file, who
can drop triggers; against him stand the chain and the checkpoints (HAZARDS, section 5.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections, migrations
from django.db.migrations.recorder import MigrationRecorder

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# pg_trigger.tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate.
_PG_ROW_TYPE = 1 | 2 | 8 | 16
_PG_TRUNCATE_TYPE = 2 | 32


@dataclass(frozen=True, slots=True)
class AppendOnly:
    """A table whose rows are inserted and then left alone.

    Attributes:
        keys: the unique keys, primary key first; an insert that would replace a row under one of them is refused
            (SQLite's INSERT OR REPLACE deletes without asking the delete trigger).
        allowed_update: SQL condition over OLD and NEW that lets an UPDATE pass; "" = none ever. Unknown counts as false.
        migration: (app, name) of the migration that installs the triggers; before it the check does not ask for them.
        updated: the columns that such an UPDATE sets: what a runtime role is granted (audit.database_role).
    """

    table: str
    keys: tuple[tuple[str, ...], ...]
    migration: tuple[str, str]
    allowed_update: str = ""
    updated: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        return f"{self.table} is append-only"


@dataclass(frozen=True, slots=True)
class Feeding:
    """Triggers on SQLite that carry what is written to one table into another: without them a search, say, misses what came.

    Attributes:
        triggers: name -> the statement that creates it, as the database keeps it.
        refill: makes good what was missed, once they stand again.
        migration: (app, name) of the migration that installs them.
    """

    table: str
    triggers: Mapping[str, str]
    refill: str
    migration: tuple[str, str]


Table = TypeVar("Table", AppendOnly, Feeding)

_protected: dict[str, AppendOnly] = {}
_feeding: dict[str, Feeding] = {}


def protect(*tables: AppendOnly) -> None:
    """Have the start-up check and `journal verify` watch over these tables. Called from `AppConfig.ready`."""
    for guard in tables:
        _protected[guard.table] = guard


def watch(*tables: Feeding) -> None:
    """Have them watch over these as well."""
    for one in tables:
        _feeding[one.table] = one


def protected() -> list[AppendOnly]:
    return [_protected[name] for name in sorted(_protected)]


def install(*tables: AppendOnly) -> migrations.RunPython:
    """The migration operation that makes tables append-only; reversible."""

    def forwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for guard in tables:
            for statement in [*dropping(guard, editor.connection.vendor), *creating(guard, editor.connection.vendor)]:
                editor.execute(statement, params=None)

    def backwards(_: Any, editor: BaseDatabaseSchemaEditor) -> None:
        for guard in tables:
            for statement in dropping(guard, editor.connection.vendor):
                editor.execute(statement, params=None)

    return migrations.RunPython(forwards, backwards)


def restore(using: str = "default") -> list[str]:
    """Install again what `faults` finds missing or changed. Returns the faults there were."""
    connection = connections[using]
    found = faults(using)
    if found:
        with connection.cursor() as cursor:
            for guard in _installed(connection, protected()):
                for statement in [*dropping(guard, connection.vendor), *creating(guard, connection.vendor)]:
                    cursor.execute(statement)
            for one in _installed(connection, _feeding.values()) if connection.vendor == "sqlite" else ():
                for name, statement in one.triggers.items():
                    cursor.execute(f'DROP TRIGGER IF EXISTS "{name}"')
                    cursor.execute(statement)
                cursor.execute(one.refill)
    return found


def creating(guard: AppendOnly, vendor: str) -> list[str]:
    """The statements that create the triggers of one table."""
    if vendor == "postgresql":
        table, function = f'"{guard.table}"', f'"{_function(guard)}"'
        row, truncate = f'"{guard.table}_append_only"', f'"{guard.table}_no_truncate"'
        return [
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $guard${_function_body(guard)}$guard$",
            f"CREATE TRIGGER {row} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
            f"CREATE TRIGGER {truncate} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
            # ALWAYS: they hold under session_replication_role = replica too.
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {row}",
            f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {truncate}",
        ]
    return list(_sqlite_triggers(guard).values())


def dropping(guard: AppendOnly, vendor: str) -> list[str]:
    """The statements that remove them, whether they are there or not."""
    if vendor == "postgresql":
        return [
            f'DROP TRIGGER IF EXISTS "{guard.table}_append_only" ON "{guard.table}"',
            f'DROP TRIGGER IF EXISTS "{guard.table}_no_truncate" ON "{guard.table}"',
            f'DROP FUNCTION IF EXISTS "{_function(guard)}"()',
        ]
    return [f'DROP TRIGGER IF EXISTS "{name}"' for name in _sqlite_triggers(guard)]


def faults(using: str = "default") -> list[str]:
    """What is missing from, or differs in, the triggers of every protected table: one sentence each. Two queries."""
    connection = connections[using]
    guards = _installed(connection, protected())
    if connection.vendor == "postgresql":
        return list(_pg_faults(connection, guards))
    wanted: list[tuple[str, Mapping[str, str]]] = [(guard.table, _sqlite_triggers(guard)) for guard in guards]
    wanted += [(one.table, one.triggers) for one in _installed(connection, _feeding.values())]
    return list(_sqlite_faults(connection, wanted))


def _installed(connection: BaseDatabaseWrapper, tables: Iterable[Table]) -> list[Table]:
    """Tables whose migration has run: a database being set up has no triggers yet, and that is no fault."""
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return []
    applied = recorder.applied_migrations()
    return [table for table in tables if table.migration in applied]


def _function(guard: AppendOnly) -> str:
    return f"{guard.table}_append_only"


def _function_body(guard: AppendOnly) -> str:
    # The condition is inside the function (not in the trigger's WHEN) so that its exact text can be compared later.
    passing = ""
    if guard.allowed_update:
        passing = f"IF TG_OP = 'UPDATE' AND ({guard.allowed_update}) IS TRUE THEN RETURN NEW; END IF; "
    return f"BEGIN {passing}RAISE EXCEPTION '{guard.refusal}' USING ERRCODE = 'integrity_constraint_violation'; END"


def _sqlite_triggers(guard: AppendOnly) -> dict[str, str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, '{guard.refusal}'); END"
    when = f" WHEN ({guard.allowed_update}) IS NOT TRUE" if guard.allowed_update else ""
    same_key = " OR ".join("(" + " AND ".join(f'"{name}" = NEW."{name}"' for name in key) + ")" for key in guard.keys)
    table = f'"{guard.table}"'
    bodies = {
        f"{guard.table}_no_update": f"BEFORE UPDATE ON {table}{when} {refuse}",
        f"{guard.table}_no_delete": f"BEFORE DELETE ON {table} {refuse}",
        f"{guard.table}_no_replace": f"BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_key}) {refuse}",
    }
    return {name: f'CREATE TRIGGER "{name}" {body}' for name, body in bodies.items()}


def _sqlite_faults(connection: BaseDatabaseWrapper, wanted: Iterable[tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        present = dict(cursor.fetchall())
    for table, statements in wanted:
        for name, statement in statements.items():
            if name not in present:
                yield f"{table}: trigger {name} is missing"
            elif present[name] != statement:
                yield f"{table}: trigger {name} was changed"


def _pg_faults(connection: BaseDatabaseWrapper, guards: Iterable[AppendOnly]) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, t.tgname, t.tgtype, t.tgenabled::text,"
            " t.tgqual IS NULL AND t.tgnargs = 0 AND t.tgattr::text = '', p.proname, p.prosrc"
            " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE NOT t.tgisinternal AND pg_table_is_visible(c.oid)"
        )
        present = {(row[0], row[1]): row[2:] for row in cursor.fetchall()}
    for guard in guards:
        wanted = {f"{guard.table}_append_only": _PG_ROW_TYPE, f"{guard.table}_no_truncate": _PG_TRUNCATE_TYPE}
        for name, kind in wanted.items():
            found = present.get((guard.table, name))
            if found is None:
                yield f"{guard.table}: trigger {name} is missing"
            elif found[1] != "A":
                yield f"{guard.table}: trigger {name} is not enabled always"
            elif found != (kind, "A", True, _function(guard), _function_body(guard)):
                yield f"{guard.table}: trigger {name} was changed"
