"""Blocks that are cancelled, tried again or undone: what becomes of their child runs."""

from __future__ import annotations

import pytest

from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine import state as states
from orchestration.engine import verbs
from orchestration.engine.models import ReviewItem, Run
from tests.children.house import (
    BROKEN,
    FAIL,
    LOOK,
    acts,
    ask,
    branches,
    children,
    data_of,
    documents,
    drive,
    keep,
    note,
    sound,
    started,
)
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)


def test_cancelling_a_parent_cancels_its_children_first(starter, sam):
    run = started(starter, documents({"id": "all", "parallel": branches(a=LOOK, b=ask("b"))}))

    verbs.cancel_run(run.pk, person=starter, actor=house.actor_for(starter), reason="no longer wanted")
    drive(run)

    assert run.status == "cancelled"
    a, b = children(run)
    assert (a.status, b.status) == ("cancelled", "completed")
    ended = Event.objects.get(stream=a.stream, type="run.cancelled")
    assert ended.at <= Event.objects.get(stream=run.stream, type="run.cancelled").at
    assert f"user:{starter.pk}" in ended.line or str(starter.pk) in ended.line, "by whoever cancelled the parent"
    sound()


def test_a_child_cancelled_by_itself_counts_as_not_well(starter, sam):
    run = started(starter, documents({"id": "all", "parallel": branches(a=LOOK, b=ask("b"))}))
    child = children(run)[0]

    verbs.cancel_run(child.pk, person=starter, actor=house.actor_for(starter), reason="not this one")
    drive(run)

    assert run.status == "waiting_review"
    assert ReviewItem.objects.get(run=run).code == "branch_failed"
    sound()


def test_trying_a_block_again_begins_only_what_was_not_well_and_keeps_the_keys_of_effects(starter, sam):
    house.answers["plan-a"] = keep("N-1")
    house.answers["plan-b"] = keep("N-2")
    house.answers["more"] = BROKEN
    block = {"id": "all", "parallel": branches(a=acts("a"), b=[*acts("b"), ask("more", **FAIL)])}
    run = started(starter, documents(block))
    assert run.status == "waiting_review"
    keys = [data["key"] for child in children(run) for data in data_of(child, "effect.done")]

    house.answers["more"] = Done({"ok": True})
    verbs.retry_run(run.pk, person=starter, actor=house.actor_for(starter), reason="mended")
    drive(run)

    assert run.status == "completed"
    assert len(children(run)) == 2, "the same runs"
    assert [data["key"] for child in children(run) for data in data_of(child, "effect.done")] == keys, "nothing is done twice"
    assert sum(data["effects"] for data in data_of(run, "child.ended") if data["outcome"] == "completed") == 2
    sound()


def test_a_child_is_not_retried_by_itself_once_its_parent_has_been_told(starter, sam):
    house.answers["b"] = BROKEN
    run = started(starter, documents({"id": "all", "parallel": branches(a=ask("a"), b=ask("b", **FAIL))}))
    child = children(run)[1]

    with pytest.raises(verbs.RunAtRest, match=run.label):
        verbs.retry_run(child.pk, person=starter, actor=house.actor_for(starter), reason="again")


def test_giving_up_into_compensation_undoes_what_children_did_in_reverse_order_of_their_end(starter, sam):
    for name, key in (("a", "N-1"), ("b", "N-2"), ("c", "N-3")):
        house.answers[f"plan-{name}"] = keep(key)
    house.answers["last"] = BROKEN
    block = {"id": "all", "parallel": branches(b=acts("b"), c=[*acts("c"), {"id": "later", "set": {"x": "1"}}])}
    last = ask("last", on_failure={"agent_error": "compensate"})

    run = started(starter, documents(*acts("a"), block, last))

    assert (run.status, states.load(run.state).outcome) == ("failed", "agent_error")
    assert [note(key) for key in ("N-1", "N-2", "N-3")] == ["", "", ""]
    assert [child.status for child in children(run)] == ["rolled_back", "rolled_back"]
    ended = [data["child"] for data in data_of(run, "child.ended")]
    assert [data["child"] for data in data_of(run, "child.undone")] == ended[::-1]
    undone = Event.objects.filter(type="effect.done", capability="note.undo").order_by("at", "id")
    assert undone.last().stream == run.stream, "what came first is undone last"
    assert states.load(run.state).is_compensated
    sound()


def test_a_cancelled_parent_undoes_what_its_completed_children_did(starter, sam):
    house.answers["plan-a"] = keep("N-1")
    run = started(starter, documents({"id": "all", "parallel": branches(a=acts("a"), b=LOOK)}))
    assert note("N-1") == "N-1"

    verbs.cancel_run(run.pk, person=starter, actor=house.actor_for(starter), reason="no longer wanted")
    drive(run)

    assert run.status == "cancelled"
    assert note("N-1") == ""
    assert [child.status for child in children(run)] == ["rolled_back", "cancelled"]
    sound()


def test_effects_of_grandchildren_are_undone_too(starter, sam):
    house.answers["plan-a"] = keep("N-1")
    house.answers["last"] = BROKEN
    inner = {"id": "inner", "map": "[1]", "steps": acts("a")}
    block = {"id": "all", "parallel": branches(a=inner)}

    run = started(starter, documents(block, ask("last", on_failure={"agent_error": "compensate"})))

    assert run.status == "failed"
    assert note("N-1") == ""
    assert {child.status for child in Run.objects.exclude(pk=run.pk)} == {"rolled_back"}
    sound()


def test_what_other_workflows_did_is_undone_by_their_own_definition(starter, sam):
    house.answers["plan-a"] = keep("N-1")
    house.answers["last"] = BROKEN
    helper = {"input": "request@1", "steps": acts("a")}

    run = started(
        starter,
        documents(
            {"id": "sub", "run": "helper"}, ask("last", on_failure={"agent_error": "compensate"}), others={"helper": helper}
        ),
    )

    assert run.status == "failed"
    assert note("N-1") == ""
    sound()


def test_a_losing_branch_that_had_acted_undoes_it_before_the_race_is_over(starter, sam):
    house.answers["plan-a"] = keep("N-1")
    block = {"id": "race", "parallel": branches(a=[*acts("a"), LOOK], b=ask("b")), "join": "any"}

    run = started(starter, documents(block))

    assert run.status == "completed"
    assert note("N-1") == ""
    assert not states.load(run.state).effects
    sound()
