"""Effects and compensation while workers die: each turn by another worker, whatever the last one had in flight. On the
database.

A worker dies here as a process does: nothing of it is heard again, its lease runs out, and the next one reads what was
committed. tests/faults kills real processes; what is tried here is every place between two commits, and who gets to say what
twice.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from aegis.core import clock, clock_text
from audit import chain, journal
from audit.models import Event, Payload
from orchestration.agents.protocol import Done
from orchestration.engine import deadletters, verbs
from orchestration.engine.deadletters import Filters
from orchestration.engine.effects import EffectUnavailable
from orchestration.engine.lease import MAX_CLAIMS
from orchestration.engine.models import Run
from orchestration.engine.steps import effect
from orchestration.records.models import Record, RecordVersion
from tests.effects.conftest import PAY, asked, heard, item_of, regrant, rewrite, says
from tests.engine import house
from tests.faults.hands import Worker

pytestmark = pytest.mark.django_db(transaction=True)

ORDERED = [
    {"id": "plan", "agent": "clerk", "output": "plan@1"},
    {"id": "keep", "act": "steps.plan.output.keep", "compensate": True},
    {"id": "pay", "act": "steps.plan.output.pay", "compensate": True,
     "retry": {"attempts": 3, "backoff": "1s", "jitter": False}},
    {"id": "more", "act": "steps.plan.output.more", "on_failure": {"denied": "compensate"}},
]  # fmt: skip


def planned(**proposals: dict) -> Done:
    return Done(proposals, confidence=0.9)


def expire(run: Run) -> None:
    """The worker that held it is gone, and so is its lease; a retry that waits is due."""
    past = clock.db_now() - timedelta(seconds=1)
    Run.objects.filter(pk=run.pk, lease_until__isnull=False).update(lease_until=past)
    Run.objects.filter(pk=run.pk, due_at__isnull=False).update(due_at=past)
    run.refresh_from_db()


def dying_workers(run: Run, dice: random.Random, *, turns: int = 60, dies: float = 0.5) -> None:
    """One worker after another takes the run, gets one turn or two, and dies with whatever it has in flight.

    Three deaths in a row at most: five in one visit of a step would be poison, and set aside.
    """
    deaths = 0
    for _ in range(turns):
        worker = Worker(among=[run.pk])
        worker.claim()
        worker.turn()
        deaths = deaths + 1 if dice.random() < dies and deaths < 3 else 0
        if worker.held and not deaths:
            worker.hear_answer()
            worker.turn()
        expire(run)
        if run.status in (*Run.TERMINAL, Run.Status.WAITING_REVIEW):
            return
    raise AssertionError(f"the run never rested: {run.status}")


def data_of(run: Run, *types: str) -> list[dict]:
    events = Event.objects.filter(stream=run.stream, type__in=types).order_by("seq")
    return [chain.read_line(event.line)["data"] for event in events]


@pytest.mark.parametrize("seed", range(6))
def test_compensation_goes_on_wherever_a_worker_dies(furnish, sam, seed):
    furnish(ORDERED, safety="keyed")
    Record.objects.create(type="note", key="N-1", version=1, body='{"text":"before"}', updated_at=clock.db_now())
    regrant("clerk", note__more="")
    house.answers["plan"] = planned(
        keep=asked("note.keep", "K-1", text="x"), pay=asked("note.pay", amount=5), more=asked("note.more")
    )
    run = house.submit(sam)

    dying_workers(run, random.Random(seed))

    # What was created cannot be put back to anything: a person lets it stand, and the run ends as it was going to.
    assert item_of(run).code in ("effect_failed", "contract")
    done = Counter(data["key"] for data in data_of(run, "effect.done"))
    assert set(done.values()) == {1}
    assert done[f"{run.pk}/pay/1/0/undo"] == 1
    assert {request.key for request in heard} == {f"{run.pk}/pay/1/0", f"{run.pk}/pay/1/0/undo"}
    for key in {request.key for request in heard}:
        assert len({str(request.parameters) for request in heard if request.key == key}) == 1
    from orchestration.engine import settlements

    settlements.leave(item_of(run).pk, person=sam, auth="test", reason="the note may stay")
    dying_workers(run, random.Random(seed))
    assert run.status == Run.Status.FAILED
    assert data_of(run, "run.compensated") == [{"step": "more", "code": "denied", "undone": 1, "left": 1}]
    assert journal.verify().problems == []


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_record_gets_its_earlier_body_back_once_wherever_a_worker_dies(furnish, sam, seed):
    steps = [ORDERED[0], {"id": "keep", "act": "steps.plan.output.keep", "compensate": True}, ORDERED[3]]
    furnish(steps)
    patches_notes()
    Record.objects.create(type="note", key="K-1", version=1, body='{"text":"before"}', updated_at=clock.db_now())
    regrant("clerk", note__more="")
    house.answers["plan"] = planned(keep=asked("note.keep", "K-1", text="after"), more=asked("note.more"))
    run = house.submit(sam)

    dying_workers(run, random.Random(seed))

    assert run.status == Run.Status.FAILED
    assert Record.objects.values_list("version", "body").get(key="K-1") == (3, '{"text":"before"}')
    versions = RecordVersion.objects.filter(record__key="K-1").order_by("version").values_list("effect_key", flat=True)
    assert list(versions) == [f"{run.pk}/keep/1/0", f"{run.pk}/keep/1/0/undo"]
    assert journal.verify().problems == []


def test_of_two_workers_who_both_think_they_hold_it_one_undoes(furnish, sam):
    furnish([ORDERED[0], ORDERED[1], ORDERED[3]])
    patches_notes()
    Record.objects.create(type="note", key="K-1", version=1, body='{"text":"before"}', updated_at=clock.db_now())
    regrant("clerk", note__more="")
    house.answers["plan"] = planned(keep=asked("note.keep", "K-1", text="after"), more=asked("note.more"))
    run = house.submit(sam)
    while not data_of(run, "run.compensating"):
        worker = Worker(among=[run.pk])
        worker.claim()
        worker.turn()
        if worker.held:
            worker.hear_answer()
            worker.turn()
        expire(run)
    stale = Worker(among=[run.pk])
    stale.claim()
    expire(run)
    fresh = Worker(among=[run.pk])
    fresh.claim()

    fresh.turn()
    stale.turn()

    assert Counter(data.get("undoes", "") for data in data_of(run, "effect.done"))[f"{run.pk}/keep/1/0"] == 1
    assert Record.objects.get(key="K-1").version == 3
    assert journal.verify().problems == []


def test_cancel_while_a_payment_is_under_way_waits_for_it_and_pays_it_back(furnish, sam):
    furnish(PAY)
    run = house.submit(sam)
    worker = Worker(among=[run.pk])
    worker.claim()
    worker.turn()
    worker.hear_answer()
    worker.turn()
    verbs.cancel_run(run.pk, person=sam, actor=house.actor_for(sam), reason="wrong customer")
    worker.hear_messages()
    worker.turn()
    assert house.types_of(run)[-1] == "run.stopping"

    worker.hear_answer()
    worker.turn()
    house.drive(run)

    assert run.status == Run.Status.CANCELLED
    assert [request.key.endswith("/undo") for request in heard] == [False, True]
    assert heard[1].parameters["result"] == {"receipt": 1}
    assert journal.verify().problems == []


def test_a_cancelled_run_whose_worker_dies_with_the_payment_asks_a_person(furnish, sam):
    furnish(PAY)
    run = house.submit(sam)
    worker = Worker(among=[run.pk])
    worker.claim()
    worker.turn()
    worker.hear_answer()
    worker.turn()
    run.refresh_from_db()
    assert heard or worker.held
    verbs.cancel_run(run.pk, person=sam, actor=house.actor_for(sam), reason="stop")
    expire(run)

    house.drive(run)

    assert run.status == Run.Status.WAITING_REVIEW
    assert item_of(run).code == "effect_unknown"
    assert [data["by"].startswith("user:") for data in data_of(run, "run.stopping")] == [True]
    assert len(data_of(run, "effect.intended")) == 1


def test_an_undo_that_must_wait_is_tried_again_as_often_as_the_step_says(furnish, sam, monkeypatch):
    def without_waiting(scene, retry, attempt, *, at_least=0.0):
        return clock_text.render(scene.world.now) if attempt - scene.state.losses < retry.attempts else ""

    monkeypatch.setattr(effect, "next_attempt_at", without_waiting)
    furnish([ORDERED[0], ORDERED[2], ORDERED[3]], safety="keyed")
    regrant("clerk", note__more="")
    house.answers["plan"] = planned(pay=asked("note.pay", amount=5), more=asked("note.more"))
    says["test.refund"] = EffectUnavailable("closed for lunch")
    run = house.submit(sam)
    dying_workers(run, random.Random(1), dies=0.1)

    assert item_of(run).code == "effect_failed"
    tries = [data["attempt"] for data in data_of(run, "effect.failed") if data.get("undoes")]
    assert tries[-1] >= 3
    assert len({request.key for request in heard if request.key.endswith("/undo")}) == 1


@pytest.mark.parametrize("unsafe", [False, True])
def test_a_run_that_kills_its_worker_before_anything_is_committed_is_set_aside_and_seen(furnish, sam, unsafe):
    """Nothing of the first five workers is on record but that they took it; the sixth sets it aside without touching it."""
    furnish()
    run, neighbour = house.submit(sam, {"id": "poison"}), house.submit(sam, {"id": "healthy"})
    if unsafe:  # with a payment already under way
        first = Worker(among=[run.pk])
        first.claim()
        first.turn()
        first.hear_answer()
        first.turn()
        assert Run.objects.get(pk=run.pk).seq > 3
        expire(run)
    for _ in range(MAX_CLAIMS):
        worker = Worker(among=[run.pk])
        assert worker.claim() == 1
        expire(run)  # dead: it took the run and did nothing else

    house.drive(run, neighbour)

    assert item_of(run).code == "quarantined"
    assert "run.quarantined" in house.types_of(run)
    assert neighbour.status == Run.Status.COMPLETED
    [letter] = deadletters.find(sam, Filters(code="quarantined"))[0]
    assert (letter.run.pk, letter.needs_statement) == (run.pk, unsafe)
    sent = len([request for request in heard if str(run.pk) in request.key])
    [result] = deadletters.redrive_many([letter.id], person=sam, actor=house.actor_for(sam), reason="the worker is mended")
    house.drive(run)
    assert result.code == ("needs_statement" if unsafe else "")
    assert len([request for request in heard if str(run.pk) in request.key]) == (sent if unsafe else 1)


def test_the_run_whose_lease_was_lost_is_taken_alone(furnish, sam):
    furnish()
    poison = house.submit(sam, {"id": "poison"})
    Worker(among=[poison.pk]).claim()
    expire(poison)
    healthy = [house.submit(sam, {"id": f"h-{number}"}) for number in range(3)]

    worker = Worker(among=[poison.pk, *(run.pk for run in healthy)])
    worker.claim()

    assert list(worker.held) == [poison.pk]


def patches_notes() -> None:
    """Have `note.keep` change a note instead of making one."""
    rewrite("Capability", "note.keep", lambda spec: spec.update(handler="record.patch"))


def test_an_erased_output_holds_up_nobody_who_only_undoes(furnish, sam):
    furnish([ORDERED[0], ORDERED[1], ORDERED[3]])
    patches_notes()
    Record.objects.create(type="note", key="K-1", version=1, body='{"text":"before"}', updated_at=clock.db_now())
    regrant("clerk", note__more="", note__restore="")
    house.answers["plan"] = planned(keep=asked("note.keep", "K-1", text="after"), more=asked("note.more"))
    run = house.submit(sam)
    house.drive(run)
    house.drive(run)
    assert item_of(run).code == "denied"
    Payload.objects.filter(stream=run.stream, name="output", seq=3).update(body="", salt="", erased_at=clock.db_now())
    regrant("clerk", note__restore="allow")
    deadletters.redrive_many([str(item_of(run).pk)], person=sam, actor=house.actor_for(sam), reason="granted")

    house.drive(run)

    assert run.status == Run.Status.FAILED
    assert Record.objects.get(key="K-1").version == 3
