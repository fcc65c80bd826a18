"""A rehearsal goes through blocks: branches, items and other workflows, joined by the rules of the engine."""

from __future__ import annotations

import copy

import pytest

from audit.catalogue import get, sentence
from orchestration.engine import rehearsal
from orchestration.engine.rehearsal_words import as_json, ending_words, lines_of
from tests.engine.test_rehearsal import CHANGE, INPUT, RECORD, allowed, play, types
from tests.workflows.documents import closed, document, invoice_flow

LIST = {"kind": "typo", "change": CHANGE}


def agent(name):
    return {"id": name, "agent": "reader", "output": "change@1", "input": {"text": "input.text"}}


def only(*steps, **spec):
    """A workflow of these steps alone."""

    def bend(workflow, around):
        allowed(workflow, around)
        workflow["spec"].pop("success")
        workflow["spec"].update(steps=list(copy.deepcopy(steps)), **copy.deepcopy(spec))

    return bend


def branches(join="all", **steps):
    return {"id": "both", "parallel": {name: {"steps": body} for name, body in steps.items()}, "join": join}


def each(*body, over="[10, 20, 30]", **said):
    return {"id": "each", "map": over, "steps": list(body), **said}


def parts_of(played):
    return [(part.name, part.played.status, part.played.path) for part in played.parts]


def test_branches_are_played_and_their_outputs_joined():
    bend = only(
        branches(left=[agent("read")], right=[{"id": "one", "set": {"x": "1"}}]),
        {"id": "n", "set": {"l": "steps.both.output.left.read.kind"}},
    )

    played = play(bend, answers={"read": LIST})

    assert played.status == "completed"
    assert played.path == ("both", "n")
    assert parts_of(played) == [("branch left", "completed", ("read",)), ("branch right", "completed", ("one",))]
    assert played.values["both"] == {"left": {"read": LIST}, "right": {"one": {"x": 1}}}
    assert played.values["n"] == {"l": "typo"}
    assert types(played)[:2] == ["step.forked", "child.ended"]


def test_an_agent_in_a_branch_that_nobody_answers_for_is_where_it_stops():
    played = play(only(branches(left=[agent("read")], right=[{"id": "one", "set": {"x": "1"}}])))

    assert (played.status, played.waits_for.step, played.waits_for.within) == ("waiting_answer", "read", "both: branch left")
    assert ending_words(played).startswith("read (both: branch left) would ask the agent reader now")


@pytest.mark.parametrize(
    ("join", "fails", "status"),
    [
        ("all", {"a": "timeout"}, "waiting_review"),
        ({"at_least": 2}, {"a": "timeout"}, "completed"),
        ({"at_least": 2}, {"a": "timeout", "b": "timeout"}, "waiting_review"),
        ("any", {"a": "timeout", "b": "timeout"}, "completed"),
    ],
)
def test_joins_are_those_of_the_engine(join, fails, status):
    body = {name: [{**agent(name), "on_failure": {"*": "fail"}}] for name in ("a", "b", "c")}

    played = play(only(branches(join, **body)), answers={"a": LIST, "b": LIST, "c": LIST}, fails=fails)

    assert played.status == status
    if status != "completed":
        assert played.waits_for.code == "branch_failed"


def test_of_any_the_first_that_is_well_wins_and_the_others_are_cancelled():
    slow = [{"id": "nap", "wait": {"for": "2h"}}, {"id": "late", "set": {"x": "1"}}]
    played = play(only(branches("any", slow=slow, quick=[agent("read")])), answers={"read": LIST})

    assert parts_of(played) == [("branch slow", "cancelled", ("nap",)), ("branch quick", "completed", ("read",))]
    assert played.values["both"] == {"quick": {"read": LIST}}


def test_waits_in_branches_end_in_the_order_of_their_times():
    long = [{"id": "day", "wait": {"for": "1d"}}]
    short = [{"id": "hour", "wait": {"for": "1h"}}]

    played = play(only(branches("any", long=long, short=short)))

    assert [(name, status) for name, status, _ in parts_of(played)] == [
        ("branch long", "cancelled"), ("branch short", "completed"),
    ]  # fmt: skip


def test_a_deadline_of_the_block_passes_before_a_longer_wait_in_it():
    block = {**branches(long=[{"id": "day", "wait": {"for": "1d"}}]), "deadline": "1h"}

    played = play(only(block))

    assert (played.status, played.waits_for.code) == ("waiting_review", "deadline")
    assert parts_of(played) == [("branch long", "cancelled", ("day",))]


def test_items_have_answers_of_their_own_by_the_number_the_pages_show():
    other = {**LIST, "kind": "price"}
    played = play(only(each(agent("look"))), answers={"look": LIST, "each#2.look": other})

    assert [name for name, *_ in parts_of(played)] == ["item 1", "item 2", "item 3"]
    assert [item["look"]["kind"] for item in played.values["each"]["items"]] == ["typo", "price", "typo"]


def test_a_map_begins_no_more_items_than_at_once():
    played = play(only(each({"id": "look", "set": {"v": "item", "i": "index"}}, at_once=1, output="steps.look.output")))

    assert types(played).count("step.forked") == 3
    assert played.values["each"]["items"] == [{"v": 10, "i": 0}, {"v": 20, "i": 1}, {"v": 30, "i": 2}]


@pytest.mark.parametrize(("policy", "status"), [("collect", "completed"), ("fail", "waiting_review")])
def test_an_item_that_fails_is_collected_or_fails_the_block(policy, status):
    body = {**agent("look"), "on_failure": {"*": "fail"}}

    played = play(only(each(body, on_item_failure=policy)), answers={"look": LIST}, fails={"each#3.look": "timeout"})

    assert played.status == status
    if policy == "collect":
        assert played.values["each"]["failures"] == [{"index": 2, "code": "timeout"}]
        assert played.values["each"]["items"][2] is None


def test_each_item_may_wait_for_a_message_of_its_own():
    wait = {"id": "paid", "wait": {"message": "paid", "key": "input.id", "output": "change@1", "within": "2d"}}

    silent = play(only(each(wait)), answers={"each#1.paid": LIST, "each#3.paid": LIST})
    late = play(only(each({**wait, "on_failure": {"*": "fail"}}, on_item_failure="collect")),
                answers={"paid": LIST}, fails={"each#2.paid": "no_message"})  # fmt: skip

    assert (silent.status, silent.waits_for.kind, silent.waits_for.within) == ("waiting_children", "message", "each: item 2")
    assert late.values["each"]["failures"] == [{"index": 1, "code": "no_message"}]


def helper():
    other = invoice_flow()
    other["metadata"]["name"] = "helper"
    other["spec"].update(steps=[agent("look"), {"id": "told", "set": {"who": "input.id"}}])
    other["spec"].pop("success")
    other["spec"]["output"] = {"contract": "told@1", "value": "steps.told.output"}
    return other


def with_helper(*steps, **spec):
    def bend(workflow, around):
        only(*steps, **spec)(workflow, around)
        around["Contract/told@1"] = document("Contract", "told@1", {"schema": closed(who={"type": "string"})})
        around["Workflow/helper"] = helper()

    return bend


def test_another_workflow_is_played_and_its_steps_are_answered_through_the_run_step():
    sub = {"id": "sub", "run": "helper", "input": {"id": "'H-1'", "text": "input.text", "amount": "1"}}

    unanswered = play(with_helper(sub), answers={"look": LIST})
    played = play(with_helper(sub), answers={"sub.look": LIST})

    assert (unanswered.status, unanswered.waits_for.within) == ("waiting_answer", "sub: workflow helper")
    assert played.values["sub"] == {"who": "H-1"}
    assert (played.parts[0].name, played.parts[0].played.business_key) == ("workflow helper", "H-1")


def test_what_an_item_did_is_undone_when_the_run_gives_up():
    def bend(workflow, around):
        only(agent("read"), each({"id": "apply", "act": "steps.read.output.change", "compensate": True}, over="[1]"),
             {"id": "broken", "set": {"x": "1 / 0"}, "on_failure": {"expression": "compensate"}})(workflow, around)  # fmt: skip
        around["Role/clerk"]["spec"]["grants"].append({"capability": "invoice.restore", "effect": "allow"})
        around["Capability/invoice.update"]["spec"]["compensation"] = "invoice.restore"
        restore = copy.deepcopy(around["Capability/invoice.update"])
        restore["metadata"]["name"] = "invoice.restore"
        restore["spec"].pop("compensation")
        restore["spec"]["handler"] = "record.restore"
        around["Capability/invoice.restore"] = restore

    played = play(bend, answers={"read": LIST}, records=[RECORD])

    assert (played.status, played.outcome) == ("failed", "expression")
    assert [one.type for one in played.happenings][-4:] == ["child.recalled", "child.undone", "run.compensated", "run.failed"]
    assert played.parts[0].played.status == "rolled_back"


def test_a_verdict_in_a_branch_is_told_with_its_branch():
    body = [{"id": "apply", "act": "steps.read.output.change"}]

    def bend(workflow, around):
        only(agent("read"), branches(one=body))(workflow, around)
        around["Role/clerk"]["spec"]["grants"] = [{"capability": "invoice.update", "effect": "gate", "policy": "two-eyes"}]

    played = play(bend, answers={"read": LIST}, records=[RECORD])

    told = as_json(played)["parts"][0]
    assert (told["step"], told["part"], told["path"]) == ("both", "branch one", ["apply"])
    assert next(one["verdict"] for one in told["happenings"] if one["verdict"]).startswith("gate under two-eyes")
    assert (played.status, played.waits_for.kind, played.waits_for.within) == (
        "waiting_children",
        "decision",
        "both: branch one",
    )


def test_blocks_stand_in_blocks_and_a_key_names_as_much_of_the_way_as_it_needs():
    inner = branches(low=[agent("look")])
    played = play(only(each(inner, over="[1, 2]")), answers={"look": LIST, "each#2.both.look": {**LIST, "kind": "price"}})

    kinds = [part.played.parts[0].played.values["look"]["kind"] for part in played.parts]
    assert (played.status, kinds) == ("completed", ["typo", "price"])


def test_the_same_script_gives_the_same_rehearsal():
    bend = only(branches("any", a=[agent("one")], b=[agent("two")], c=[each(agent("three"))]))
    said = {"one": LIST, "two": LIST, "three": LIST}

    assert as_json(play(bend, answers=said)) == as_json(play(bend, answers=said))


@pytest.mark.parametrize(
    ("bound", "most", "why"),
    [
        ("MAX_RUNS", 3, "more than 3 runs"),
        ("MAX_STEPS", 2, "more than 2 steps"),
        ("MAX_TURNS", 2, "more than 2 turns"),
        ("MAX_DEPTH", 1, "blocks more than 1 deep"),
    ],
)
def test_a_rehearsal_is_bounded_and_says_by_what(monkeypatch, bound, most, why):
    monkeypatch.setattr(rehearsal, bound, most)

    played = play(only(each(branches(low=[{"id": "x", "set": {"y": "1"}}]))))

    assert (played.status, played.given_up, played.waits_for) == ("runaway", why, None)
    assert ending_words(played) == f"The rehearsal was given up: {why}."


def test_the_input_of_the_run_is_seen_inside():
    played = play(only(each({"id": "x", "set": {"id": "input.id"}})), payload={**INPUT, "id": "I-9"})

    assert played.values["each"]["items"][0] == {"x": {"id": "I-9"}}


def sentences(played):
    return [line.sentence for line in lines_of(played) if line.step in ("both", "each", "sub")]


def test_the_end_of_a_part_is_told_by_the_name_that_the_table_of_parts_shows():
    one = {"id": "x", "set": {"y": "1"}}

    assert "both: branch left ended, completed" in sentences(play(only(branches(left=[one]))))
    assert "each: item 1 ended, completed" in sentences(play(only(each(one, over="[5]"))))


def test_lines_of_releases_before_parts_had_names_are_still_told():
    names = {"step": "both", "subject": "I-1"}

    assert sentence(get("child.ended"), names, {"ordinal": "0", "outcome": "completed"}) == "A run of both ended, completed"
    assert sentence(get("run.forked"), names, {"parent_step": "both"}) == "I-1: a run of its own for both"
