"""The built-in system of record: read, and compare-and-set inside the commit of the effect that wants it.

The lock order puts records after runs and requests; a caller that changes several takes them in (type, key) order.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import connection, transaction

from aegis.core import canonical
from aegis.core.canonical import Json
from orchestration.records.models import Record, RecordVersion


class Stored(NamedTuple):
    """A record as it is. Versions count from 1."""

    version: int
    body: dict[str, Json]


def read(type_: str, key: str) -> Stored | None:
    """The record's version and body; None if there is none. One query, no lock."""
    row = Record.objects.filter(type=type_, key=key).values_list("version", "body").first()
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
    text = body.decode()
    version = expected_version + 1
    record_id = _created(type_, key, text, at) if expected_version == 0 else _moved(type_, key, expected_version, text, at)
    if record_id is None:
        return False
    RecordVersion.objects.create(record_id=record_id, version=version, body=text, effect_key=effect_key, run_id=run_id, at=at)
    return True


def _created(type_: str, key: str, text: str, at: datetime) -> UUID | None:
    # Two creators may both come here. The second insert waits for the first one's commit and then does nothing, which a plain
    # INSERT would answer with an error that dooms the transaction on PostgreSQL.
    row = Record(id=uuid4(), type=type_, key=key, version=1, body=text, updated_at=at)
    Record.objects.bulk_create([row], ignore_conflicts=True)
    return row.id if Record.objects.filter(id=row.id).exists() else None


def _moved(type_: str, key: str, expected_version: int, text: str, at: datetime) -> UUID | None:
    won = Record.objects.filter(type=type_, key=key, version=expected_version).update(
        version=expected_version + 1, body=text, updated_at=at
    )
    return Record.objects.values_list("id", flat=True).get(type=type_, key=key) if won else None
