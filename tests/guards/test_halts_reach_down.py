"""A halt of a workflow holds the runs of other workflows to which its own led, however deep, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from approvals import gates
from approvals.errors import RequestFrozen
from approvals.models import ApprovalRequest
from audit import journal
from orchestration.engine import verbs as engine
from orchestration.engine.driver import Driver
from orchestration.engine.guards import freezing, verbs, waking
from orchestration.engine.guards.models import HeldRun
from orchestration.engine.models import ReviewItem, Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import pass_time

pytestmark = pytest.mark.django_db(transaction=True)

WRITE = {"id": "write", "agent": "clerk", "output": "anything@1"}
LAST = {"input": "request@1", "business_key": "input.id", "fallback": {"queue": "people"}}


def documents(*last):
    """`notes` runs `middle`, inside a branch, which runs `last`, which has these steps. `memos` is `last`'s other caller."""
    docs = desk.documents()
    docs[-1]["spec"]["steps"] = [{"id": "hand", "run": "middle"}]
    middle = {**LAST, "steps": [{"id": "side", "parallel": {"one": {"steps": [{"id": "pass", "run": "last"}]}}}]}
    memos = {**LAST, "steps": [{"id": "ask", "run": "last"}]}
    others = {"last": {**LAST, "steps": list(last)}, "middle": middle, "memos": memos}
    return [*docs, *(house.document("Workflow", name, spec, owner="Support leads") for name, spec in others.items())]


def begun(zoe, *last):
    house.bootstrap(documents(*last))
    return house.submit(zoe)


def drive():
    Driver().drive()


def last_of(run):
    """The innermost run of a family."""
    while child := Run.objects.filter(parent=run).first():
        run = child
    return run


def fork(run):
    """Drive the family down to the innermost run, which is not begun."""
    while last_of(run).workflow.name != "last":
        house.drive(last_of(run))


def halt(actor, name="notes"):
    return verbs.halt("workflow", name, actor=actor, reason="it writes nonsense").halt


def sound():
    assert journal.verify().problems == []


@pytest.mark.parametrize("name", ["notes", "middle", "last"])
def test_no_intent_is_begun_below_a_workflow_that_is_halted_and_resuming_lets_it_go(zoe, as_ada, name):
    run = begun(zoe, WRITE)
    fork(run)
    row = halt(as_ada, name)

    drive()

    inner = last_of(run)
    assert (inner.workflow.name, inner.status) == ("last", "held")
    assert house.types_of(inner) == ["run.forked", "step.held"]
    assert HeldRun.objects.get().guard == f"halt:{row.pk}"
    verbs.resume(row.pk, actor=as_ada, reason="mended", pace=1)
    pass_time(seconds=2)
    assert waking.wake_due() == 1
    drive()
    run.refresh_from_db()
    assert run.status == "completed"
    sound()


def test_a_run_of_the_same_workflow_that_nobody_halted_led_to_goes_on(zoe, as_ada):
    run = begun(zoe, WRITE)
    fork(run)
    halt(as_ada)
    memo = engine.submit("memos", engine.Submission({"id": "m-1"}), person=zoe, actor=house.actor_for(zoe)).run

    drive()

    memo.refresh_from_db()
    assert (memo.status, last_of(run).status) == ("completed", "held")


def test_the_clock_of_a_step_stands_while_a_workflow_above_is_halted(zoe, as_ada):
    gate = {"id": "gate", "gate": "leads", "deadline": "10m", "on_failure": {"deadline": "fail"}}
    run = begun(zoe, gate)
    drive()
    inner = last_of(run)
    row = halt(as_ada)
    pass_time(minutes=30)

    drive()

    inner.refresh_from_db()
    assert inner.status == "waiting_decision", "time did not count"
    verbs.resume(row.pk, actor=as_ada, reason="mended")
    pass_time(seconds=31)
    drive()
    assert house.types_of(inner)[-1] == "deadline.moved"
    pass_time(minutes=11)
    drive()
    inner.refresh_from_db()
    assert inner.status == "failed"
    sound()


@pytest.mark.parametrize("is_swept", [True, False])
def test_what_people_were_asked_below_it_freezes_and_thaws(zoe, sam, as_ada, monkeypatch, is_swept):
    run = begun(zoe, {"id": "gate", "gate": "leads"})
    drive()
    request = ApprovalRequest.objects.get(run_id=last_of(run).pk)
    with monkeypatch.context() as late:
        if not is_swept:
            late.setattr(freezing, "keep", lambda limit=0: 0)
        row = halt(as_ada)

        with pytest.raises(RequestFrozen):
            gates.decide(request.pk, person=sam, auth="test", verdict="approve", reason="yes", seen_digest=request.digest)

    pass_time(minutes=50)
    verbs.resume(row.pk, actor=as_ada, reason="mended")
    before, request = request.deadline, ApprovalRequest.objects.get(pk=request.pk)
    assert request.status == "open"
    assert timedelta(minutes=50) <= request.deadline - before < timedelta(minutes=51)


def test_a_review_item_below_it_freezes_and_thaws(zoe, as_ada):
    run = begun(zoe, {"id": "look", "review": "people", "output": "anything@1"})
    drive()
    item = ReviewItem.objects.get(run=last_of(run))

    row = halt(as_ada)

    frozen = ReviewItem.objects.get(pk=item.pk)
    assert frozen.frozen_at == row.placed_at
    pass_time(minutes=20)
    verbs.resume(row.pk, actor=as_ada, reason="mended")
    item = ReviewItem.objects.get(pk=item.pk)
    assert item.frozen_at is None
    assert timedelta(minutes=20) <= item.due_at - frozen.due_at < timedelta(minutes=21)


def test_runs_forked_before_this_release_learn_what_led_to_them(zoe):
    run = begun(zoe, WRITE)
    drive()
    before = dict(Run.objects.values_list("pk", "lineage"))
    Run.objects.update(lineage="")

    import_module("orchestration.migrations.0013_lineage").fill(apps, None)

    assert dict(Run.objects.values_list("pk", "lineage")) == before
    assert before[run.pk] == ""
    above = Run.objects.filter(workflow__name__in=("notes", "middle")).values_list("workflow_id", flat=True)
    assert set(before[last_of(run).pk].split()) == {str(pk) for pk in above}


@pytest.mark.postgres
def test_the_requests_below_a_halt_are_found_by_key_and_never_by_reading_all_runs(zoe, as_ada):
    begun(zoe, {"id": "gate", "gate": "leads"})
    row = halt(as_ada)
    due = ApprovalRequest.objects.filter(freezing._covered(row), status="open", deadline__gt=row.placed_at)
    sql, params = due.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")  # of a handful of rows any plan is cheap
        cursor.execute(f"EXPLAIN {sql}", params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")

    assert "orchestration_run_pkey" in plan, plan
