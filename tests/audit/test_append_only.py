"""No statement that comes through the application changes or removes an event, on either database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from aegis.identity.models import Area, User
from audit import checks, search, triggers
from audit.asking import Search
from audit.models import Event, Payload
from tests.audit.conftest import NOON
from tests.support.emptying import Emptying
from tests.support.following import caught_up
from tests.support.journal_guard import lifted

EVENT = (
    "INSERT INTO audit_event (id, stream, seq, line, leaf, type, at, actor_kind, actor_ref, scope, scope_id, step, agent,"
    " capability, outcome) "
)
VALUES = "VALUES (%s, %s, %s, 'forged', 'f', 't', '2026-01-01 00:00:00+00:00', 'user', '', 'system', '', '', '', '', '')"

on_sqlite = pytest.mark.sqlite  # it has INSERT OR REPLACE
on_postgres = pytest.mark.postgres  # it has TRUNCATE and ON CONFLICT DO UPDATE


@pytest.fixture
def recorded(note: Callable[..., Any]) -> Event:
    note(reason="because of the invoice")
    return Event.objects.get()


def refused(act: Callable[[], object]) -> bool:
    """The database refused it as append-only, and nothing changed."""
    before = (list(Event.objects.values_list()), list(Payload.objects.values_list()))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        act()
    return before == (list(Event.objects.values_list()), list(Payload.objects.values_list()))


def test_an_event_cannot_be_updated(recorded: Event) -> None:
    assert refused(lambda: Event.objects.update(outcome="done"))
    assert refused(lambda: Event.objects.filter(pk=recorded.pk).update(seq=F("seq") + 1))
    assert refused(lambda: recorded.save())


def test_an_event_cannot_be_updated_to_itself(recorded: Event, sql: Callable[..., None]) -> None:
    assert refused(lambda: sql("UPDATE audit_event SET line = line"))


def test_an_event_cannot_be_deleted(recorded: Event, sql: Callable[..., None]) -> None:
    assert refused(lambda: Event.objects.all().delete())
    assert refused(lambda: recorded.delete())
    assert refused(lambda: sql("DELETE FROM audit_event"))


@on_postgres
def test_tables_cannot_be_truncated(recorded: Event, sql: Callable[..., None]) -> None:
    assert refused(lambda: sql("TRUNCATE audit_event"))
    assert refused(lambda: sql("TRUNCATE audit_event, audit_payload CASCADE"))
    assert refused(lambda: sql("TRUNCATE audit_payload"))


@on_sqlite
def test_an_insert_cannot_replace_an_event(recorded: Event, sql: Callable[..., None]) -> None:
    for pragma in ("ON", "OFF"):  # with OFF the delete trigger would never hear of it
        sql(f"PRAGMA recursive_triggers={pragma}")
        assert refused(lambda: sql(EVENT.replace("INSERT", "INSERT OR REPLACE") + VALUES, recorded.pk, "new", 1))
        assert refused(lambda: sql(EVENT.replace("INSERT", "INSERT OR REPLACE") + VALUES, 10**6, recorded.stream, 1))
        assert refused(lambda: sql(EVENT.replace("INSERT", "REPLACE") + VALUES, 10**6, recorded.stream, 1))
    sql("PRAGMA recursive_triggers=ON")


def test_an_insert_cannot_update_an_event_on_conflict(recorded: Event, sql: Callable[..., None]) -> None:
    upsert = " ON CONFLICT (stream, seq) DO UPDATE SET line = 'forged'"

    assert refused(lambda: sql(EVENT + VALUES + upsert, 10**6, recorded.stream, 1))


@on_postgres
def test_the_triggers_hold_under_replica_role(recorded: Event, sql: Callable[..., None]) -> None:
    sql("SET LOCAL session_replication_role = replica")

    assert refused(lambda: sql("DELETE FROM audit_event"))
    assert refused(lambda: sql("UPDATE audit_event SET line = ''"))


def test_a_payload_can_be_emptied_once(recorded: Event) -> None:
    Payload.objects.update(body="", salt="", erased_at=NOON)

    payload = Payload.objects.get()
    assert (payload.body, payload.salt, payload.erased_at) == ("", "", NOON)
    assert refused(lambda: Payload.objects.update(erased_at=None))
    assert refused(lambda: Payload.objects.update(body="something else"))


@pytest.mark.parametrize(
    "change",
    [
        {"body": "rewritten"},
        {"body": "", "salt": ""},
        {"body": "", "erased_at": NOON},
        {"salt": "", "erased_at": NOON},
        {"erased_at": NOON},
        {"body": "", "salt": "", "erased_at": NOON, "name": "other"},
        {"body": "", "salt": "", "erased_at": NOON, "stream": "other"},
        {"body": "", "salt": "", "erased_at": NOON, "seq": 2},
    ],
)
def test_a_payload_cannot_be_changed_otherwise(recorded: Event, change: dict[str, Any]) -> None:
    assert refused(lambda: Payload.objects.update(**change))


def test_a_payload_row_cannot_be_deleted(recorded: Event) -> None:
    assert refused(lambda: Payload.objects.all().delete())


def test_start_up_check_is_silent_while_the_triggers_stand(db: None) -> None:
    assert checks.append_only_triggers_stand(databases=["default"]) == []


@pytest.mark.parametrize("number", range(6 if connection.vendor == "sqlite" else 4))  # three triggers a table, or two
def test_start_up_check_names_a_missing_trigger(db: None, sql: Callable[..., None], number: int) -> None:
    vendor = connection.vendor
    drops = [drop for guard in triggers.protected()[:2] for drop in triggers.dropping(guard, vendor) if "DROP TRIGGER" in drop]
    sql(drops[number])

    (error,) = checks.append_only_triggers_stand(databases=["default"])

    assert error.id == "aegis.E020"
    assert "is missing" in error.msg
    assert "journal protect" in str(error.hint)


def test_start_up_check_finds_a_trigger_that_refuses_nothing(db: None, sql: Callable[..., None]) -> None:
    if connection.vendor == "postgresql":
        sql("CREATE OR REPLACE FUNCTION audit_event_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    else:
        sql('DROP TRIGGER "audit_event_no_update"')
        sql('CREATE TRIGGER "audit_event_no_update" BEFORE UPDATE ON "audit_event" WHEN 0 BEGIN SELECT 1; END')

    assert any("was changed" in fault for fault in triggers.faults())


@on_postgres
@pytest.mark.parametrize("state", ["DISABLE TRIGGER", "ENABLE TRIGGER", "ENABLE REPLICA TRIGGER"])
def test_start_up_check_finds_a_trigger_that_is_not_always_on(db: None, sql: Callable[..., None], state: str) -> None:
    sql(f"ALTER TABLE audit_event {state} audit_event_append_only")

    assert triggers.faults() == ["audit_event: trigger audit_event_append_only is not enabled always"]


@on_sqlite
def test_a_trigger_that_feeds_the_search_is_missed_and_what_it_missed_is_made_good(
    note: Callable[..., Any], sql: Callable[..., None], quinn: User
) -> None:
    sql("DROP TRIGGER audit_indexed_added")
    note(reason="sesame")
    caught_up()
    assert triggers.faults() == ["audit_indexed: trigger audit_indexed_added is missing"]
    assert not search.find(Search(text="sesame", span="all"), quinn).hits

    triggers.restore()

    assert triggers.faults() == []
    assert len(search.find(Search(text="sesame", span="all"), quinn).hits) == 1


def test_protect_puts_triggers_back_and_says_so_in_the_journal(recorded: Event, sql: Callable[..., None], capsys: Any) -> None:
    for drop in triggers.dropping(triggers.protected()[0], connection.vendor):
        sql(drop)

    call_command("aegis", "journal", "protect")

    assert triggers.faults() == []
    assert refused(lambda: Event.objects.update(outcome="done"))
    assert Event.objects.order_by("-id")[0].type == "journal.protected"
    assert "repaired: " in capsys.readouterr().out


def test_the_migration_can_be_taken_back_and_made_again(recorded: Event) -> None:
    with lifted():
        assert triggers.faults()
        Event.objects.update(outcome="changed")
    assert triggers.faults() == []


@pytest.mark.django_db(transaction=True)
def test_the_harness_empties_the_journal_and_leaves_the_triggers_standing(note: Callable[..., Any]) -> None:
    emptying = Emptying()
    note()
    emptying.restore()

    assert not Event.objects.exists()
    assert triggers.faults() == []
    note()
    assert refused(lambda: Event.objects.all().delete())


@pytest.mark.django_db(transaction=True)
def test_the_harness_puts_back_the_rows_of_the_migrations() -> None:
    emptying = Emptying()
    before = (list(Area.objects.order_by("pk").values()), list(Permission.objects.order_by("pk").values()))
    Area.objects.filter(name="audit").delete()
    Area.objects.create(name="attic")
    Permission.objects.update(name="renamed")
    emptying.restore()

    assert before == (list(Area.objects.order_by("pk").values()), list(Permission.objects.order_by("pk").values()))
