"""Declared limits: how often, how many at once, how much of it may be retries. Runs beyond wait in turn; none is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aegis.core import canonical
from aegis.core.actors import user_actor
from aegis.core.kinds import document_key
from approvals import changes
from approvals.models import ChangeSet
from audit import journal
from audit.models import Event
from orchestration.engine.guards.models import Counter, HeldRun, Slot
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import pass_time, submit_many, sweep

pytestmark = pytest.mark.django_db


def with_limits(**limits):
    house.bootstrap(desk.documents(agent={"limits": limits}))


def started(runs) -> int:
    return Event.objects.filter(type="step.started", run_id__in=[run.pk for run in runs]).count()


def codes_of(runs) -> list[str]:
    events = Event.objects.filter(type="step.held", run_id__in=[run.pk for run in runs])
    return [canonical.parse(event.line)["data"]["code"] for event in events]


def test_who_declares_no_limit_pays_nothing(zoe):
    house.bootstrap(desk.documents())

    house.drive(*submit_many(zoe, 3))

    assert not Counter.objects.exists()
    assert not Slot.objects.exists()


def test_beyond_the_rate_runs_wait_in_turn_and_all_get_through(zoe):
    with_limits(rate={"count": 4, "per": "10s"})
    runs = submit_many(zoe, 10)

    house.drive(*runs)
    first = [run for run in runs if run.status == Run.Status.COMPLETED]
    for _ in range(30):
        sweep(*runs)

    assert len(first) == 4
    assert {run.status for run in runs} == {Run.Status.COMPLETED}
    assert set(codes_of(runs)) == {"rate"}
    assert all(house.types_of(run).count("step.held") <= 2 for run in runs)  # no run comes again and again in vain
    moments = sorted(Event.objects.filter(type="step.started").values_list("at", flat=True))
    for at in moments:
        assert sum(at <= other < at + timedelta(seconds=10) for other in moments) <= 4
    assert journal.verify().problems == []


def test_who_comes_later_does_not_overtake_those_who_wait(zoe):
    with_limits(rate={"count": 2, "per": "10s"})
    early = submit_many(zoe, 4)
    house.drive(*early)
    pass_time(seconds=11)  # there is room again, and two have waited for it
    late = house.submit(zoe, {"id": "late"})

    house.drive(late)

    assert late.status == Run.Status.HELD
    sweep(*early, late)
    assert {run.status for run in early} == {Run.Status.COMPLETED}


def test_the_first_in_line_looks_again_by_itself(zoe):
    with_limits(rate={"count": 1, "per": "10s"})
    runs = submit_many(zoe, 2)
    house.drive(*runs)
    (second,) = [run for run in runs if run.status == Run.Status.HELD]
    assert second.due_at is not None
    pass_time(seconds=11)

    house.drive(second)

    assert second.status == Run.Status.COMPLETED


def test_a_capability_has_a_rate_of_its_own(zoe):
    house.bootstrap(desk.documents(capability={"limits": {"rate": {"count": 1, "per": "1m"}}}))
    first, second = submit_many(zoe, 2)

    house.drive(first, second)

    assert sorted([first.status, second.status]) == ["completed", "held"]
    assert Event.objects.filter(type="effect.done").count() == 1
    pass_time(seconds=61)
    sweep(first, second)
    assert second.status == first.status == Run.Status.COMPLETED


def test_never_more_calls_at_once_than_the_concurrency(zoe):
    with_limits(concurrency=2)
    under_way, most = [0], [0]

    def busy(request):
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        under_way[0] -= 1
        return desk.propose(request)

    desk.behind["write"] = busy
    runs = submit_many(zoe, 7)
    house.drive(*runs)
    for _ in range(4):
        sweep(*runs)

    assert {run.status for run in runs} == {Run.Status.COMPLETED}
    assert most[0] <= 2
    assert set(codes_of(runs)) == {"concurrency"}
    assert journal.verify().problems == []


def test_a_slot_of_a_dead_worker_is_free_with_its_lease(zoe):
    with_limits(concurrency=1)
    dead, waiting = submit_many(zoe, 2)
    now = desk.moved_now()
    Slot.objects.create(run=dead, key="agent:clerk", step="write")
    Run.objects.filter(pk=dead.pk).update(step="write", lease_until=now + timedelta(seconds=20))
    house.drive(waiting)
    held = waiting.status
    pass_time(seconds=21)

    sweep(waiting)

    assert held == Run.Status.HELD
    assert waiting.status == Run.Status.COMPLETED


def test_retries_beyond_the_budget_wait(zoe):
    docs = desk.documents(
        agent={"limits": {"retries": {"share": 10, "floor": 2, "within": "1m"}}, "breaker": {"failures": 100}},
        retry={"attempts": 2, "backoff": "1s", "jitter": False},
    )
    house.bootstrap(docs)
    desk.behind["write"] = RuntimeError("broken")
    runs = submit_many(zoe, 8)
    house.drive(*runs)
    assert {run.status for run in runs} == {Run.Status.WAITING_RETRY}
    pass_time(seconds=2)

    house.drive(*runs)

    assert started(runs) == 8 + 2  # the floor; ten per cent of eight calls is less
    held = [run for run in runs if run.status == Run.Status.HELD]
    assert len(held) == 6
    assert set(codes_of(runs)) == {"retries"}
    desk.behind.clear()
    for _ in range(4):
        pass_time(seconds=60)
        sweep(*runs)
    assert {run.status for run in held} == {Run.Status.COMPLETED}


def test_a_limit_acts_on_runs_that_are_pinned_to_an_older_version(zoe, ada):
    house.bootstrap(desk.documents())
    runs = submit_many(zoe, 3)
    agent = next(doc for doc in desk.documents(agent={"limits": {"rate": {"count": 1, "per": "1m"}}}) if doc["kind"] == "Agent")
    applied = changes.propose([(document_key(agent), agent)], author=ada, actor=user_actor(ada.pk, auth="test"), reason="calm")

    house.drive(*runs)

    assert applied.status == ChangeSet.Status.APPLIED  # a new limit needs one person
    assert started(runs) == 1
    assert HeldRun.objects.count() == 2


@pytest.mark.parametrize(
    "limits",
    [None, {"rate": {"count": 60, "per": "10m"}}, {"rate": {"count": 20, "per": "1m"}}, {"concurrency": 3}],
    ids=["removed", "more at once", "more often", "another in its place"],
)
def test_raising_or_removing_a_limit_needs_two_people(zoe, ada, limits):
    docs = desk.documents(agent={"limits": {"rate": {"count": 10, "per": "1m"}}})
    house.bootstrap(docs)
    wider = next(doc for doc in desk.documents(agent={"limits": limits} if limits else None) if doc["kind"] == "Agent")

    judged = changes.preview([(document_key(wider), wider)], ada)

    assert any("more often than 10 per 1m" in guard for guard in judged.guards)


@pytest.mark.parametrize(
    "change",
    [{"share": 30}, {"floor": 11}, {"within": "30s"}, {"within": "1h"}],
    ids=["more of its calls", "more always", "its floor more often", "more at once"],
)
def test_widening_a_retry_budget_needs_two_people(zoe, ada, change):
    budget = {"share": 20, "floor": 10, "within": "1m"}
    house.bootstrap(desk.documents(agent={"limits": {"retries": budget}}))
    wider = next(doc for doc in desk.documents(agent={"limits": {"retries": budget | change}}) if doc["kind"] == "Agent")

    judged = changes.preview([(document_key(wider), wider)], ada)

    assert any("tried again more often than" in guard for guard in judged.guards)


def test_lowering_a_limit_needs_nobody_else(zoe, ada):
    house.bootstrap(desk.documents(agent={"limits": {"rate": {"count": 10, "per": "1m"}, "concurrency": 4}}))
    lower = desk.documents(agent={"limits": {"rate": {"count": 5, "per": "1m"}, "concurrency": 4}})
    agent = next(doc for doc in lower if doc["kind"] == "Agent")

    assert changes.preview([(document_key(agent), agent)], ada).guards == []


def test_a_change_of_limits_is_told_in_words(zoe, ada):
    house.bootstrap(desk.documents(agent={"limits": {"rate": {"count": 10, "per": "1m"}}}))
    limits = {"rate": {"count": 5, "per": "1m"}, "concurrency": 4, "retries": {"share": 20, "floor": 3, "within": "1m"}}
    agent = next(doc for doc in desk.documents(agent={"limits": limits}) if doc["kind"] == "Agent")

    judged = changes.preview([(document_key(agent), agent)], ada)

    assert list(judged.items[0].sentences) == [
        "clerk may be asked 5 per 1m; before, 10 per 1m.",
        "clerk may do 4 at once; before, any number.",
        "clerk may be tried again 20 % of its calls, or 3, within 1m; before, without limit.",
    ]


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"limits": {"rate": {"count": 5, "per": "2d"}}}, "/spec/limits/rate/per"),
        ({"breaker": {"cooldown": "1h", "cap": "1m"}}, "/spec/breaker/cap"),
        ({"limits": {}}, "/spec/limits"),
        ({"limits": {"rate": {"count": 0, "per": "1m"}}}, "/spec/limits/rate/count"),
    ],
)
def test_a_limit_that_makes_no_sense_is_named_with_its_place(zoe, ada, spec, where):
    agent = next(doc for doc in desk.documents(agent=spec) if doc["kind"] == "Agent")

    judged = changes.preview([(document_key(agent), agent)], ada)

    assert any(where in fault.where for item in judged.items for fault in item.faults)
