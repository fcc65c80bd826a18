"""The built-in system of record: read, and compare-and-set inside the commit of the effect that wants it.

The lock order puts records after runs and requests; a caller that changes several takes them in (type, key) order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import connection, transaction

from aegis.core import canonical
from aegis.core.bulk import as_stored
from aegis.core.canonical import Json
from orchestration.records.models import RecordVersion


class Stored(NamedTuple):
    """A record as it is. Versions count from 1."""

    version: int
    body: dict[str, Json]


def read(type_: str, key: str) -> Stored | None:
    """The record's version and body; None if there is none. One query, no lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version, body FROM orchestration_record WHERE type = %s AND key = %s", [type_, key])
        row = cursor.fetchone()
    return None if row is None else Stored(row[0], canonical.parse(row[1]))


def read_version(type_: str, key: str, version: int) -> dict[str, Json] | None:
    """The body as it was at a version: what a compensation restores."""
    row = (
        RecordVersion.objects.filter(record__type=type_, record__key=key, version=version)
        .values_list("body", flat=True)
        .first()
    )
    return None if row is None else canonical.parse(row)


def version_of_effect(effect_key: str) -> int | None:
    """The version an effect made; None if it never happened."""
    return RecordVersion.objects.filter(effect_key=effect_key).values_list("version", flat=True).first()


def compare_and_set(
    type_: str,
    key: str,
    *,
    expected_version: int,
    body: bytes,
    effect_key: str,
    run_id: UUID,
    at: datetime,
) -> bool:
    """Make the next version, if the record still stands at `expected_version` (0: it does not exist).

    False: somebody else was faster, and nothing was written; the caller tells it as a conflict. An effect key makes one version
    ever: used again it is a fault of the caller, refused by the database, and takes the whole transaction down with it.

    Args:
        body: canonical JSON of the object, the very bytes that the effect's event committed to.

    Raises:
        IntegrityError: `effect_key` made a version before.
        TransactionManagementError: called outside a transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A record changes inside the transaction that records why")
    record_id = (
        _created(type_, key, body.decode(), at)
        if expected_version == 0
        else _moved(type_, key, expected_version, body.decode(), at)
    )
    if record_id is None:
        return False
    _insert_version(record_id, expected_version + 1, body.decode(), effect_key, run_id, at)
    return True


# Plain SQL from here: every local effect passes, and the ORM takes ten times as long to build these statements as SQLite to run
# them (148 us of 200 per step before, docs/adr/0013).


def _created(type_: str, key: str, text: str, at: datetime) -> Any:
    # Two creators may both come here. The second insert waits for the first one's commit and then does nothing, which a plain
    # INSERT would answer with an error that dooms the transaction on PostgreSQL.
    return _written(
        "INSERT INTO orchestration_record (id, type, key, version, body, updated_at) VALUES (%s, %s, %s, 1, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING id",
        [as_stored(uuid4()), type_, key, text, as_stored(at)],
    )


def _moved(type_: str, key: str, expected_version: int, text: str, at: datetime) -> Any:
    return _written(
        "UPDATE orchestration_record SET version = version + 1, body = %s, updated_at = %s"
        " WHERE type = %s AND key = %s AND version = %s RETURNING id",
        [text, as_stored(at), type_, key, expected_version],
    )


def _insert_version(record_id: Any, version: int, text: str, effect_key: str, run_id: UUID, at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orchestration_recordversion (record_id, version, body, effect_key, run_id, at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [record_id, version, text, effect_key, as_stored(run_id), as_stored(at)],
        )


def _written(sql: str, params: list[Any]) -> Any:
    """The id of the row that was written, as the database has it; None if there was none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    return row[0] if row else None
