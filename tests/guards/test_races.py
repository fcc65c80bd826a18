"""Guards under real concurrency, on PostgreSQL: threads with connections of their own."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connections

from audit import journal
from audit.models import Event
from orchestration.engine import commit, driver
from orchestration.engine.driver import Driver
from orchestration.engine.guards import counting, freezing, verbs, waking
from orchestration.engine.guards.looking import Looking
from orchestration.engine.guards.models import Breaker, Halt, HeldRun
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import submit_many

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

INTENTS = ("step.started", "effect.intended", "effect.done")
PATIENCE = 20.0
ROUNDS = 12  # halts under load, per scope
PROBES = 200


def in_thread(work: Callable[[], object]) -> object:
    """Run in a pool thread and close its connections."""
    try:
        return work()
    finally:
        connections.close_all()


def drive(*runs: Run) -> None:
    Driver(among=[run.pk for run in runs]).drive()


def intents_after(row: Halt) -> list[str]:
    """Intents that stand behind the halt in the journal. Its transaction holds the authority lock alone, and every intent's
    holds it shared, so the ids of their events are given before it or after it, never meanwhile."""
    placed = Event.objects.get(type="halt.placed", stream=row.stream, seq=int(row.place.rpartition("/")[2]))
    return list(Event.objects.filter(type__in=INTENTS, id__gt=placed.pk).values_list("type", flat=True))


# ---- halts -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "name"), [("agent", "clerk"), ("workflow", "notes"), ("everything", "")])
def test_no_intent_is_committed_after_a_halt_under_load(zoe, as_ada, settings, what, name):
    settings.RUNS_IN_HAND = 3  # several commits per driver, so that the halt falls between some
    house.bootstrap(desk.documents())
    chance = random.Random(f"{what}-1123")
    late, held, done = 0, 0, 0
    for number in range(ROUNDS):
        runs, calls, it_is_time = submit_many(zoe, 24), itertools.count(1), threading.Event()
        moment = chance.randint(1, 20)
        finished = chance.randint(1, 12) if number % 2 else 0  # every other halt waits for so many runs to have ended

        def answer(request, calls=calls, moment=moment, it_is_time=it_is_time):
            if next(calls) == moment:
                it_is_time.set()
            return desk.propose(request)

        desk.behind["write"] = answer
        with ThreadPoolExecutor(4) as pool:
            drives = [pool.submit(in_thread, lambda part=runs[index::4]: drive(*part)) for index in range(4)]
            assert it_is_time.wait(PATIENCE)
            await_completed(runs, finished)
            row = verbs.halt(what, name, actor=as_ada, reason="stop").halt
            for one in drives:
                one.result(PATIENCE)
        late += len(intents_after(row))
        statuses = [Run.objects.get(pk=run.pk).status for run in runs]
        held, done = held + statuses.count("held"), done + statuses.count("completed")
        assert set(statuses) <= {"held", "completed"}
        verbs.resume(row.pk, actor=as_ada, reason="go on", pace=1_000)
        settle(runs)

    assert late == 0
    assert held > 0
    assert done > 0  # halts fell into the work, not before or behind it
    assert Run.objects.exclude(status=Run.Status.COMPLETED).count() == 0
    assert journal.verify().problems == []


def await_completed(runs: list[Run], count: int) -> None:
    """Return as soon as so many of them are completed."""
    until = time.monotonic() + PATIENCE
    while Run.objects.filter(pk__in=[run.pk for run in runs], status=Run.Status.COMPLETED).count() < count:
        assert time.monotonic() < until, "the drivers stand still"
        time.sleep(0.002)


def settle(runs: list[Run]) -> None:
    """Until none of them is held any more."""
    until = time.monotonic() + PATIENCE
    while HeldRun.objects.exists() and time.monotonic() < until:
        time.sleep(0.05)
        waking.wake_due()
        drive(*runs)
    freezing.keep()
    waking.wake_due()


@contextmanager
def halted_before_the_commit(actor, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Halt]]:
    """A turn is computed while nothing is halted; the halt is committed before the turn's commit begins."""
    placed: list[Halt] = []
    real = commit.commit

    def late(batch):
        if not placed:
            placed.append(verbs.halt("everything", actor=actor, reason="stop").halt)
        return real(batch)

    with monkeypatch.context() as patch:
        patch.setattr(driver, "commit", late)
        yield placed


def test_a_turn_computed_before_the_halt_is_computed_again(zoe, as_ada, monkeypatch):
    house.bootstrap(desk.documents())
    run = house.submit(zoe)

    with halted_before_the_commit(as_ada, monkeypatch) as placed:
        house.drive(run)

    assert run.status == Run.Status.HELD
    assert intents_after(placed[0]) == []


def test_without_the_epoch_check_the_tests_would_see_it(zoe, as_ada, monkeypatch):
    """The planted bug: the commit no longer asks whether rights moved."""
    house.bootstrap(desk.documents())
    run = house.submit(zoe)
    monkeypatch.setattr(commit, "_stale", lambda batch: set())

    with halted_before_the_commit(as_ada, monkeypatch) as placed:
        house.drive(run)

    assert intents_after(placed[0])[:1] == ["step.started"]


# ---- probes ----------------------------------------------------------------------------------------------------------------


def race_for_the_probe(zoe, monkeypatch: pytest.MonkeyPatch, rounds: int) -> list[int]:
    """Per round, how many of two runs began while the breaker was about to be probed. Both have computed their turn, and want
    the probe, before either commits."""
    begun = []
    runs = iter(submit_many(zoe, 2 * rounds))
    for _ in range(rounds):
        now = desk.moved_now()
        Breaker.objects.update_or_create(
            key="agent:clerk",
            defaults={"phase": "open", "until": now - timedelta(seconds=1), "openings": 1, "is_stirred": True, "probe": None,
                      "probe_until": None, "changed_at": now, "failures": "[]"},
        )  # fmt: skip
        pair = [next(runs), next(runs)]
        both_want_it, one_is_back = threading.Barrier(2), threading.Event()
        waited = threading.local()
        takes = Looking.takes

        def wanting(self, asking, takes=takes, waited=waited, barrier=both_want_it):
            taken = takes(self, asking)
            if not getattr(waited, "once", False):
                waited.once = True
                barrier.wait(PATIENCE)
            return taken

        def answer(request, back=one_is_back):
            back.wait(PATIENCE)
            return desk.propose(request)

        desk.behind["write"] = answer
        with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
            patch.setattr(Looking, "takes", wanting)
            drives = [pool.submit(in_thread, lambda run=run: drive(run)) for run in pair]
            until = time.monotonic() + PATIENCE
            while not any(one.done() for one in drives) and time.monotonic() < until:
                time.sleep(0.002)
                if Event.objects.filter(type="step.started", run_id__in=[run.pk for run in pair]).count() == 2:
                    break
            begun.append(Event.objects.filter(type="step.started", run_id__in=[run.pk for run in pair]).count())
            one_is_back.set()
            for one in drives:
                one.result(PATIENCE)
        desk.behind.clear()
    return begun


def test_of_two_that_want_the_probe_exactly_one_gets_it_two_hundred_times(zoe, monkeypatch):
    house.bootstrap(desk.documents())

    begun = race_for_the_probe(zoe, monkeypatch, PROBES)

    assert begun == [1] * PROBES
    assert Event.objects.filter(type="breaker.probing").count() == PROBES


def test_without_the_compare_and_set_both_would_probe(zoe, monkeypatch):
    """The planted bug: whoever comes second takes the probe over."""
    house.bootstrap(desk.documents())
    real = counting.breakers.take_probe

    def blind(breaker, run, now, seconds):
        return real(breaker, run, now, seconds) or breaker

    monkeypatch.setattr(counting.breakers, "take_probe", blind)

    assert max(race_for_the_probe(zoe, monkeypatch, 5)) == 2


# ---- limits ----------------------------------------------------------------------------------------------------------------


def under_a_rate(zoe, count: int, per: str, runs: int) -> list[int]:
    """Starts, as milliseconds, of runs that four threads drive at once."""
    house.bootstrap(desk.documents(agent={"limits": {"rate": {"count": count, "per": per}}}))
    work = submit_many(zoe, runs)
    until = time.monotonic() + PATIENCE

    def drive_and_wake(part: list[Run]) -> None:
        while time.monotonic() < until and Run.objects.filter(pk__in=[run.pk for run in part]).exclude(status="completed"):
            drive(*part)
            waking.wake_due()
            time.sleep(0.02)

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(in_thread, lambda part=work[index::4]: drive_and_wake(part)) for index in range(4)]:
            one.result(PATIENCE * 2)
    assert Run.objects.exclude(status="completed").count() == 0
    moments = Event.objects.filter(type="step.started").values_list("at", flat=True)
    return sorted(int(at.timestamp() * 1_000_000) for at in moments)


def most_within(starts: list[int], microseconds: int) -> int:
    return max(sum(at <= other < at + microseconds for other in starts) for at in starts)


def test_four_threads_never_start_more_than_the_rate(zoe):
    starts = under_a_rate(zoe, 15, "1s", 75)

    assert len(starts) == 75
    assert most_within(starts, 1_000_000) <= 15
    assert journal.verify().problems == []


def test_without_the_count_in_the_commit_the_rate_would_be_exceeded(zoe, monkeypatch):
    """The planted bug: the commit believes what the turn saw."""
    monkeypatch.setattr(counting.Lately, "allows", lambda self, use, now: True)

    assert most_within(under_a_rate(zoe, 15, "1s", 75), 1_000_000) > 15


def test_four_threads_never_call_more_at_once_than_the_concurrency(zoe):
    house.bootstrap(desk.documents(agent={"limits": {"concurrency": 3}}))
    lock, under_way, most = threading.Lock(), [0], [0]

    def busy(request):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.01)
        with lock:
            under_way[0] -= 1
        return desk.propose(request)

    desk.behind["write"] = busy
    work = submit_many(zoe, 40)
    until = time.monotonic() + PATIENCE

    def drive_and_wake(part: list[Run]) -> None:
        while time.monotonic() < until and Run.objects.filter(pk__in=[run.pk for run in part]).exclude(status="completed"):
            drive(*part)
            waking.wake_due()
            time.sleep(0.01)

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(in_thread, lambda part=work[index::4]: drive_and_wake(part)) for index in range(4)]:
            one.result(PATIENCE * 2)

    assert Run.objects.exclude(status="completed").count() == 0
    assert 1 < most[0] <= 3
    assert journal.verify().problems == []


def test_two_people_who_halt_at_once_place_one_halt(zoe, as_ada):
    house.bootstrap(desk.documents())
    for _ in range(20):
        with ThreadPoolExecutor(2) as pool:
            both = [
                pool.submit(in_thread, lambda: verbs.halt("everything", actor=as_ada, reason="stop").is_new) for _ in range(2)
            ]
            assert sorted(one.result(PATIENCE) for one in both) == [False, True]
        row = Halt.objects.get(status="standing")
        verbs.resume(row.pk, actor=as_ada, reason="go on")
