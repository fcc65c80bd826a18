"""A database that may not grow: 429 before, 503 when it happens, and over as soon as there is room (HAZARDS F20)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg.errors
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, ProgrammingError, connection

from aegis.core import db
from aegis.core.errors import StorageFull
from audit import journal
from orchestration.engine import pressure, space
from orchestration.engine.models import Run
from tests.submission.conftest import batch, items

CYCLES = 3


def submit(client: Any, cycle: int, number: int) -> Any:
    return batch(client, items(50, first=10_000 * cycle + 50 * number), key=f"c{cycle}-{number}")


def pragma(name: str, value: int | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}" if value is None else f"PRAGMA {name} = {value}")
        found: int = cursor.fetchone()[0]
    return found


@pytest.fixture
def pages() -> Iterator[Any]:
    """Bounds the database to so many pages beyond those it has; None gives it room again."""
    before = pragma("max_page_count")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE filler (x BLOB)")
        while pragma("freelist_count"):  # pages of earlier tests are free, and would be room beyond the bound
            cursor.execute("INSERT INTO filler VALUES (zeroblob(65536))")

    def bound(beyond: int | None) -> None:
        pragma("max_page_count", before if beyond is None else pragma("page_count") + beyond)

    yield bound
    pragma("max_page_count", before)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE filler")


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_full_database_answers_503_loses_nothing_and_goes_on_by_itself(client, pages, settings):
    settings.MIN_FREE_BYTES = 0  # nobody warned
    promised = 0
    for cycle in range(CYCLES):
        pages(40)
        answers = [submit(client, cycle, number) for number in range(20)]
        taken = [answer for answer in answers if answer.status_code == 201]
        promised += 50 * len(taken)

        assert {answer.status_code for answer in answers} == {201, 503}
        assert Run.objects.count() == promised
        full = next(answer for answer in answers if answer.status_code == 503)
        assert json.loads(full.content)["code"] == "storage_full"
        assert full["Retry-After"] == "10"
        assert client.get("/api/v1/runs").status_code == 200
        assert journal.verify().is_good

        pages(None)
        again = [submit(client, cycle, number) for number in range(20)]
        was_taken = [answer.status_code == 201 for answer in answers]  # a later one may fit where an earlier one did not
        assert [answer.status_code for answer in again] == [200 if taken else 201 for taken in was_taken]
        promised += 50 * was_taken.count(False)
    assert Run.objects.count() == promised
    assert journal.verify().is_good


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_before_it_is_full_new_work_is_held_back_and_what_runs_may_end(client, pages, settings):
    pages(120)
    settings.MIN_FREE_BYTES = space.free_bytes() - 20 * pragma("page_size")  # pages of earlier tests are free, too
    refused = None
    for number in range(200):
        pressure.forget()  # a second later
        answer = batch(client, items(10, first=10 * number))
        if answer.status_code != 201:
            refused = answer
            break

    assert refused is not None
    assert (refused.status_code, json.loads(refused.content)["code"]) == (429, "space_low")
    assert space.free_bytes() > 80 * pragma("page_size"), "what is under way needs room to end"
    pages(None)
    pressure.forget()
    assert batch(client, items(10, first=9_000)).status_code == 201


@pytest.mark.django_db
def test_space_left_is_the_least_of_what_is_known(settings, monkeypatch):
    settings.DATABASE_MAX_BYTES = 1
    monkeypatch.setattr(space, "_size", (float("-inf"), None))

    assert space.of_disk("/") > 0
    assert space.of_disk("/no/such/folder") is None
    found = space.free_bytes()
    assert found is not None
    if connection.vendor == "postgresql":
        assert found == 0  # it is larger than it may be
        settings.DATABASE_MAX_BYTES = 0
        monkeypatch.setattr(space, "_size", (float("-inf"), None))
        monkeypatch.setattr(space, "_LOCAL", set())
        assert space.free_bytes() is None


def caused(error: Exception, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (caused(OperationalError("full"), psycopg.errors.DiskFull()), "storage_full"),
        (caused(OperationalError("bye"), psycopg.errors.AdminShutdown()), "unavailable"),
        (caused(OperationalError("starting up"), psycopg.errors.CannotConnectNow()), "unavailable"),
        (caused(OperationalError("too many"), psycopg.errors.TooManyConnections()), "unavailable"),
        (caused(OperationalError("refused"), psycopg.OperationalError()), "unavailable"),
        (caused(InterfaceError("the connection is closed"), None), "unavailable"),
        (caused(OperationalError("no"), psycopg.errors.InvalidPassword()), None),
        (IntegrityError("duplicate"), None),
        (ProgrammingError("no such table"), None),
        (ValueError("locked"), None),
    ],
)
def test_what_passes_by_itself_is_unavailable_and_the_rest_is_a_fault(error, answer, monkeypatch):
    monkeypatch.setattr(db, "connection", type("PostgreSQL", (), {"vendor": "postgresql"}))
    found = db.as_unavailable(error)

    assert (found.code if found else None) == answer
    assert not isinstance(found, StorageFull) or answer == "storage_full"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("database is locked", "unavailable"),
        ("database table is locked", "unavailable"),
        ("disk I/O error", "unavailable"),
        ("database or disk is full", "storage_full"),
        ("no such table: x", None),
        ("database disk image is malformed", None),
    ],
)
def test_the_same_for_sqlite(text, answer, monkeypatch):
    monkeypatch.setattr(db, "connection", type("SQLite", (), {"vendor": "sqlite"}))
    found = db.as_unavailable(OperationalError(text))

    assert (found.code if found else None) == answer


@pytest.mark.parametrize(("text", "is_sure"), [("database is locked", True), ("disk I/O error", False)])
def test_only_a_refused_lock_is_told_as_nothing_changed(text, is_sure, monkeypatch):
    monkeypatch.setattr(db, "connection", type("SQLite", (), {"vendor": "sqlite"}))

    assert ("nothing was changed" in str(db.as_unavailable(OperationalError(text)))) == is_sure
