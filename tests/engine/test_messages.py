"""Messages on the real database: kept, found, delivered once; late ones, wrong ones, repeated ones; and what a crash leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core import clock
from aegis.core.errors import Forbidden, IdempotencyMismatch, Invalid, NotFound
from audit import journal
from audit.models import Event
from orchestration.engine import verbs, worker
from orchestration.engine.driver import Driver
from orchestration.engine.messages import delivery
from orchestration.engine.messages.models import MessageWait, SentMessage
from orchestration.engine.messages.verbs import KEPT
from orchestration.engine.models import Run
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

WAIT = {"id": "paid", "wait": {"message": "payment", "key": "input.id", "output": "request@1", "within": "2d"}}
PAID = {"id": "p-1", "text": "paid"}


@pytest.fixture
def founded(area_rows, person):
    from aegis.identity import people

    person("ada", "Admins")
    sam = person("sam", "Support leads")
    house.bootstrap(house.documents(steps=[WAIT, {"id": "end", "finish": "done"}]))
    assert people
    return sam


@pytest.fixture
def waiting(founded):
    run = house.submit(founded)
    house.drive(run)
    assert run.status == "waiting_message"
    return run


def send(person, payload=PAID, *, workflow="notes", key="n-1", name="payment", idempotency_key=None):
    actor = house.actor_for(person)
    return verbs.send_message(workflow, name, key, payload, person=person, actor=actor, idempotency_key=idempotency_key)


def sound() -> None:
    """The journal agrees with every row it speaks of, folded states included."""
    report = journal.verify()
    assert report.is_good, report.problems


def test_a_message_reaches_the_run_that_waits_for_it(founded, waiting):
    sent = send(founded).message
    house.drive(waiting)

    assert (sent.status, sent.run_id) == ("delivered", waiting.pk)
    assert waiting.status == "completed"
    assert house.types_of(waiting) == ["run.submitted", "wait.began", "message.received", "run.completed"]
    assert not MessageWait.objects.exists()
    sound()


def test_a_message_before_the_wait_is_kept_and_found_when_it_begins(founded):
    sent = send(founded).message
    assert sent.status == "kept"
    run = house.submit(founded)
    house.drive(run)
    house.drive(run)

    sent.refresh_from_db()
    assert (sent.status, sent.run_id, run.status) == ("delivered", run.pk, "completed")
    sound()


@pytest.mark.parametrize("changes", [{"key": "n-2"}, {"name": "refund"}])
def test_a_message_about_something_else_is_not_for_this_run(founded, waiting, changes):
    sent = send(founded, **changes).message
    house.drive(waiting)

    assert (sent.status, waiting.status) == ("kept", "waiting_message")


def test_of_two_runs_the_one_that_has_waited_longest_gets_it(founded, waiting):
    second = house.submit(founded)
    house.drive(second)
    send(founded)
    house.drive(waiting, second)

    assert (waiting.status, second.status) == ("completed", "waiting_message")
    send(founded)
    house.drive(second)
    assert second.status == "completed"


def test_a_second_message_stays_for_the_next_who_waits(founded, waiting):
    send(founded)
    assert send(founded).message.status == "kept"
    house.drive(waiting)

    assert house.types_of(waiting).count("message.received") == 1


def test_a_payload_that_breaks_the_contract_is_refused_with_pointers(founded, waiting):
    with pytest.raises(verbs.MessageRefused) as caught:
        send(founded, {"id": 7})
    house.drive(waiting)

    assert [(fault.where, caught.value.http_status) for fault in caught.value.faults] == [("/payload/id", 422)]
    assert not SentMessage.objects.exists()
    assert waiting.status == "waiting_message"
    assert Event.objects.filter(type="message.refused").count() == 1


def test_it_is_refused_too_while_nobody_waits_but_the_workflow_says_what_it_takes(founded):
    with pytest.raises(verbs.MessageRefused):
        send(founded, {"id": 7})


def test_a_wait_inside_a_block_is_told_and_held_to_its_contract_as_any_other(area_rows, person):
    person("ada", "Admins")
    sam = person("sam", "Support leads")
    house.bootstrap(house.documents(steps=[{"id": "all", "parallel": {"money": {"steps": [WAIT]}}}]))
    with pytest.raises(verbs.MessageRefused):  # nobody waits yet: the workflow says what it takes
        send(sam, {"id": 7})
    run = house.submit(sam)
    Driver().drive()

    with pytest.raises(verbs.MessageRefused):  # the child waits
        send(sam, {"id": 7})
    assert send(sam).message.status == "delivered"
    Driver().drive()

    run.refresh_from_db()
    assert run.status == "completed"
    sound()


def test_one_found_wrong_when_it_is_read_is_a_dead_letter_and_the_wait_goes_on(founded):
    sent = send(founded, {"id": 7}, workflow=None).message  # nobody waits, and no workflow is named: kept unseen
    run = house.submit(founded)
    house.drive(run)
    house.drive(run)

    sent.refresh_from_db()
    assert sent.status == "delivered"
    assert house.types_of(run)[-1] == "contract.violated"
    assert (run.status, MessageWait.objects.filter(run=run).exists()) == ("waiting_message", True)
    send(founded)
    house.drive(run)
    assert run.status == "completed"
    sound()


def test_the_same_key_is_the_same_message(founded, waiting):
    first, again = send(founded, idempotency_key="k-1"), send(founded, idempotency_key="k-1")

    assert (first.is_new, again.is_new, first.message.pk) == (True, False, again.message.pk)
    with pytest.raises(IdempotencyMismatch):
        send(founded, {"id": "other"}, idempotency_key="k-1")


def test_who_may_not_start_runs_may_send_none_a_message(founded, waiting, person):
    outsider = person("olivia", "Others")

    with pytest.raises(NotFound):
        send(outsider)
    with pytest.raises(Forbidden):
        send(outsider, workflow=None)


def test_a_message_to_any_workflow_reaches_only_those_its_sender_may_start(founded, waiting, person):
    olivia = person("olivia", "Others")
    SentMessage.objects.create(
        name="payment", key="n-1", sender=olivia, auth="key", digest="d", sent_at=clock.now(), ends_at=clock.now() + KEPT
    )  # kept from a time when she might
    delivery.deliver_due()

    assert SentMessage.objects.get().status == "kept"


def test_a_name_or_key_that_could_never_be_waited_for_is_refused(founded):
    for changes in ({"name": "Payment!"}, {"key": ""}, {"key": "x" * 201}):
        with pytest.raises(Invalid):
            send(founded, **changes)


def test_a_message_that_nobody_waited_for_ends_on_record(founded):
    sent = send(founded).message
    SentMessage.objects.update(ends_at=clock.now() - timedelta(seconds=1))
    worker.housekeep()

    sent.refresh_from_db()
    assert sent.status == "expired"
    assert Event.objects.filter(stream=sent.stream).order_by("seq").last().type == "message.expired"
    run = house.submit(founded)
    house.drive(run)
    assert run.status == "waiting_message"
    sound()


def test_what_missed_each_other_is_brought_together_by_the_sweep(founded, waiting, monkeypatch):
    """As when the sender's process dies between keeping the message and delivering it."""
    monkeypatch.setattr(delivery, "deliver", lambda message: False)
    assert send(founded).message.status == "kept"

    worker.housekeep()
    house.drive(waiting)
    assert waiting.status == "completed"


def test_a_cancelled_run_waits_for_nothing(founded, waiting):
    verbs.cancel_run(waiting.pk, person=founded, actor=house.actor_for(founded), reason="not needed")
    house.drive(waiting)

    assert not MessageWait.objects.exists()
    assert send(founded).message.status == "kept"


def test_a_message_that_came_before_its_limit_was_recorded_counts(founded, waiting, monkeypatch):
    """The worker has read the inbox and found the limit passed; the message is committed before its transaction."""
    from orchestration.engine import driver

    Run.objects.update(due_at=clock.now() - timedelta(seconds=1))
    real, told = driver.commit, []

    def commit(batch):
        if not told:
            told.append(send(founded))
        return real(batch)

    monkeypatch.setattr(driver, "commit", commit)
    later = clock.db_now() + timedelta(days=3)
    monkeypatch.setattr("orchestration.engine.world.clock.db_now", lambda: later)
    house.drive(waiting)

    assert told[0].message.status == "delivered"
    assert waiting.status == "completed"
    assert "deadline.passed" not in house.types_of(waiting)
    monkeypatch.undo()
    sound()


def test_without_a_message_the_limit_passes(founded, waiting, monkeypatch):
    later = clock.db_now() + timedelta(days=3)
    Run.objects.update(due_at=clock.now() - timedelta(seconds=1))
    monkeypatch.setattr("orchestration.engine.world.clock.db_now", lambda: later)
    house.drive(waiting)

    assert house.types_of(waiting)[-2:] == ["deadline.passed", "review.opened"]
    assert not MessageWait.objects.exists()


def test_a_delivery_that_dies_half_way_is_made_anew(founded, waiting, monkeypatch):
    """Nothing of it stands: the message is kept, the wait is there, and the next look brings them together."""
    from orchestration.engine import inbox

    def die(*args, **kwargs):
        raise RuntimeError("the worker is killed here")

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "post", die)
        with pytest.raises(RuntimeError):
            send(founded)
    assert SentMessage.objects.get().status == "kept"
    assert MessageWait.objects.filter(run=waiting).exists()

    worker.housekeep()
    house.drive(waiting)
    assert waiting.status == "completed"
    sound()


def test_halts_stop_the_clocks_of_what_they_cover(founded, waiting):
    """Two halts that overlap count once; a halt of another workflow does not count."""
    from orchestration.engine.guards import freezing
    from orchestration.engine.guards.models import Halt

    def hour(number):
        return clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=12 - number)

    def halt(scope, begin, end, target=""):
        status = "lifted" if end else "standing"
        Halt.objects.create(
            scope=scope, target=target, status=status, placed_at=hour(begin), placed_by="x", place="x/1",
            resumed_at=hour(end) if end else None,
        )  # fmt: skip

    halt("everything", 1, 3)
    halt("workflow", 2, 4, str(waiting.workflow_id))
    halt("workflow", 4, 9, "00000000-0000-0000-0000-000000000001")
    stood = freezing.stood([str(waiting.workflow_id)], "", hour(0), hour(10))
    assert (stood.seconds, stood.is_standing) == (3 * 3600, False)
    assert (
        freezing.stood([str(waiting.workflow_id)], "", hour(2), hour(10)).seconds == 2 * 3600
    )  # only what came after it was set
    halt("agent", 6, None, "00000000-0000-0000-0000-000000000002")
    stood = freezing.stood([str(waiting.workflow_id)], "00000000-0000-0000-0000-000000000002", hour(5), hour(10))
    assert (stood.seconds, stood.is_standing) == (4 * 3600, True)


def test_a_limit_that_passed_during_a_halt_passes_later(founded, waiting, monkeypatch):
    from orchestration.engine.guards.models import Halt

    began = clock.db_now()
    Halt.objects.create(
        scope="everything", status="lifted", placed_at=began + timedelta(days=1), resumed_at=began + timedelta(days=2),
        placed_by="x", place="x/1",
    )  # fmt: skip

    def look(days):
        moment = began + timedelta(days=days)
        Run.objects.filter(pk=waiting.pk).update(due_at=clock.now() - timedelta(seconds=1))
        with monkeypatch.context() as patched:
            patched.setattr("orchestration.engine.world.clock.db_now", lambda: moment)
            house.drive(waiting)
        return house.types_of(waiting)[-1]

    assert look(2.5) == "deadline.moved"
    assert waiting.status == "waiting_message"
    assert look(3.5) == "review.opened"
