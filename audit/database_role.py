"""`manage.py aegis database-role`: a PostgreSQL role for web and workers that cannot rewrite what is append-only.

Triggers refuse a rewrite by whoever may lift them not; an owner of the tables may. So the tables belong to the role that runs
`migrate`, and AEGIS runs as another: on append-only tables it may read and insert (and empty payloads, by column), elsewhere it
may do what the product does, and it owns, truncates and creates nothing.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any, Final

from django.db import connection, transaction

from aegis.core import commands
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid
from audit import triggers

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_WRITES: Final = ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER")
#: What would let a role become the owner, or write past every grant.
_POWERS: Final = {
    "rolsuper": "is a superuser",
    "rolcreaterole": "may make roles, and so make itself a member of the owner's",
    "rolreplication": "may replicate, and so read everything as it is stored",
}
_MEMBERSHIPS: Final = ("pg_write_all_data", "pg_write_server_files", "pg_execute_server_program")


def register() -> None:
    commands.register(
        "database-role", "A PostgreSQL role that cannot rewrite the journal: its SQL, and a check.", _arguments, handle
    )


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    if connection.vendor != "postgresql":
        terminal.note("SQLite knows no roles: whoever may write the file may rewrite it. Use PostgreSQL in production.")
        return 2
    match options["verb"]:
        case "sql":
            terminal.line("\n".join(f"{statement};" for statement in statements(options["name"])))
        case "apply":
            apply(options["name"])
            terminal.line(f"{options['name']} may do what AEGIS does, and rewrite nothing that is append-only.")
            terminal.line(f"Give it a password: ALTER ROLE {options['name']} PASSWORD '...'")
        case _:
            return _tell(list(faults()), terminal)
    return 0


def apply(name: str) -> None:
    """Make the role, or set right what it may do: after every `migrate`. As the owner of the tables, who may make roles."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements(name):
            cursor.execute(statement)


def statements(name: str) -> list[str]:
    """The SQL, in order; harmless to repeat.

    Raises:
        Invalid: no plain name.
    """
    if not _NAME.fullmatch(name):
        raise Invalid("A role is named by small letters, digits and underscores, and begins with no digit")
    role, schema = f'"{name}"', _quoted(_schema())
    make = f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
    found = [
        f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{name}') THEN {make}; END IF; END $$",
        *(f"REVOKE {_quoted(group)} FROM {role}" for group in _MEMBERSHIPS),
        f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {role}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {role}",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    ]
    guards = {guard.table: guard for guard in triggers.protected()}
    for table in _tables():
        guard = guards.get(table)
        if table == "django_migrations":
            rights = "SELECT"
        elif guard is None:
            rights = "SELECT, INSERT, UPDATE, DELETE"
        else:
            columns = ", ".join(_quoted(column) for column in guard.updated)
            rights = f"SELECT, INSERT{f', UPDATE ({columns})' if columns else ''}"
        found.append(f"GRANT {rights} ON {schema}.{_quoted(table)} TO {role}")
    return found


def faults() -> Iterator[str]:
    """What the role that is connected now may do and should not, one sentence each."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT rolname, {', '.join(_POWERS)} FROM pg_roles WHERE rolname = current_user")
        name, *powers = cursor.fetchone()
        for held, words in zip(powers, _POWERS.values(), strict=True):
            if held:
                yield f"{name} {words}"
        cursor.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND pg_has_role(current_user, oid, 'MEMBER')",
            [list(_MEMBERSHIPS)],
        )
        yield from (f"{name} is a member of {role}" for (role,) in cursor.fetchall())
        cursor.execute("SELECT has_schema_privilege(current_user, %s, 'CREATE')", [_schema()])
        if cursor.fetchone()[0]:
            yield f"{name} may create in the schema {_schema()}"
        for guard in triggers.protected():
            yield from (f"{name} {what} {guard.table}" for what in _too_much(cursor, guard))


def _too_much(cursor: Any, guard: triggers.AppendOnly) -> Iterator[str]:
    cursor.execute(
        "SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class WHERE oid = %s::regclass",
        [_quoted(guard.table)],
    )
    if cursor.fetchone()[0]:
        yield "owns"
        return
    for right in _WRITES:
        cursor.execute("SELECT has_table_privilege(current_user, %s::regclass, %s)", [_quoted(guard.table), right])
        if cursor.fetchone()[0]:
            yield f"has {right} on"
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND has_column_privilege(current_user, attrelid, attnum, 'UPDATE') ORDER BY attnum",
        [_quoted(guard.table)],
    )
    for (column,) in cursor.fetchall():
        if column not in guard.updated:
            yield f"may update {column} of"


def _tell(found: list[str], terminal: Terminal) -> int:
    for fault in found:
        terminal.line(fault)
    if found:
        terminal.line("This role can rewrite what is append-only: run AEGIS as another (docs/guide/database-role.md).")
        return 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        terminal.line(f"{cursor.fetchone()[0]} reads and inserts; it can rewrite nothing that is append-only.")
    return 0


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", [_schema()])
        return [name for (name,) in cursor.fetchall()]


def _schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    for verb, what in (
        ("sql", "print the statements that make the role and grant it what AEGIS needs"),
        ("apply", "run them, as the owner of the tables; again after every migrate"),
    ):
        verbs.add_parser(verb, help=what).add_argument("name", help="of the role, such as aegis_runtime")
    verbs.add_parser("check", help="say what the role that is connected now could rewrite; exit code 1 if anything")
