"""A halt stops new intents of what it covers from its commit on, and nothing else; resuming lets them go in stages."""

from __future__ import annotations

import pytest

from aegis.core import clock
from aegis.core.errors import Forbidden, Invalid, NotFound
from aegis.identity import authority
from audit import journal
from audit.models import Event
from orchestration.agents.protocol import AgentRequest, Done
from orchestration.engine import verbs as runs
from orchestration.engine import worker
from orchestration.engine.guards import verbs, waking
from orchestration.engine.guards.models import Halt, HeldRun
from orchestration.engine.guards.verbs import NotHalted
from orchestration.engine.models import Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import pass_time

pytestmark = pytest.mark.django_db(transaction=True)

SCOPES = [("agent", "clerk"), ("workflow", "notes"), ("everything", "")]


def halt(actor, what="agent", name="clerk"):
    return verbs.halt(what, name, actor=actor, reason="it writes nonsense").halt


def resume(row, actor, **pace):
    return verbs.resume(row.pk, actor=actor, reason="mended", **pace).halt


def verified() -> bool:
    report = journal.verify()
    assert report.problems == []
    return report.is_good


@pytest.mark.parametrize(("what", "name"), SCOPES)
def test_a_run_that_would_begin_an_intent_is_held_and_says_by_what(notes, as_ada, what, name):
    row = halt(as_ada, what, name)
    run = house.submit(notes)

    house.drive(run)

    assert run.status == Run.Status.HELD
    assert run.due_at is None
    assert house.types_of(run) == ["run.submitted", "step.held"]
    held = journal.read(run.stream)[-1]
    assert f'"by":"{row.pk}"' in held.line
    assert HeldRun.objects.get().guard == f"halt:{row.pk}"
    assert verified()


@pytest.mark.parametrize(("what", "name"), SCOPES)
def test_a_local_effect_is_held_too_and_done_once_after_resuming(notes, as_ada, what, name):
    stopped: list[Halt] = []

    def halts_itself(request: AgentRequest) -> Done:
        if not stopped:
            stopped.append(halt(as_ada, what, name))
        return Done({"note": house.NOTE}, confidence=0.9)

    desk.behind["write"] = halts_itself
    run = house.submit(notes)

    house.drive(run)

    # The answer of the call under way is recorded; the effect it led to is not begun.
    assert house.types_of(run) == ["run.submitted", "step.started", "step.completed", "verdict.given", "step.held"]
    resume(stopped[0], as_ada)
    pass_time(seconds=2)
    waking.wake_due()
    house.drive(run)
    assert run.status == Run.Status.COMPLETED
    assert house.types_of(run)[4:] == ["step.held", "step.resumed", "verdict.given", "effect.done", "run.completed"]
    assert verified()


def test_an_idle_driver_leaves_held_runs_alone(notes, as_ada):
    halt(as_ada)
    run = house.submit(notes)
    house.drive(run)
    before = run.seq

    house.drive(run)

    assert run.seq == before


def test_cancelling_a_held_run_works_while_it_is_halted(notes, as_ada):
    halt(as_ada, "everything", "")
    run = house.submit(notes)
    house.drive(run)

    runs.cancel_run(run.pk, person=notes, actor=house.actor_for(notes), reason="not needed any more")
    house.drive(run)

    assert run.status == Run.Status.CANCELLED
    assert not HeldRun.objects.exists()
    assert verified()


def test_a_retry_that_comes_due_during_a_halt_is_held(zoe, as_ada):
    house.bootstrap(desk.documents(retry={"attempts": 3, "backoff": "1s", "jitter": False}))
    desk.behind["write"] = RuntimeError("no")
    run = house.submit(zoe)
    house.drive(run)
    assert run.status == Run.Status.WAITING_RETRY
    halt(as_ada)
    pass_time(seconds=5)

    house.drive(run)

    assert run.status == Run.Status.HELD
    assert house.types_of(run).count("step.started") == 1


def test_what_a_halt_does_not_cover_goes_on(zoe, as_ada):
    docs = desk.documents()
    house.bootstrap([*docs[:-1], house.document("Agent", "other", docs[-2]["spec"]), docs[-1]])
    halt(as_ada, "agent", "other")
    run = house.submit(zoe)

    house.drive(run)

    assert run.status == Run.Status.COMPLETED


def test_halting_twice_changes_nothing_the_second_time(notes, as_ada):
    first = verbs.halt("agent", "clerk", actor=as_ada, reason="first")
    second = verbs.halt("agent", "clerk", actor=as_ada, reason="second")

    assert first.is_new
    assert not second.is_new
    assert second.halt.pk == first.halt.pk
    assert Event.objects.filter(type="halt.placed").count() == 1


def test_resuming_what_is_over_is_a_conflict_and_leaves_no_event(notes, as_ada):
    row = halt(as_ada)
    resume(row, as_ada)
    row.refresh_from_db()
    assert row.status == Halt.Status.LIFTED
    before = Event.objects.count()

    with pytest.raises(NotHalted):
        resume(row, as_ada)

    assert Event.objects.count() == before


def test_overlapping_halts_hold_until_the_last_is_resumed(notes, as_ada):
    clerk, everything = halt(as_ada), halt(as_ada, "everything", "")
    run = house.submit(notes)
    house.drive(run)

    resume(everything, as_ada)
    pass_time(seconds=2)
    waking.wake_due()
    house.drive(run)
    run.refresh_from_db()
    held_by_clerk = HeldRun.objects.get().guard == f"halt:{clerk.pk}" or run.status == Run.Status.HELD
    resume(clerk, as_ada)
    pass_time(seconds=4)
    waking.wake_due()
    house.drive(run)

    assert held_by_clerk
    assert run.status == Run.Status.COMPLETED
    assert verified()


def test_resuming_lets_the_most_urgent_and_oldest_go_first_at_the_stated_pace(notes, as_ada, monkeypatch):
    start = clock.db_now()  # it moves only as the test says: a slow machine must not lengthen a stage
    monkeypatch.setattr(clock, "db_now", lambda: start + desk._offset[0])
    row = halt(as_ada)
    held = []
    for index in range(12):
        pass_time(milliseconds=1)
        held.append(house.submit(notes, {"id": f"n-{index}"}))
    Run.objects.filter(pk=held[7].pk).update(priority=1)
    house.drive(*held)
    resume(row, as_ada, pace=3)

    stages = []
    for _ in range(5):
        pass_time(seconds=1)
        waking.wake_due()
        stages.append(set(HeldRun.objects.filter(woken_at__isnull=False).values_list("run_id", flat=True)))
        house.drive(*held)

    assert [len(stage) for stage in stages] == [3, 3, 3, 3, 0]
    order = [held[7], *held[:7], *held[8:]]
    assert stages[0] == {run.pk for run in order[:3]}
    assert stages[3] == {run.pk for run in order[9:]}
    assert {run.status for run in held} == {Run.Status.COMPLETED}
    row.refresh_from_db()
    assert (row.status, row.released) == (Halt.Status.LIFTED, 12)
    told = list(Event.objects.filter(stream=row.stream).order_by("seq").values_list("type", flat=True))
    assert told == ["halt.placed", "halt.resuming", *["halt.released"] * 4, "halt.lifted"]
    assert verified()


def test_a_second_halt_stops_the_resuming(notes, as_ada):
    row = halt(as_ada)
    held = [house.submit(notes, {"id": f"n-{index}"}) for index in range(6)]
    house.drive(*held)
    resume(row, as_ada, pace=2)
    pass_time(seconds=1)
    waking.wake_due()

    again = verbs.halt("agent", "clerk", actor=as_ada, reason="not yet")
    pass_time(seconds=10)
    woken = waking.wake_due()
    house.drive(*held)

    assert again.is_new
    assert again.halt.pk == row.pk
    assert woken == 0
    assert {run.status for run in held} == {Run.Status.HELD}  # those on their way met the halt again
    assert not Event.objects.filter(type="step.started").exists()
    resume(row, as_ada)
    pass_time(minutes=1)
    waking.wake_due()
    house.drive(*held)
    assert {run.status for run in held} == {Run.Status.COMPLETED}
    assert verified()


def test_every_halt_and_resuming_raises_the_epoch(notes, as_ada):
    before = authority.current_epoch()
    row = halt(as_ada)
    between = authority.current_epoch()
    resume(row, as_ada)

    assert before < between < authority.current_epoch()


def test_a_reason_is_needed_and_kept_out_of_the_line(notes, as_ada):
    with pytest.raises(Invalid, match="why"):
        verbs.halt("agent", "clerk", actor=as_ada, reason="  ")
    row = halt(as_ada)

    event = Event.objects.get(type="halt.placed")
    assert "nonsense" not in event.line
    assert journal.payload(event.stream, event.seq, "reason") == b'"it writes nonsense"'
    assert row.place == f"{event.stream}/{event.seq}"


@pytest.mark.parametrize(("what", "name"), SCOPES)
def test_who_may_not_operate_it_is_refused(notes, quinn, as_actor, what, name):
    with pytest.raises(Forbidden):
        verbs.halt(what, name, actor=as_actor(quinn), reason="I can see it")

    assert not Halt.objects.exists()
    assert Event.objects.filter(type="access.denied").count() == 1


@pytest.mark.parametrize(("what", "name"), SCOPES[:2])
def test_to_who_may_not_see_it_it_does_not_exist(notes, root, as_actor, what, name):
    with pytest.raises(NotFound):
        verbs.halt(what, name, actor=as_actor(root), reason="superusers too")


def test_a_late_failure_of_the_clerk_is_recorded_while_it_is_halted(notes, as_ada):
    stopped: list[Halt] = []

    def fails_late(request: AgentRequest) -> Done:
        stopped.append(halt(as_ada))
        raise RuntimeError("too late")

    desk.behind["write"] = fails_late
    run = house.submit(notes)

    house.drive(run)

    assert house.types_of(run) == ["run.submitted", "step.started", "step.failed", "review.opened"]


def test_a_fault_in_other_housekeeping_does_not_keep_runs_held(notes, as_ada, monkeypatch):
    row = halt(as_ada)
    run = house.submit(notes)
    house.drive(run)
    resume(row, as_ada)
    pass_time(seconds=2)

    def broken() -> int:
        raise RuntimeError("a request that cannot expire")

    monkeypatch.setattr(worker.gates, "expire_due", broken)
    with pytest.raises(RuntimeError, match="cannot expire"):
        worker.housekeep()
    house.drive(run)

    assert run.status == Run.Status.COMPLETED
