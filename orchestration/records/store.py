"""The built-in system of record: read, and compare-and-set inside the commit of the effect that wants it.

The lock order puts records after runs and requests; a caller that changes several takes them in (type, key) order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import connection, transaction

from aegis.core import canonical
from aegis.core.bulk import Rows, as_stored, read_uuid
from aegis.core.canonical import Json
from orchestration.records.models import RecordVersion


class Stored(NamedTuple):
    """A record as it is. Versions count from 1."""

    version: int
    body: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Change:
    """The next version of one record.

    Attributes:
        expected_version: where the record must stand; 0: it does not exist.
        body: canonical JSON of the object, the very bytes that the effect's event committed to.
    """

    type: str
    key: str
    expected_version: int
    body: bytes
    effect_key: str
    run_id: UUID
    at: datetime


def read(type_: str, key: str) -> Stored | None:
    """The record's version and body; None if there is none. One query, no lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version, body FROM orchestration_record WHERE type = %s AND key = %s", [type_, key])
        row = cursor.fetchone()
    return None if row is None else Stored(row[0], canonical.parse(row[1]))


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
    """Make the next version of one record; see `compare_and_set_all`. False: nothing was written."""
    return compare_and_set_all([Change(type_, key, expected_version, body, effect_key, run_id, at)])


def compare_and_set_all(changes: Sequence[Change]) -> bool:
    """Make the next versions, if every record still stands at the version its change expects.

    False: somebody else was faster with one of them. With several changes others may be written by then, so the caller rolls
    back; with one, nothing was. An effect key makes one version ever: used again it is a fault of the caller, refused by the
    database, and takes the whole transaction down with it.

    Two statements for any number of new records, one more for each that exists. New ones come first, then the others, each by
    (type, key): the order in which everybody takes them.

    Raises:
        IntegrityError: an effect key made a version before.
        TransactionManagementError: called outside a transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A record changes inside the transaction that records why")
    made = _created([change for change in changes if change.expected_version == 0])
    if made is None:
        return False
    for change in sorted(changes, key=lambda change: (change.type, change.key, change.expected_version)):
        if change.expected_version:
            record_id = _moved(change)
            if record_id is None:
                return False
            made.append((record_id, change))
    _insert_versions(made)
    return True


# Plain SQL from here: every local effect passes, and the ORM takes ten times as long to build these statements as SQLite to run
# them (148 us of 200 per step before, docs/adr/0013).
_RECORDS = Rows({"id": "uuid", "type": "text", "key": "text", "body": "text", "updated_at": "timestamptz"})
_VERSIONS = Rows(
    {"record_id": "uuid", "version": "int", "body": "text", "effect_key": "text", "run_id": "uuid", "at": "timestamptz"}
)


def _created(changes: Sequence[Change]) -> list[tuple[UUID, Change]] | None:
    """The new records with their ids; None if one of them exists."""
    if not changes:
        return []
    made = [(uuid4(), change) for change in sorted(changes, key=lambda change: (change.type, change.key))]
    rows = [(record_id, change.type, change.key, change.body.decode(), change.at) for record_id, change in made]
    with connection.cursor() as cursor:
        # Two creators may both come here. The second insert waits for the first one's commit and then does nothing, which a
        # plain INSERT would answer with an error that dooms the transaction on PostgreSQL.
        cursor.execute(
            "INSERT INTO orchestration_record (id, type, key, version, body, updated_at)"
            f" SELECT id, type, key, 1, body, updated_at FROM {_RECORDS.source()} WHERE true"
            " ON CONFLICT DO NOTHING RETURNING id",
            [_RECORDS.param(rows)],
        )
        return made if len(cursor.fetchall()) == len(made) else None


def _moved(change: Change) -> UUID | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orchestration_record SET version = version + 1, body = %s, updated_at = %s"
            " WHERE type = %s AND key = %s AND version = %s RETURNING id",
            [change.body.decode(), as_stored(change.at), change.type, change.key, change.expected_version],
        )
        row = cursor.fetchone()
    return read_uuid(row[0]) if row else None


def _insert_versions(made: Sequence[tuple[UUID, Change]]) -> None:
    rows = [
        (record_id, change.expected_version + 1, change.body.decode(), change.effect_key, change.run_id, change.at)
        for record_id, change in made
    ]
    names = ", ".join(_VERSIONS.columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO orchestration_recordversion ({names}) SELECT {names} FROM {_VERSIONS.source()}",
            [_VERSIONS.param(rows)],
        )


def has_written(type_: str, key: str, run_id: UUID) -> bool:
    """Did an effect of this run make a version of the record?"""
    return RecordVersion.objects.filter(record__type=type_, record__key=key, run_id=run_id).exists()
