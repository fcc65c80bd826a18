"""Branches, items and other workflows as child runs: forked, joined, cancelled, tried again, undone."""

from __future__ import annotations

import pytest

from audit.models import Event, Payload
from orchestration.agents.protocol import Done
from orchestration.engine import state as states
from orchestration.engine import verbs
from orchestration.engine.models import InboxItem, ReviewItem, Run
from orchestration.records import store
from tests.children.house import BROKEN, acts, ask, children, data_of, documents, drive, keep, notes, output_of, sound
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

LOOK = {"id": "look", "review": "people", "output": "anything@1"}
FAIL = {"on_failure": {"agent_error": "fail"}}


def started(starter, docs, payload=None):
    house.bootstrap(docs)
    notes("N-1", "N-2", "N-3")
    run = house.submit(starter, payload)
    drive(run)
    return run


def branches(**names):
    return {name: {"steps": steps if isinstance(steps, list) else [steps]} for name, steps in names.items()}


def note(key):
    """What a note says: nothing at first, its own key once it was written."""
    return store.read("note", key).body["text"]


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


# --- cancel, retry, undo ---


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
