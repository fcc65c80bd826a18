"""Resources on the real database: one run acts at a time, the others queue, and nobody is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core import clock
from audit import journal
from orchestration.engine import driver as drivers
from orchestration.engine import lease, verbs, worker
from orchestration.engine.models import Run
from orchestration.engine.resources import rows
from orchestration.engine.resources.models import Resource, ResourceWait
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

GATE = [{"id": "gate", "gate": "leads"}, {"id": "end", "finish": "done"}]
CLAIM = {"key": "'note/' + input.id", "wait": "30m"}


def documents(steps=GATE, **claim):
    docs = house.documents(steps=steps)
    docs[-1]["spec"]["resource"] = {**CLAIM, **claim}
    return docs


@pytest.fixture
def sam(area_rows, person):
    person("ada", "Admins")
    person("lea", "Support leads")  # may decide what sam started
    return person("sam", "Support leads")


def cancel(run, person):
    verbs.cancel_run(run.pk, person=person, actor=house.actor_for(person), reason="no longer needed")
    house.drive(run)


def sound():
    report = journal.verify()
    assert report.is_good, report.problems


def statuses(*found):
    return [Run.objects.get(pk=run.pk).status for run in found]


def test_a_second_run_on_the_resource_waits_and_goes_on_when_it_is_free(sam):
    house.bootstrap(documents())
    first, second = house.submit(sam), house.submit(sam)
    house.drive(first)
    house.drive(second)

    assert statuses(first, second) == ["waiting_decision", "waiting_resource"]
    assert rows.holder("note/n-1", second.pk) == str(first.pk)
    assert second.step == "gate"
    cancel(first, sam)
    house.drive(second)
    assert statuses(first, second) == ["cancelled", "waiting_decision"]
    assert house.types_of(second) == ["run.submitted", "resource.waited", "resource.claimed", "gate.opened"]
    assert Resource.objects.get().run_id == second.pk
    assert not ResourceWait.objects.exists()
    sound()


def test_runs_on_different_resources_do_not_wait_for_each_other(sam):
    house.bootstrap(documents())
    first, second = house.submit(sam), house.submit(sam, {"id": "n-2"})
    house.drive(first, second)

    assert statuses(first, second) == ["waiting_decision", "waiting_decision"]


def test_two_runs_of_one_batch_never_both_get_it(sam):
    house.bootstrap(documents(steps=[{"id": "set", "set": {"x": "1"}}]))
    runs = [house.submit(sam) for _ in range(5)]
    house.drive(*runs)  # each takes it, acts and lets go in one turn; all in one commit would be all at once

    assert statuses(*runs) == ["completed"] * 5
    assert not Resource.objects.exists()
    sound()


def test_of_two_that_find_it_free_in_one_batch_one_holds_it_and_one_waits(sam):
    house.bootstrap(documents())
    runs = [house.submit(sam) for _ in range(3)]
    house.drive(*runs)  # none of them is committed when the others look

    assert sorted(statuses(*runs)) == ["waiting_decision", "waiting_resource", "waiting_resource"]
    assert Run.objects.get(status="waiting_decision").pk == Resource.objects.get().run_id
    sound()


def test_the_queue_is_by_tier_then_by_time(sam):
    docs = documents()
    docs[-1]["spec"]["priority"] = "has(input.text) ? 1 : 3"
    house.bootstrap(docs)
    holder, late, urgent = house.submit(sam), house.submit(sam), house.submit(sam, {"id": "n-1", "text": "now"})
    for run in (holder, late, urgent):
        house.drive(run)
    cancel(holder, sam)

    assert Resource.objects.get().run_id == urgent.pk
    cancel_waiting = Run.objects.get(pk=urgent.pk)
    cancel(cancel_waiting, sam)
    assert Resource.objects.get().run_id == late.pk


def test_who_comes_later_does_not_overtake_the_queue(sam, monkeypatch):
    house.bootstrap(documents())
    holder, waiting = house.submit(sam), house.submit(sam)
    house.drive(holder)
    house.drive(waiting)
    monkeypatch.setattr(rows, "_grant_robustly", lambda key: None)  # whoever lets go dies right after its commit
    cancel(holder, sam)
    late = house.submit(sam)
    house.drive(late)

    assert statuses(waiting, late) == ["waiting_resource", "waiting_resource"]
    assert not Resource.objects.exists()
    worker.housekeep()  # nothing is lost: what is free and wanted is given at the next look
    house.drive(waiting, late)
    assert statuses(waiting, late) == ["waiting_decision", "waiting_resource"]
    sound()


def test_a_run_that_gives_up_waiting_leaves_the_queue(sam):
    house.bootstrap(documents())
    holder, waiting, third = (house.submit(sam) for _ in range(3))
    for run in (holder, waiting, third):
        house.drive(run)
    cancel(waiting, sam)
    cancel(holder, sam)
    house.drive(third)

    assert statuses(waiting, third) == ["cancelled", "waiting_decision"]


def test_a_run_granted_the_resource_and_cancelled_at_once_lets_go_of_it(sam):
    house.bootstrap(documents())
    holder, waiting, third = (house.submit(sam) for _ in range(3))
    for run in (holder, waiting, third):
        house.drive(run)
    cancel(holder, sam)
    assert Resource.objects.get().run_id == waiting.pk  # its own row, though it has not heard of it
    cancel(Run.objects.get(pk=waiting.pk), sam)
    house.drive(third)

    assert statuses(waiting, third) == ["cancelled", "waiting_decision"]
    assert house.types_of(waiting)[-1] == "inbox.ignored"
    sound()


def test_the_limit_of_the_wait_puts_the_run_before_people(sam, monkeypatch):
    house.bootstrap(documents())
    holder, waiting = house.submit(sam), house.submit(sam)
    house.drive(holder)
    house.drive(waiting)
    later = clock.db_now() + timedelta(hours=1)
    Run.objects.filter(pk=waiting.pk).update(due_at=clock.now() - timedelta(seconds=1))
    monkeypatch.setattr("orchestration.engine.world.clock.db_now", lambda: later)
    house.drive(waiting)

    assert house.types_of(waiting)[-2:] == ["deadline.passed", "review.opened"]
    assert waiting.review_items.get().code == "resource_wait"
    assert not ResourceWait.objects.exists()


def test_while_running_lets_go_while_people_are_waited_for(sam):
    house.bootstrap(documents(hold="while_running"))
    first, second = house.submit(sam), house.submit(sam)
    house.drive(first)
    house.drive(second)

    assert statuses(first, second) == ["waiting_decision", "waiting_decision"]
    assert not Resource.objects.exists()


def test_while_running_lets_go_when_the_run_is_set_aside(sam, monkeypatch):
    docs = house.documents()
    docs[-1]["spec"]["resource"] = {**CLAIM, "hold": "while_running"}
    house.bootstrap(docs)
    run = house.submit(sam)
    with monkeypatch.context() as patch:
        patch.setattr(drivers.Driver, "_start_calls", _die)  # with the intent committed and the resource held
        patch.setattr(drivers.Driver, "_give_back", lambda self: None)
        with pytest.raises(_Dead):
            house.drive(run)
    assert Resource.objects.get().run_id == run.pk
    past = clock.now() - timedelta(seconds=1)
    Run.objects.filter(pk=run.pk).update(lease_until=past, claims_since_commit=lease.MAX_CLAIMS)

    house.drive(run)

    assert house.types_of(run)[-3:] == ["run.quarantined", "review.opened", "resource.released"]
    assert not Resource.objects.exists()
    sound()


class _Dead(BaseException):
    """The process is gone."""


def _die(driver):
    raise _Dead


def test_a_run_that_failed_holds_nothing(sam):
    house.bootstrap(documents(steps=[{**GATE[0], "on_failure": {"deadline": "fail"}, "deadline": "1h"}]))
    run = house.submit(sam)
    house.drive(run)
    assert Resource.objects.get().run_id == run.pk
    cancel(run, sam)

    assert not Resource.objects.exists()
