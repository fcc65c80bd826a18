from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from aegis.core.actors import SYSTEM, agent_actor
from aegis.core.db import in_transaction
from audit import chain, journal
from audit.drafts import Context, Draft, Head
from audit.models import Event, Payload, Stream
from tests.audit.conftest import NOON, USER

CONTEXT = Context(stream="config:Probe", scope="system")


def drafts(count: int = 1, reason: bytes = b"") -> list[Draft]:
    return [Draft("probe.noted", SYSTEM, {"code": "c"}, {"reason": reason} if reason else {}) for _ in range(count)]


def test_a_stream_grows_without_gaps(note: Callable[..., Any]) -> None:
    note(count=2)
    note(count=3)

    assert [event.seq for event in journal.read("config:Probe")] == [1, 2, 3, 4, 5]
    assert Stream.objects.get(name="config:Probe").seq == 5
    assert Stream.objects.get(name="config:Probe").head == journal.read("config:Probe")[-1].leaf


def test_columns_say_what_the_line_says(db: None) -> None:
    with transaction.atomic():
        (line,) = journal.append(CONTEXT, drafts(), NOON)

    event = Event.objects.get()
    content = chain.read_line(event.line)
    assert event.line == line.text
    assert (event.type, event.scope, event.seq, event.at) == (content["type"], content["scope"], content["seq"], NOON)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_appended_outside_a_transaction() -> None:
    with pytest.raises(TransactionManagementError):
        journal.append(CONTEXT, drafts())

    assert not Stream.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_fails_leaves_neither_line_nor_head() -> None:
    def half_a_transition() -> None:
        with transaction.atomic():
            journal.append(CONTEXT, drafts(3, b"why"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_a_transition()

    assert not Event.objects.exists()
    assert not Payload.objects.exists()
    assert not Stream.objects.exists()


def test_append_to_a_row_that_keeps_its_own_head(db: None) -> None:
    run = SimpleNamespace(seq=0, head="0" * 64)
    with transaction.atomic():
        journal.append_to(run, Context(stream="run:1", scope="workflow"), drafts(2))
        journal.append_to(run, Context(stream="run:1", scope="workflow"), drafts(1))

    assert run.seq == 3
    assert run.head == journal.read("run:1")[-1].leaf
    assert not Stream.objects.filter(name="run:1").exists()


def test_writing_many_lines_takes_two_statements(db: None) -> None:
    lines = []
    for number in range(40):
        context = Context(stream=f"run:{number}", scope="workflow", run_id=uuid4(), scope_id=str(uuid4()))
        lines += chain.seal(context, Head(), drafts(3, b"why"), NOON, journal.new_salts())[0]
    statements: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(watch):
        journal.write(lines)

    assert len(statements) == 2
    assert Event.objects.count() == Payload.objects.count() == 120


def test_every_column_is_written_from_the_line(db: None) -> None:
    context = Context(stream="run:1", scope="workflow", scope_id=str(uuid4()), run_id=uuid4(), subject="s", fence=3)
    draft = Draft(
        "probe.noted", agent_actor(USER), {"code": "c"}, step="st", agent="ag", capability="c.d", outcome="out", duration_ms=7
    )
    with transaction.atomic():
        journal.write(chain.seal(context, Head(), [draft], NOON, journal.new_salts())[0])

    event = Event.objects.get()
    empty = [field.name for field in Event._meta.concrete_fields if getattr(event, field.name) in (None, "", 0)]
    assert empty == []
    assert event.run_id == context.run_id
    assert (event.step, event.agent, event.capability, event.outcome, event.duration_ms) == ("st", "ag", "c.d", "out", 7)


def test_writing_nothing_asks_the_database_nothing(db: None) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        journal.write([])

    assert len(queries) == 0


def test_two_lines_can_never_take_one_place(db: None) -> None:
    lines, _ = chain.seal(CONTEXT, Head(), drafts(), NOON, journal.new_salts())
    with transaction.atomic():
        journal.write(lines)

    with pytest.raises(IntegrityError), transaction.atomic():
        journal.write(lines)


def test_payloads_come_back_byte_for_byte(db: None) -> None:
    body = '{"text":"a\\u0000b – “ü”\\n","n":1.50}'.encode()
    with transaction.atomic():
        journal.append(CONTEXT, drafts(1, body))

    assert journal.payload("config:Probe", 1, "reason") == body
    assert journal.payloads("config:Probe") == {(1, "reason"): body}
    assert journal.payload("config:Probe", 1, "document") is None


def test_an_erased_payload_is_not_given_out(note: Callable[..., Any]) -> None:
    note(reason="secret")
    Payload.objects.update(body="", salt="", erased_at=NOON)

    assert journal.payload("config:Probe", 1, "reason") is None
    assert journal.payloads("config:Probe") == {}


@pytest.mark.django_db(transaction=True)
def test_writers_of_one_stream_queue_even_for_its_first_line() -> None:
    errors: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(10):
                in_transaction(lambda: journal.append(CONTEXT, drafts(2, b"why")))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert [event.seq for event in journal.read("config:Probe")] == list(range(1, 81))
    assert journal.verify().is_good
