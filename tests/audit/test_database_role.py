"""The runtime role on a real PostgreSQL: connected as it, the product works, and what is append-only cannot be rewritten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from aegis.core.errors import Invalid
from audit import database_role, journal, keeping, triggers
from audit.models import Event, Payload
from tests.erasing import house

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
ROLE = f"aegis_runtime_{os.getpid()}"


@pytest.fixture
def people(person: Any, ada: Any, sam: Any) -> dict[str, Any]:
    return {**house.furnished(person), "sam": sam, "ada": ada}


@pytest.fixture
def owner() -> str:
    return str(connection.settings_dict["USER"])


@pytest.fixture
def role(people: dict[str, Any], owner: str) -> Iterator[str]:
    """Everything after it runs on a connection of that role."""
    database_role.apply(ROLE)
    _connect(ROLE)
    try:
        yield ROLE
    finally:
        _connect(owner)
        with connection.cursor() as cursor:
            cursor.execute(f'DROP OWNED BY "{ROLE}"')
            cursor.execute(f'DROP ROLE "{ROLE}"')


def _connect(user: str) -> None:
    connection.close()
    connection.settings_dict["USER"] = user


def refused(statement: str) -> str:
    """The SQLSTATE with which it was refused."""
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    return str(getattr(refusal.value.__cause__, "sqlstate", ""))


def test_the_product_works_under_it_to_the_erasure_of_what_it_wrote(people: dict[str, Any], role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user, current_user")
        assert cursor.fetchone() == (role, role)

    run = house.lived(people["zoe"], people["sam"])
    keeping.keep()
    erasure = house.erased(people, run=run)
    keeping.keep()

    assert erasure.status == "applied"
    assert house.tables_holding(house.CANARY) == {}
    assert journal.verify().is_good


@pytest.mark.parametrize("table", ["audit_event", "audit_leaf", "audit_node", "audit_checkpoint"])
def test_nothing_of_the_journal_can_be_rewritten(role: str, table: str) -> None:
    column = {"audit_event": "line", "audit_leaf": "hash", "audit_node": "hash", "audit_checkpoint": "note"}[table]
    for statement in (
        f"UPDATE {table} SET {column} = 'forged'",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"DROP TABLE {table}",
        f"CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {table}_append_only()",
    ):
        assert refused(statement) == "42501", statement
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT UPDATE ON {table} TO {ROLE}")  # PostgreSQL warns, and grants nothing
    assert refused(f"UPDATE {table} SET {column} = 'forged'") == "42501"
    assert triggers.faults() == []


def test_neither_triggers_nor_functions_are_got_round(role: str) -> None:
    assert refused("SET session_replication_role = replica") == "42501"
    replaced = "CREATE OR REPLACE FUNCTION audit_event_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'"
    assert refused(replaced) == "42501"
    assert refused("CREATE TABLE mine (id int)") == "42501"
    assert refused("DELETE FROM django_migrations") == "42501"


def test_a_payload_is_emptied_by_column_and_nothing_else_of_it(people: dict[str, Any], role: str) -> None:
    house.lived(people["zoe"], people["sam"])

    assert refused("UPDATE audit_payload SET stream = 'other'") == "42501"
    assert refused("UPDATE audit_payload SET body = 'rewritten'") == "23000"  # granted, and refused by the trigger
    assert refused("DELETE FROM audit_payload") == "42501"
    assert Payload.objects.exists()
    assert Event.objects.exists()


def test_the_check_is_silent_for_it(role: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("aegis", "database-role", "check")

    assert f"{role} reads and inserts" in capsys.readouterr().out


def test_the_check_names_what_the_owner_may(db: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("aegis", "database-role", "check")

    assert ended.value.code == 1
    assert "owns audit_event" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("grant", "fault"),
    [
        ("GRANT UPDATE ON audit_event TO", "has UPDATE on audit_event"),
        ("GRANT DELETE ON audit_leaf TO", "has DELETE on audit_leaf"),
        ("GRANT TRUNCATE ON audit_checkpoint TO", "has TRUNCATE on audit_checkpoint"),
        ("GRANT UPDATE (stream) ON audit_payload TO", "may update stream of audit_payload"),
        ("GRANT pg_write_all_data TO", "is a member of pg_write_all_data"),
    ],
)
def test_the_check_finds_a_grant_too_many_and_apply_takes_it_back(owner: str, role: str, grant: str, fault: str) -> None:
    _connect(owner)
    with connection.cursor() as cursor:
        cursor.execute(f'{grant} "{ROLE}"')
    _connect(ROLE)

    assert f"{ROLE} {fault}" in list(database_role.faults())

    _connect(owner)
    database_role.apply(ROLE)
    _connect(ROLE)
    assert list(database_role.faults()) == []


def test_a_name_that_is_none_is_refused(db: None) -> None:
    with pytest.raises(Invalid):
        database_role.statements('x"; DROP TABLE audit_event; --')
