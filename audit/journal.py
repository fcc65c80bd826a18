"""The public verbs of the journal. Nothing else inserts into its tables; nothing at all updates or deletes there.

Appending happens inside the caller's transaction, together with the change it records: both or neither.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from django.db import connection, transaction

from aegis.core import clock
from aegis.core.bulk import Rows, Type
from audit import chain
from audit.chain import Line
from audit.drafts import Context, Draft, Head
from audit.models import Event, Payload, Stream

if TYPE_CHECKING:
    from audit.verify import Report


# Every column but `id`, in the order of the model. A new one must be added to `_event_row` too (tests/audit/test_append.py).
_EVENT_TYPES: dict[str, Type] = {"seq": "int", "duration_ms": "int", "at": "timestamptz", "run_id": "uuid"}
_EVENTS = Rows(
    {
        str(field.column): _EVENT_TYPES.get(str(field.column), "text")
        for field in Event._meta.concrete_fields
        if not field.primary_key
    }
)
_PAYLOADS = Rows({"stream": "text", "seq": "int", "name": "text", "body": "text", "salt": "text"})


class HasHead(Protocol):
    """A row that carries the head of its own stream: a run, a request, a review item, `audit.Stream`."""

    seq: Any
    head: Any


def append(context: Context, drafts: Sequence[Draft], at: datetime | None = None) -> list[Line]:
    """Append to a stream whose head is a row of `audit.Stream` (configuration, access, system).

    Locks that row until the transaction ends (lock order: streams come last, by name).

    Args:
        at: the moment recorded; the database's clock if None.

    Raises:
        TransactionManagementError: called outside a transaction.
        UnknownEventType, UndeclaredContent, Malformed, TooLarge: see `chain.seal`.
    """
    return extend(lock(context.stream), context, drafts, at)


def lock(stream: str) -> Stream:
    """The row of a stream, locked until the transaction ends: for verbs that look before they append. Made if there is none."""
    _require_transaction()
    # SQLite knows no row locks and needs none: an IMMEDIATE transaction holds the writer lock already.
    row = Stream.objects.select_for_update().filter(name=stream).first()
    if row is None:
        # Two first writers may both come here: the second insert waits for the first one's commit, then does nothing.
        Stream.objects.bulk_create([Stream(name=stream)], ignore_conflicts=True)
        row = Stream.objects.select_for_update().get(name=stream)
    return row


def extend(row: Stream, context: Context, drafts: Sequence[Draft], at: datetime | None = None) -> list[Line]:
    """Append behind a stream that `lock` returned, and save its head."""
    lines = append_to(row, context, drafts, at)
    row.save(update_fields=["seq", "head"])
    return lines


def append_to(row: HasHead, context: Context, drafts: Sequence[Draft], at: datetime | None = None) -> list[Line]:
    """Append to the stream whose head is on `row`. The caller holds the row's lock and saves `seq` and `head` afterwards."""
    _require_transaction()
    lines, head = chain.seal(context, Head(row.seq, row.head), drafts, at or clock.db_now(), new_salts())
    write(lines)
    row.seq, row.head = head.seq, head.leaf
    return lines


def write(lines: Sequence[Line]) -> None:
    """Insert sealed lines of any number of streams. The caller saves the heads. `UNIQUE(stream, seq)` refuses a lost race.

    The engine's hot path, so plain SQL: two statements, whatever the number of lines (see `aegis.core.bulk`).
    """
    _require_transaction()
    if not lines:
        return
    _insert("audit_event", _EVENTS, [_event_row(line) for line in lines])
    if payloads := [(line.stream, line.seq, name, body.decode(), salt) for line in lines for name, body, salt in line.payloads]:
        _insert("audit_payload", _PAYLOADS, payloads)


def read(stream: str, *, after: int = 0) -> list[Event]:
    """The events of one stream, in order, from `after` (exclusive)."""
    return list(Event.objects.filter(stream=stream, seq__gt=after).order_by("seq"))


def payload(stream: str, seq: int, name: str) -> bytes | None:
    """The bytes exactly as committed; None if there is no such payload or it was erased."""
    row = (
        Payload.objects.filter(stream=stream, seq=seq, name=name, erased_at__isnull=True).values_list("body", flat=True).first()
    )
    return None if row is None else row.encode()


def payloads(stream: str, places: Collection[int] | None = None) -> dict[tuple[int, str], bytes]:
    """(seq, name) -> bytes of every payload of a stream that was not erased. One query.

    Args:
        places: of these events alone, by seq; None for all.
    """
    asked = Payload.objects.filter(stream=stream, erased_at__isnull=True)
    rows = (asked if places is None else asked.filter(seq__in=places)).values_list("seq", "name", "body")
    return {(seq, name): body.encode() for seq, name, body in rows}


def verify(stream: str | None = None) -> Report:
    """Check the record; see `audit.verify`."""
    from audit.verify import verify as run

    return run(stream)


def new_salts() -> Iterator[str]:
    """Endless fresh salts, 16 random bytes each, as hex.

    Fetched in bunches: asking the system for random bytes lets go of the interpreter's lock, and with a thousand calls in
    flight it takes milliseconds to come by again.
    """
    while True:
        try:
            yield _bunch.pop()
        except IndexError:
            fresh = secrets.token_hex(16 * 256)
            _bunch.extend(fresh[at : at + 32] for at in range(0, len(fresh), 32))


_bunch: list[str] = []  # each is taken once: a pop is one step for all threads
os.register_at_fork(after_in_child=_bunch.clear)  # the parent's


def _insert(table: str, columns: Rows, rows: Sequence[Sequence[Any]]) -> None:
    names = ", ".join(columns.columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {columns.source()}", [columns.param(rows)])


def _event_row(line: Line) -> tuple[Any, ...]:
    """The values of one event in the order of `_EVENTS`."""
    draft, context = line.draft, line.context
    return (
        line.stream,
        line.seq,
        line.text,
        line.leaf,
        draft.type,
        line.at,
        draft.actor.kind,
        draft.actor.ref,
        context.scope,
        context.scope_id,
        context.run_id,
        draft.step,
        draft.agent,
        draft.capability,
        draft.outcome,
        draft.duration_ms,
    )


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("The journal is written inside the transaction of what it records")
