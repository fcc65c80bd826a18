"""Circuit breakers in the engine: opened by failures in a row, held runs, one probe, closed by an answer."""

from __future__ import annotations

import pytest

from aegis.core import canonical, clock
from aegis.core.errors import Forbidden, NotFound
from audit import journal
from audit.models import Event
from orchestration.engine.guards import verbs, waking
from orchestration.engine.guards.models import Breaker, HeldRun
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import pass_time, submit_many, sweep

pytestmark = pytest.mark.django_db

BROKEN = RuntimeError("it does not answer")


@pytest.fixture
def eager(zoe):
    """The clerk's breaker opens at three failures."""
    house.bootstrap(desk.documents(agent={"breaker": {"failures": 3, "cooldown": "30s"}}))
    return zoe


def break_it(zoe, times: int = 3) -> list[Run]:
    desk.behind["write"] = BROKEN
    runs = submit_many(zoe, times)
    house.drive(*runs)
    return runs


def verified() -> bool:
    report = journal.verify()
    assert report.problems == []
    return report.is_good


def told(stream: str = "breaker:agent:clerk") -> list[str]:
    return list(Event.objects.filter(stream=stream).order_by("seq").values_list("type", flat=True))


def test_a_success_leaves_no_row_behind(eager):
    run = house.submit(eager)

    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert not Breaker.objects.exists()


def test_failures_in_a_row_open_it_and_are_named(eager):
    runs = break_it(eager)

    row = Breaker.objects.get()
    assert (row.phase, row.openings, row.target != "") == ("open", 1, True)
    event = Event.objects.get(type="breaker.opened")
    data = canonical.parse(event.line)["data"]
    assert sorted(place.partition("/")[0] for place in data["failures"]) == sorted(run.stream for run in runs)
    for place in data["failures"]:
        stream, _, seq = place.rpartition("/")
        assert Event.objects.get(stream=stream, seq=seq).type == "step.failed"
    assert 30_000 <= data["cooldown_ms"] <= 36_000
    assert (event.scope, event.scope_id) == ("agent", row.target)
    assert verified()


def test_a_success_between_them_starts_the_count_anew(eager):
    break_it(eager, 2)
    desk.behind.clear()
    house.drive(house.submit(eager))
    break_it(eager, 2)

    assert Breaker.objects.get().phase == "closed"
    assert told() == []


def test_runs_that_need_it_are_held_and_not_begun_while_it_is_open(eager):
    break_it(eager)
    waiting = submit_many(eager, 5)

    house.drive(*waiting)
    sweep(*waiting)

    assert {run.status for run in waiting} == {Run.Status.HELD}
    assert not Event.objects.filter(type="step.started", run_id__in=[run.pk for run in waiting]).exists()
    # Only the first in line looks again by itself; a thousand would otherwise all come at once.
    assert HeldRun.objects.filter(until__isnull=False).count() == 1


def test_one_run_probes_and_its_answer_lets_the_others_go(eager):
    break_it(eager)
    waiting = submit_many(eager, 5)
    house.drive(*waiting)
    desk.behind.clear()
    pass_time(seconds=40)

    sweep(*waiting)
    done = sum(run.status == Run.Status.COMPLETED for run in waiting)
    for _ in range(3):
        sweep(*waiting)

    assert done == 1
    assert told() == ["breaker.opened", "breaker.probing", "breaker.closed"]
    assert {run.status for run in waiting} == {Run.Status.COMPLETED}
    assert all(house.types_of(run).count("step.held") == 1 for run in waiting)
    closed = canonical.parse(Event.objects.get(type="breaker.closed").line)
    assert closed["cause"].startswith("run:")
    assert Breaker.objects.get().is_stirred is False
    assert verified()


def test_a_probe_that_fails_opens_it_for_longer(eager):
    break_it(eager)
    waiting = submit_many(eager, 3)
    house.drive(*waiting)
    pass_time(seconds=40)

    sweep(*waiting)

    events = list(Event.objects.filter(type="breaker.opened").order_by("seq"))
    data = [canonical.parse(event.line)["data"] for event in events]
    assert [item["cause"] for item in data] == ["failures", "probe"]
    assert data[1]["openings"] == 2
    assert data[1]["cooldown_ms"] >= 60_000
    assert sum(run.status == Run.Status.HELD for run in waiting) == 2
    assert Event.objects.filter(type="step.started", run_id__in=[run.pk for run in waiting]).count() == 1


def test_two_runs_of_one_wave_do_not_both_probe(eager):
    break_it(eager)
    pass_time(seconds=40)
    desk.behind.clear()
    both = submit_many(eager, 6)

    house.drive(*both)

    started = Event.objects.filter(type="step.started", run_id__in=[run.pk for run in both]).count()
    assert told().count("breaker.probing") == 1
    assert started >= 1
    assert verified()


def test_a_probe_whose_worker_died_does_not_wedge_it(eager):
    break_it(eager)
    Breaker.objects.update(phase="half_open", until=None, probe="00000000-0000-0000-0000-000000000001")
    now = desk.moved_now()
    Breaker.objects.update(probe_until=now)
    desk.behind.clear()
    run = house.submit(eager)

    house.drive(run)

    assert run.status == Run.Status.COMPLETED
    assert Breaker.objects.get().phase == "closed"


def test_contracts_broken_in_a_row_open_it_too(zoe):
    docs = desk.documents(agent={"breaker": {"failures": 2}})
    strict = {"type": "object", "required": ["note"], "properties": {"note": {"type": "object"}}, "additionalProperties": False}
    next(doc for doc in docs if doc["metadata"]["name"] == "anything@1")["spec"]["schema"] = strict
    house.bootstrap(docs)
    desk.behind["write"] = desk.Done({"words": 1}, confidence=0.9)

    house.drive(*submit_many(zoe, 2))

    assert Breaker.objects.get().phase == "open"
    assert Event.objects.filter(type="contract.violated").count() == 2


def test_abstaining_is_an_answer(eager):
    break_it(eager, 2)
    desk.behind["write"] = desk.Abstain("I do not know")

    house.drive(house.submit(eager))

    assert Breaker.objects.get().is_stirred is False


def test_by_hand_it_stays_open_until_somebody_closes_it(eager, as_ada):
    verbs.open_breaker("agent", "clerk", actor=as_ada, reason="the provider called")
    run = house.submit(eager)
    house.drive(run)
    pass_time(days=2)
    still = sweep(run)
    status = run.status

    switched = verbs.close_breaker("agent", "clerk", actor=as_ada, reason="it is back")
    sweep(run)

    assert (still, status) == (0, Run.Status.HELD)
    assert switched.is_new
    assert run.status == Run.Status.COMPLETED
    assert told() == ["breaker.opened", "breaker.closed"]
    assert "provider" not in Event.objects.get(type="breaker.opened").line
    assert verified()


def test_switching_twice_changes_nothing(eager, as_ada):
    verbs.open_breaker("agent", "clerk", actor=as_ada, reason="one")
    assert not verbs.open_breaker("agent", "clerk", actor=as_ada, reason="two").is_new
    verbs.close_breaker("agent", "clerk", actor=as_ada, reason="three")
    assert not verbs.close_breaker("agent", "clerk", actor=as_ada, reason="four").is_new

    assert told() == ["breaker.opened", "breaker.closed"]


def test_a_capability_opened_by_hand_holds_its_effects_and_lets_agents_work(eager, as_ada):
    verbs.open_breaker("capability", "note.write", actor=as_ada, reason="the ledger is being moved")
    run = house.submit(eager)

    house.drive(run)

    assert house.types_of(run)[-2:] == ["verdict.given", "step.held"]
    verbs.close_breaker("capability", "note.write", actor=as_ada, reason="moved")
    sweep(run)
    assert run.status == Run.Status.COMPLETED
    assert verified()


def test_who_may_not_operate_it_is_refused(eager, quinn, root, as_actor):
    with pytest.raises(Forbidden):
        verbs.open_breaker("agent", "clerk", actor=as_actor(quinn), reason="I can see it")
    with pytest.raises(NotFound):
        verbs.open_breaker("capability", "note.write", actor=as_actor(root), reason="a superuser")

    assert not Breaker.objects.exists()


def test_closing_wakes_at_a_pace_each_time(eager, as_ada, monkeypatch):
    monkeypatch.setattr(waking, "BREAKER_PACE", 2)
    start = clock.db_now()  # it moves only as the test says: a slow machine must not lengthen a stage
    monkeypatch.setattr(clock, "db_now", lambda: start + desk._offset[0])
    for _ in range(2):
        verbs.open_breaker("agent", "clerk", actor=as_ada, reason="one")
        held = submit_many(eager, 5)
        house.drive(*held)
        pass_time(minutes=5)
        verbs.close_breaker("agent", "clerk", actor=as_ada, reason="two")

        assert [sweep(*held) for _ in range(4)] == [2, 2, 1, 0]
