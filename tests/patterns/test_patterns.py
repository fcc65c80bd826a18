"""A small workflow for each control-flow pattern that docs/guide/patterns.md says AEGIS has, walked by the real engine."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from aegis.core import clock
from approvals import gates
from audit import chain
from audit.models import Event
from orchestration.agents.protocol import Done
from orchestration.engine import reviews, verbs
from orchestration.engine import state as states
from orchestration.engine.models import ReviewItem, Run
from orchestration.records import store
from tests.children.house import BROKEN, acts, ask, children, documents, drive, keep, notes, output_of, sound
from tests.engine import house

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "patterns.md"
LOOK = {"id": "look", "review": "people", "output": "anything@1"}
TABLE = {
    "inputs": {"way": "string"},
    "outputs": {"why": "string"},
    "rules": [{"id": "left", "when": "way == 'left'", "then": {"case": "left", "why": "said so"}}],
    "default": {"case": "right", "why": "nothing else said"},
    "tests": [{"name": "left", "given": {"way": "left"}, "expect": {"case": "left"}}],
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def walk(starter, sam):
    """Publishes `notes` with these steps and drives one run of it as far as it goes; in the end every family is sound."""

    def started(*steps, text="left", others=None, **spec):
        house.bootstrap([house.document("RoutingTable", "where", TABLE), *documents(*steps, others=others, **spec)])
        run = house.submit(starter, {"id": "n-1", "text": text})
        drive(run)
        return run

    yield started
    sound()


def choose(step, left, right, way="input.text"):
    return {"id": step, "route": "where", "facts": {"way": way}, "cases": {"left": left, "right": right}}


def count(step, **more):
    """A step that knows how often it was entered."""
    return {"id": step, "set": {"n": f"has(steps.{step}) ? steps.{step}.output.n + 1 : 1"}, **more}


def put(step, **more):
    return {"id": step, "set": {"x": "1"}, **more}


def branches(**names):
    return {name: {"steps": steps} for name, steps in names.items()}


def path(run):
    """Steps entered, in order, as the journal tells them."""
    lines = [chain.read_line(row.line)["data"] for row in Event.objects.filter(stream=run.stream).order_by("seq")]
    visits = [(data["step"], data.get("visit", 1)) for data in lines if data.get("step")]
    return [step for place, (step, visit) in enumerate(visits) if place == 0 or visits[place - 1] != (step, visit)]


def end(run):
    return (run.status, states.load(run.state).outcome)


def complete(person, run=None, output=None):
    """A person answers the review item that is open (of this run)."""
    items = ReviewItem.objects.filter(status="open")
    item = (items.filter(run=run) if run else items).get()
    reviews.complete(item.pk, person=person, auth="test", reason="looked", output=output or {})


def send(person, name):
    verbs.send_message("notes", name, "n-1", {"id": "n-1"}, person=person, actor=house.actor_for(person))


def an_hour_later(monkeypatch, run):
    moment = clock.db_now() + timedelta(hours=1)
    Run.objects.exclude(due_at=None).update(due_at=clock.now() - timedelta(seconds=1))
    with monkeypatch.context() as patched:
        patched.setattr("orchestration.engine.world.clock.db_now", lambda: moment)
        drive(run)
    drive(run)


# --- basic control flow ---


def test_steps_follow_in_the_order_of_the_list(walk):
    run = walk(put("one"), ask("two"), put("three"))

    assert (path(run), end(run)) == (["one", "two", "three"], ("completed", "done"))


def test_branches_start_together_and_all_are_waited_for(walk, sam):
    run = walk({"id": "both", "parallel": branches(a=[LOOK], b=[put("quick")])}, put("after"))

    assert [child.status for child in children(run)] == ["waiting_review", "completed"]
    assert (path(run), run.status) == (["both"], "waiting_children")
    complete(sam)
    drive(run)
    assert (path(run), end(run)) == (["both", "after"], ("completed", "done"))


@pytest.mark.parametrize("way", ["left", "right"])
def test_one_way_is_taken_and_the_ways_meet_again(walk, way):
    run = walk(choose("which", "left", "right"), put("left", next="meet"), put("right"), put("meet"), text=way)

    assert (path(run), end(run)) == (["which", way, "meet"], ("completed", "done"))


# --- several ways at once ---


@pytest.mark.parametrize(("text", "taken"), [("ab", ["a", "b"]), ("b", ["b"]), ("-", [])])
def test_as_many_ways_as_are_wanted_are_taken_and_those_are_waited_for(walk, text, taken):
    def way(name):
        route = choose(f"want-{name}", f"do-{name}", f"skip-{name}", f"input.text.contains('{name}') ? 'left' : 'right'")
        return [route, {"id": f"skip-{name}", "finish": "skipped"}, put(f"do-{name}")]

    run = walk({"id": "some", "parallel": branches(a=way("a"), b=way("b"))}, put("after"), text=text)

    outcomes = [end(child)[1] for child in children(run)]
    assert [name for place, name in enumerate("ab") if outcomes[place] == "done"] == taken
    assert (path(run), end(run)) == (["some", "after"], ("completed", "done"))


def test_what_follows_a_block_is_done_once_and_a_tail_for_each_stands_inside_it(walk):
    each = {"id": "each", "map": "['a', 'b']", "steps": [put("work"), put("tail")]}
    run = walk(each, put("after"))

    assert [path(child) for child in children(run)] == [["work", "tail"]] * 2
    assert (path(run), end(run)) == (["each", "after"], ("completed", "done"))


def test_the_first_branch_that_is_well_wins_and_the_others_are_cancelled(walk):
    run = walk({"id": "race", "parallel": branches(a=[LOOK], b=[put("x")]), "join": "any"}, put("after"))

    assert [child.status for child in children(run)] == ["cancelled", "completed"]
    assert (path(run), end(run)) == (["race", "after"], ("completed", "done"))


def test_enough_branches_that_are_well_win_and_the_others_are_cancelled(walk):
    block = branches(a=[LOOK], b=[put("x")], c=[put("y")])
    run = walk({"id": "most", "parallel": block, "join": {"at_least": 2}}, put("after"))

    assert [child.status for child in children(run)] == ["cancelled", "completed", "completed"]
    assert (path(run), end(run)) == (["most", "after"], ("completed", "done"))


# --- loops and ends ---


@pytest.mark.parametrize(("way", "first"), [("left", ["enter", "a"]), ("right", ["enter"])])
def test_a_cycle_may_be_entered_in_two_places(walk, way, first):
    again = choose("again", "b", "leave", "steps.b.output.n < 2 ? 'left' : 'right'")
    run = walk(
        choose("enter", "a", "b"), put("a"), count("b", max_visits=3), {**again, "max_visits": 3}, put("leave"), text=way
    )

    assert path(run) == [*first, "b", "again", "b", "again", "leave"]
    assert end(run) == ("completed", "done")


def test_a_loop_ends_by_its_condition(walk):
    again = choose("again", "work", "leave", "steps.work.output.n < 3 ? 'left' : 'right'")
    run = walk(count("work", max_visits=5), {**again, "max_visits": 5}, put("leave"))

    assert path(run) == ["work", "again"] * 3 + ["leave"]
    assert end(run) == ("completed", "done")


def test_a_loop_that_does_not_end_gives_up(walk):
    stay = put("work", max_visits=2, next="again", on_failure={"max_visits": "fail"})
    run = walk(stay, put("again", max_visits=2, next="work", on_failure={"max_visits": "fail"}))

    assert end(run) == ("failed", "max_visits")


def test_a_run_ends_when_nothing_is_left_to_do(walk, sam):
    run = walk({"id": "both", "parallel": branches(a=[LOOK], b=[put("x")])})

    assert run.status == "waiting_children"
    complete(sam)
    drive(run)
    assert end(run) == ("completed", "done")


def test_a_finish_ends_the_run_whatever_stands_below(walk):
    run = walk(choose("which", "stop", "go"), {"id": "stop", "finish": "stopped"}, put("go"))

    assert (path(run)[0], "go" in path(run), end(run)) == ("which", False, ("completed", "stopped"))


def test_a_workflow_that_comes_to_run_itself_is_refused(starter, sam):
    other = {"input": "request@1", "steps": [{"id": "back", "run": "notes"}]}

    with pytest.raises(AssertionError, match=r"circle|runs itself"):
        house.bootstrap(documents({"id": "sub", "run": "other"}, others={"other": other}))


# --- many of one kind ---


def test_a_fixed_number_of_instances(walk):
    run = walk(
        {"id": "each", "map": "[1, 2, 3]", "steps": [{"id": "one", "set": {"n": "item"}}], "output": "steps.one.output.n"}
    )

    assert output_of(run, "each")["items"] == [1, 2, 3]
    assert end(run) == ("completed", "done")


def test_as_many_instances_as_the_run_found(walk):
    house.answers["find"] = Done({"list": ["a", "b"]})
    run = walk(ask("find"), {"id": "each", "map": "steps.find.output.list", "steps": [put("one")]}, put("after"))

    assert len(children(run)) == 2
    assert (path(run), end(run)) == (["find", "each", "after"], ("completed", "done"))


def test_more_instances_while_it_runs_are_a_loop_around_the_map(walk):
    again = choose("again", "round", "leave", "steps.round.output.n < 3 ? 'left' : 'right'")
    each = {"id": "each", "map": "[1, 2]", "steps": [put("one")], "max_visits": 3}
    run = walk(count("round", max_visits=3), each, {**again, "max_visits": 3}, put("leave"))

    assert [child.parent_visit for child in children(run)] == [1, 1, 2, 2, 3, 3]
    assert end(run) == ("completed", "done")


def test_instances_that_fail_are_counted_after_all_have_ended(walk):
    half = {"id": "half", "set": {"n": "10 / item"}, "on_failure": {"expression": "fail"}}
    each = {"id": "each", "map": "[1, 0, 2]", "steps": [half], "on_item_failure": "collect"}
    enough = choose("enough", "yes", "no", "size(steps.each.output.failures) <= 1 ? 'left' : 'right'")
    run = walk(each, enough, {"id": "yes", "finish": "enough"}, {"id": "no", "finish": "too-few"})

    assert end(run) == ("completed", "enough")


# --- state ---


@pytest.mark.parametrize("first", ["agree", "object"])
def test_what_happens_first_outside_decides(walk, sam, first):
    asked = {name: [{"id": name, "review": "people", "output": "anything@1"}] for name in ("agree", "object")}
    which = choose("which", "agreed", "objected", "has(steps.race.output.agree) ? 'left' : 'right'")
    run = walk(
        {"id": "race", "parallel": branches(**asked), "join": "any"},
        which,
        {"id": "agreed", "finish": "agree"},
        {"id": "objected", "finish": "object"},
    )

    complete(sam, run=next(child for child in children(run) if child.step == first))
    drive(run)

    assert end(run) == ("completed", first)
    assert sorted(child.status for child in children(run)) == ["cancelled", "completed"]
    assert not ReviewItem.objects.filter(status="open").exists()


@pytest.mark.parametrize("sent", ["payment", "refusal"])
def test_the_message_that_comes_first_decides(walk, starter, sent):
    def heard(name):
        return [{"id": name, "wait": {"message": name, "key": "input.id", "output": "request@1", "within": "2d"}}]

    race = {"id": "race", "parallel": branches(payment=heard("payment"), refusal=heard("refusal")), "join": "any"}
    which = choose("which", "paid", "refused", "has(steps.race.output.payment) ? 'left' : 'right'")
    run = walk(race, which, {"id": "paid", "finish": "payment"}, {"id": "refused", "finish": "refusal"})
    assert run.status == "waiting_children"

    send(starter, sent)
    drive(run)

    assert end(run) == ("completed", sent)
    assert sorted(child.status for child in children(run)) == ["cancelled", "completed"]


def test_a_message_or_the_time_decides(walk, monkeypatch):
    wait = {"message": "payment", "key": "input.id", "output": "request@1", "within": "30m"}
    paid = {"id": "paid", "wait": wait, "on_failure": {"no_message": {"step": "remind"}}}
    run = walk(paid, {"id": "end", "finish": "paid"}, {"id": "remind", "finish": "reminded"})

    an_hour_later(monkeypatch, run)

    assert end(run) == ("completed", "reminded")


def test_only_one_run_is_inside_a_critical_section(walk, sam):
    inside = {"input": "request@1", "resource": {"key": "'desk/' + input.id"}, "steps": [LOOK]}
    both = branches(a=[{"id": "sub-a", "run": "inside"}], b=[{"id": "sub-b", "run": "inside"}])
    run = walk({"id": "both", "parallel": both}, others={"inside": inside})
    sections = Run.objects.filter(workflow__name="inside")

    assert sorted(sections.values_list("status", flat=True)) == ["waiting_resource", "waiting_review"]
    for _ in range(2):
        complete(sam)
        drive(run)
    assert [section.status for section in sections] == ["completed"] * 2
    assert end(run) == ("completed", "done")


def test_one_after_the_other_is_a_map_with_one_at_once(walk, sam):
    run = walk({"id": "each", "map": "[1, 2]", "at_once": 1, "steps": [LOOK]})

    assert len(children(run)) == 1
    complete(sam)
    drive(run)
    assert [child.status for child in children(run)] == ["completed", "waiting_review"]
    complete(sam)
    drive(run)
    assert end(run) == ("completed", "done")


@pytest.mark.parametrize(("verdict", "outcome"), [("approve", "reached"), ("reject", "not-reached")])
def test_a_step_may_need_a_milestone(walk, sam, verdict, outcome):
    gate = {"id": "sign", "gate": "leads", "on_failure": {"rejected": {"step": "work"}}}
    work = put("work", requires=["event:gate.settled"], on_failure={"requires": {"step": "missed"}})
    run = walk(gate, work, {"id": "end", "finish": "reached"}, {"id": "missed", "finish": "not-reached"})
    request = house.request_of(run)
    gates.decide(
        request.pk, person=sam, auth="test", verdict=verdict, reason="so", seen_digest=request.digest, proved_at=clock.now()
    )
    drive(run)

    assert end(run) == ("completed", outcome)


# --- cancelling, messages, undoing ---


def test_a_step_is_withdrawn_when_its_time_is_up(walk, monkeypatch):
    run = walk({**LOOK, "deadline": "30m", "on_failure": {"deadline": {"step": "without"}}}, put("x"), put("without"))

    an_hour_later(monkeypatch, run)

    assert ReviewItem.objects.get().status == "cancelled"
    assert (path(run), end(run)) == (["look", "without"], ("completed", "done"))


@pytest.mark.parametrize("block", [{"parallel": branches(a=[LOOK])}, {"map": "[1, 2]", "steps": [LOOK]}])
def test_a_block_is_withdrawn_with_all_that_is_in_it(walk, monkeypatch, block):
    run = walk(
        {"id": "block", **block, "deadline": "30m", "on_failure": {"deadline": {"step": "without"}}}, put("x"), put("without")
    )

    an_hour_later(monkeypatch, run)

    assert {child.status for child in children(run)} == {"cancelled"}
    assert (path(run), end(run)) == (["block", "without"], ("completed", "done"))


def test_a_case_is_cancelled_with_everything_in_it(walk, starter):
    run = walk({"id": "both", "parallel": branches(a=[LOOK], b=[put("x")])})

    verbs.cancel_run(run.pk, person=starter, actor=house.actor_for(starter), reason="no longer wanted")
    drive(run)

    assert run.status == "cancelled"
    assert [child.status for child in children(run)] == ["cancelled", "completed"]
    assert not ReviewItem.objects.filter(status="open").exists()


def test_a_message_sent_before_anybody_waits_is_kept(walk, starter, sam):
    wait = {"message": "payment", "key": "input.id", "output": "request@1", "within": "2d"}
    run = walk(LOOK, {"id": "paid", "wait": wait})
    send(starter, "payment")
    complete(sam)
    drive(run)
    drive(run)

    assert (path(run), end(run)) == (["look", "paid"], ("completed", "done"))


def test_what_was_done_is_undone_when_the_run_gives_up(walk):
    notes("N-1")
    house.answers["plan-a"], house.answers["last"] = keep("N-1"), BROKEN
    run = walk(*acts("a"), ask("last", on_failure={"agent_error": "compensate"}))

    assert (end(run), store.read("note", "N-1").body["text"]) == (("failed", "agent_error"), "")


# --- the table ---


def test_every_row_that_is_supported_names_a_test_and_every_test_has_a_row():
    rows = [line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    said = {line: set(re.findall(r"`(test_\w+)`", line)) for line in rows}
    named = set().union(*said.values())
    mine = test_every_row_that_is_supported_names_a_test_and_every_test_has_a_row.__name__

    assert {line for line, tests in said.items() if not tests and "| no |" not in line} == set()
    assert named == {name for name in globals() if name.startswith("test_")} - {mine}
