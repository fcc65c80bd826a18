"""Branches, items and other workflows as child runs: forked and joined."""

from __future__ import annotations

import pytest

from audit.models import Event, Payload
from orchestration.agents.protocol import Done
from orchestration.engine import state as states
from orchestration.engine import verbs
from orchestration.engine.models import InboxItem, ReviewItem, Run
from tests.children.house import (
    BROKEN,
    FAIL,
    LOOK,
    ask,
    branches,
    children,
    data_of,
    documents,
    drive,
    keep,
    note,
    output_of,
    sound,
    started,
)
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

# --- parallel ---


def test_branches_run_side_by_side_and_their_outputs_are_one(starter, sam):
    house.answers["first"] = Done({"a": 1})
    house.answers["second"] = Done({"b": 2})
    block = {
        "id": "both",
        "parallel": branches(one=ask("first"), two=[ask("second"), ask("third", input={"b": "steps.second.output.b"})]),
    }
    block["parallel"]["two"]["output"] = "steps.third.output.b"

    run = started(starter, documents(block, {"id": "after", "set": {"all": "steps.both.output"}}))

    assert run.status == "completed"
    assert output_of(run, "after") == {"all": {"one": {"first": {"a": 1}}, "two": 2}}
    one, two = children(run)
    assert (one.status, two.status, one.ordinal, two.ordinal, one.parent_step) == ("completed", "completed", 0, 1, "both")
    assert {one.requester_id, two.requester_id} == {run.requester_id}
    assert (one.release_id, one.business_key, one.priority) == (run.release_id, run.business_key, run.priority)
    assert house.types_of(one)[0] == "run.forked"
    assert not Payload.objects.filter(stream=one.stream, name="input").exists(), "the input is read where the parent has it"
    sound()


def test_a_parent_waits_for_its_branches_and_says_so(starter, sam):
    block = {
        "id": "both",
        "parallel": branches(quick=ask("first"), slow=LOOK),
    }

    run = started(starter, documents(block))

    assert (run.status, run.step) == ("waiting_children", "both")
    [item] = ReviewItem.objects.filter(status="open")
    assert item.run.parent_id == run.pk
    sound()


def test_any_goes_on_with_the_first_and_cancels_the_others(starter, sam):
    block = {"id": "race", "parallel": branches(quick=ask("first"), slow=LOOK),
             "join": "any"}  # fmt: skip
    house.answers["first"] = Done({"won": True})

    run = started(starter, documents(block))

    assert run.status == "completed"
    assert output_of(run, "race") == {"quick": {"first": {"won": True}}}
    assert [child.status for child in children(run)] == ["completed", "cancelled"]
    assert ReviewItem.objects.get().status == "cancelled"
    assert [data["why"] for data in data_of(run, "step.stopping")] == ["enough"]
    sound()


def test_two_of_three_is_enough(starter, sam):
    house.answers["b"] = BROKEN
    block = {"id": "most", "parallel": branches(a=ask("a"), b=ask("b", **FAIL), c=ask("c")), "join": {"at_least": 2}}

    run = started(starter, documents(block))

    assert run.status == "completed"
    assert sorted(output_of(run, "most")) == ["a", "c"]
    sound()


def test_a_branch_that_fails_fails_the_block_and_the_others_are_cancelled(starter, sam):
    house.answers["b"] = BROKEN
    look = {"id": "look", "review": "people", "output": "anything@1"}
    block = {"id": "all", "parallel": branches(a=look, b=ask("b", **FAIL)), "on_failure": {"branch_failed": "fail"}}

    run = started(starter, documents(block))

    assert (run.status, states.load(run.state).outcome) == ("failed", "branch_failed")
    assert [child.status for child in children(run)] == ["cancelled", "failed"]
    assert [data["why"] for data in data_of(run, "step.stopping")] == ["lost"]
    sound()


def test_a_block_that_gives_up_waits_in_the_fallback_queue_without_a_word_about_it(starter, sam):
    house.answers["b"] = BROKEN
    run = started(starter, documents({"id": "all", "parallel": branches(a=ask("a"), b=ask("b", **FAIL))}))

    assert run.status == "waiting_review"
    [item] = ReviewItem.objects.filter(run=run)
    assert item.code == "branch_failed"


def test_blocks_stand_in_blocks(starter, sam):
    inner = {"id": "inner", "parallel": branches(x=ask("x"), y={"id": "sum", "set": {"n": "size(steps.first.output.list)"}})}
    block = {
        "id": "outer",
        "parallel": branches(a=[inner, {"id": "after", "set": {"got": "steps.inner.output.y.sum.n"}}], b=ask("b")),
    }
    house.answers["first"] = Done({"list": [1, 2, 3]})

    run = started(starter, documents(ask("first"), block))

    assert run.status == "completed"
    assert output_of(run, "outer")["a"]["after"] == {"got": 3}
    assert Run.objects.count() == 5
    sound()


def test_a_loop_forks_anew_at_each_visit(starter, sam):
    house.answers["a"] = BROKEN
    block = {"id": "all", "parallel": branches(a=ask("a", **FAIL)), "max_visits": 2,
             "on_failure": {"branch_failed": {"step": "again"}, "max_visits": "fail"}}  # fmt: skip
    again = {"id": "again", "set": {"n": "1"}, "next": "all", "max_visits": 2}

    run = started(starter, documents(block, {"id": "end", "finish": "well"}, again))

    assert (run.status, states.load(run.state).outcome) == ("failed", "max_visits")
    assert [(child.parent_visit, child.status) for child in children(run)] == [(1, "failed"), (2, "failed")]
    sound()


# --- map ---


def test_every_item_has_a_run_and_the_outputs_keep_the_order(starter, sam):
    house.answers["first"] = Done({"list": ["a", "b", "c", "d"]})
    each = {"id": "each", "map": "steps.first.output.list", "at_once": 2,
            "steps": [{"id": "one", "set": {"it": "item", "at": "index"}}], "output": "steps.one.output"}  # fmt: skip

    run = started(starter, documents(ask("first"), each))

    assert output_of(run, "each") == {
        "items": [{"it": letter, "at": place} for place, letter in enumerate("abcd")],
        "failures": [],
    }
    assert len(data_of(run, "step.forked")[0]["begun"]) == 2, "no more at once than it says"
    sound()


def test_no_more_items_are_under_way_than_at_once(starter, sam):
    house.answers["first"] = Done({"list": list(range(6))})
    each = {"id": "each", "map": "steps.first.output.list", "at_once": 2,
            "steps": [{"id": "look", "review": "people", "output": "anything@1"}]}  # fmt: skip

    run = started(starter, documents(ask("first"), each))

    assert Run.objects.filter(parent=run).count() == 2
    child = children(run)[0]
    verbs.cancel_run(child.pk, person=starter, actor=house.actor_for(starter), reason="not this one")


def test_an_empty_list_is_done_at_once(starter, sam):
    house.answers["first"] = Done({"list": []})
    each = {"id": "each", "map": "steps.first.output.list", "steps": [ask("one")]}

    run = started(starter, documents(ask("first"), each))

    assert run.status == "completed"
    assert output_of(run, "each") == {"items": [], "failures": []}


def test_a_failed_item_is_listed_where_failures_are_collected(starter, sam):
    house.answers["first"] = Done({"list": [1, 0, 2]})
    each = {"id": "each", "map": "steps.first.output.list", "on_item_failure": "collect",
            "steps": [{"id": "one", "set": {"half": "10 / item"}, "on_failure": {"expression": "fail"}}],
            "output": "steps.one.output.half"}  # fmt: skip

    run = started(starter, documents(ask("first"), each))

    assert run.status == "completed"
    assert output_of(run, "each") == {"items": [10, None, 5], "failures": [{"index": 1, "code": "expression"}]}
    sound()


def test_a_failed_item_fails_the_map_otherwise(starter, sam):
    house.answers["first"] = Done({"list": [1, 0, 2]})
    each = {"id": "each", "map": "steps.first.output.list",
            "steps": [{"id": "one", "set": {"half": "10 / item"}, "on_failure": {"expression": "fail"}}],
            "on_failure": {"branch_failed": "fail"}}  # fmt: skip

    run = started(starter, documents(ask("first"), each))

    assert (run.status, states.load(run.state).outcome) == ("failed", "branch_failed")


@pytest.mark.parametrize("items", [{"list": 5}, {"list": [1, 2, 3, 4]}, {}])
def test_what_is_no_list_or_too_long_has_no_value(starter, sam, items):
    house.answers["first"] = Done(items)
    each = {"id": "each", "map": "steps.first.output.list", "max_items": 3, "steps": [ask("one")],
            "on_failure": {"expression": "fail"}}  # fmt: skip

    run = started(starter, documents(ask("first"), each))

    assert (run.status, states.load(run.state).outcome) == ("failed", "expression")
    assert not children(run)


def test_what_an_agent_proposed_is_carried_out_item_by_item(starter, sam):
    notes = [keep(key).output["note"] for key in ("N-1", "N-2")]
    house.answers["first"] = Done({"list": notes})
    each = {"id": "each", "map": "steps.first.output.list", "steps": [{"id": "write", "act": "item"}]}

    run = started(starter, documents(ask("first"), each))

    assert run.status == "completed"
    assert (note("N-1"), note("N-2")) == ("N-1", "N-2")
    assert {row.agent for row in Event.objects.filter(type="effect.done")} == {"clerk"}
    sound()


# --- run ---

HELPER = {
    "input": "request@1",
    "steps": [{"id": "say", "set": {"said": "input.text"}}],
    "output": {"contract": "anything@1", "value": "steps.say.output"},
}


def test_another_workflow_is_run_on_the_release_pinned_with_ours(starter, sam):
    sub = {"id": "sub", "run": "helper", "input": {"id": "'h-' + input.id", "text": "'hello'"}}
    docs = documents(sub, {"id": "after", "set": {"said": "steps.sub.output.said"}}, others={"helper": HELPER})

    run = started(starter, docs)

    assert run.status == "completed"
    assert output_of(run, "after") == {"said": "hello"}
    [child] = children(run)
    assert child.workflow.name == "helper"
    assert child.business_key == "h-n-1"
    assert run.release.document.count(child.release.digest) == 1, "its release is one of our pins"
    sound()


def test_a_run_that_breaks_its_output_contract_fails_and_so_does_the_step(starter, sam):
    computed = "true ? steps.say.output : {}"  # nothing is known of it before the run
    helper = {**HELPER, "output": {"contract": "request@1", "value": computed}}
    sub = {"id": "sub", "run": "helper", "input": {"id": "input.id", "text": "'x'"}, "on_failure": {"branch_failed": "fail"}}

    run = started(starter, documents(sub, others={"helper": helper}))

    assert (run.status, states.load(run.state).outcome) == ("failed", "branch_failed")
    [child] = children(run)
    assert (child.status, states.load(child.state).outcome) == ("failed", "contract")
    sound()


def test_an_input_that_breaks_the_others_contract_stops_here(starter, sam):
    house.answers["first"] = Done({"id": 7})
    sub = {
        "id": "sub",
        "run": "helper",
        "input": {"id": "steps.first.output.id", "text": "'x'"},
        "on_failure": {"contract": "fail"},
    }

    run = started(starter, documents(ask("first"), sub, others={"helper": HELPER}))

    assert (run.status, states.load(run.state).outcome) == ("failed", "contract")
    assert not children(run)
    sound()


def test_a_workflow_without_an_output_leaves_an_empty_one(starter, sam):
    helper = {key: value for key, value in HELPER.items() if key != "output"}
    run = started(starter, documents({"id": "sub", "run": "helper"}, others={"helper": helper}), {"id": "n-1", "text": "x"})

    assert run.status == "completed"
    assert output_of(run, "sub") == {}
    sound()


# --- time and repetition ---


def test_words_of_children_repeated_or_out_of_place_change_nothing(starter, sam):
    run = started(starter, documents({"id": "all", "parallel": branches(a=LOOK, b=ask("b"))}))
    [told] = InboxItem.objects.filter(run=run, kind="child_ended")
    from orchestration.engine import inbox

    for _ in range(2):
        inbox.post(run.pk, "child_ended", actor=house.actor_for(starter), ref=told.ref, outcome=told.outcome)
    drive(run)

    assert run.status == "waiting_children"
    assert len(data_of(run, "child.ended")) == 1
    assert house.types_of(run).count("inbox.ignored") == 2
