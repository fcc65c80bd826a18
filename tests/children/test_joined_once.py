"""A child is joined exactly once: whoever dies where, and whoever ends at the same moment."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F

from aegis.core import clock
from orchestration.agents.protocol import Done
from orchestration.engine import commit as commits
from orchestration.engine import driver as drivers
from orchestration.engine import verbs
from orchestration.engine.children import rows
from orchestration.engine.children.rows import Kin
from orchestration.engine.children.wants import Ended, Tell
from orchestration.engine.driver import Driver
from orchestration.engine.models import InboxItem, Run
from tests.children.house import ask, children, data_of, documents, drive, output_of, sound
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

EACH = {"id": "each", "map": "steps.first.output.list", "at_once": 2, "steps": [{"id": "one", "set": {"it": "item"}}]}
LOOK = {"id": "look", "review": "people", "output": "anything@1"}


class _Dead(BaseException):
    """The process is gone: nothing of it runs any more."""


def die_at(monkeypatch, point, passes):
    left = [passes]

    def crash(name):
        if name == point:
            left[0] -= 1
            if left[0] == 0:
                raise _Dead

    for module in (commits, drivers):
        monkeypatch.setattr(module, "crash_point", crash)
    monkeypatch.setattr(Driver, "_give_back", lambda self: None)


@pytest.mark.parametrize("point", ["planned", "runs_moved", "journal_written", "committed"])
def test_a_worker_that_dies_at_a_fork_or_a_join_loses_and_repeats_no_child(starter, sam, monkeypatch, point):
    house.answers["first"] = Done({"list": ["a", "b", "c"]})
    house.bootstrap(documents(ask("first"), EACH))

    for passes in range(1, 7):
        run = house.submit(starter, {"id": f"n-{passes}"})
        with monkeypatch.context() as patch:
            die_at(patch, point, passes)
            with contextlib.suppress(_Dead):
                drive()
        Run.objects.filter(lease_until__isnull=False).update(lease_until=clock.now() - timedelta(seconds=1))
        drive(run)

        assert run.status == "completed", passes
        assert [one["one"]["it"] for one in output_of(run, "each")["items"]] == ["a", "b", "c"]
        assert len(children(run)) == 3
        assert sorted(data["ordinal"] for data in data_of(run, "child.ended")) == ["0", "1", "2"]
    sound()


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


@pytest.mark.postgres  # SQLite has one writer
def test_children_that_end_in_two_workers_at_once_are_all_counted_and_nobody_deadlocks(starter, sam):
    house.answers["first"] = Done({"list": list(range(24))})
    house.bootstrap(documents(ask("first"), {**EACH, "at_once": 12}))
    runs = [house.submit(starter, {"id": f"n-{number}"}) for number in range(4)]
    before = deadlocks()

    def work() -> None:
        try:
            for _ in range(200):
                Driver().drive()
                if not Run.objects.exclude(status__in=Run.TERMINAL).exists():
                    return
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    drive(*runs)
    for run in runs:
        assert run.status == "completed"
        assert [one["one"]["it"] for one in output_of(run, "each")["items"]] == list(range(24))
        assert len(data_of(run, "child.ended")) == 24
    assert deadlocks() == before
    sound()


def test_a_parent_cancelled_while_its_children_end_loses_none_of_them(starter, sam):
    house.bootstrap(documents({"id": "all", "parallel": {"a": {"steps": [LOOK]}, "b": {"steps": [ask("b")]}}}))
    run = house.submit(starter)
    drive(run)
    first = children(run)[0]

    verbs.cancel_run(first.pk, person=starter, actor=house.actor_for(starter), reason="this one")
    verbs.cancel_run(run.pk, person=starter, actor=house.actor_for(starter), reason="and all of it")
    drive(run)

    assert run.status == "cancelled"
    assert [child.status for child in children(run)] == ["cancelled", "completed"]
    sound()


@pytest.mark.postgres  # SQLite has one writer
def test_a_child_that_ends_while_its_parent_cancels_it_waits_for_that_and_does_not_deadlock(starter, sam):
    house.bootstrap(documents({"id": "all", "parallel": {"a": {"steps": [LOOK]}, "b": {"steps": [LOOK | {"id": "b"}]}}}))
    run = house.submit(starter)
    drive(run)
    child, now = children(run)[0], clock.now()
    ends = Kin(child.pk, "", now, ended=Ended(run.pk, "completed", "", 0, 0, 0, is_retryable=False))
    cancels = Kin(run.pk, "", now, tells=(Tell(child.pk, "cancel"),))
    both_moved, failed = threading.Barrier(2), []

    def committing(kin: Kin) -> None:
        try:
            with transaction.atomic():
                rows.lock([kin.run_id], [kin])
                Run.objects.filter(pk=kin.run_id).update(seen=F("seen"))
                with contextlib.suppress(threading.BrokenBarrierError):
                    both_moved.wait(timeout=1)  # with the lock, the other one cannot come so far
                rows.write([kin])
        except OperationalError as error:
            failed.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=committing, args=[kin]) for kin in (ends, cancels)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert failed == []
    told = InboxItem.objects.filter(run__in=[run.pk, child.pk]).values_list("run", "kind")
    assert set(told) == {(run.pk, "child_ended"), (child.pk, "cancel")}
