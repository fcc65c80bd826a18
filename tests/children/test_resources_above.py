"""No run waits for a resource that a run above it holds: what can be proved is not published, otherwise the step gives up."""

from __future__ import annotations

import pytest

from aegis.core.kinds import document_key
from orchestration.agents.protocol import Done
from orchestration.engine import deadletters, verbs
from orchestration.engine.resources.models import Resource, ResourceWait
from orchestration.workflows.lint import lint
from orchestration.workflows.paths import normal
from tests.children.house import ask, children, documents, drive, sound
from tests.engine import house
from tests.workflows.documents import Documents

KEY = "'note/' + input.id"
LOOK = {"id": "look", "review": "people", "output": "anything@1"}


def spec(key="", steps=(LOOK,), **more):
    claim = {"resource": {"key": key}} if key else {}
    return {
        "input": "request@1",
        "business_key": "input.id",
        "fallback": {"queue": "people"},
        "steps": list(steps),
        **claim,
        **more,
    }


def run(name, **given):
    return {"id": f"run-{name}", "run": name, **({"input": given} if given else {})}


def found(*steps, key=KEY, **others):
    """The findings about resources in `notes`, which claims `key` and has these steps."""
    docs = documents(*steps, others=others)
    docs[-1]["spec"] |= {"resource": {"key": key}} if key else {}
    faults = lint(docs[-1], Documents({document_key(doc): doc for doc in docs}))
    return [(fault.where, fault.what, fault.remedy) for fault in faults if fault.code == "resource"]


# --- at publishing ---


@pytest.mark.parametrize(
    ("ours", "theirs", "given"),
    [
        (KEY, KEY, {}),
        (KEY, '"note/"  + input["id"] // the same', {}),
        (KEY, "'note/' + input.text", {"id": "'x'", "text": "input.id"}),
        ("input.id", "input.text", {"id": "'x'", "text": "input.id"}),
        ("'all'", '"all"', {"id": "input.id"}),
        ("'note/' + 'a'", "'note/' + input.id", {"id": "'a'"}),
    ],
)
def test_a_workflow_is_not_published_that_runs_one_which_claims_what_it_holds(ours, theirs, given):
    [(where, what, remedy)] = found(run("other", **given), key=ours, other=spec(theirs))

    assert where == "/spec/steps/0/run"
    assert what == f"other claims the resource {ours}, which this workflow holds until that run has ended"
    assert remedy == "claim it in one of the two only; a run would wait for it for ever"


def test_the_claim_is_found_through_other_workflows_and_inside_blocks():
    block = {"id": "both", "parallel": {"one": {"steps": [run("middle", id="input.text", text="input.id")]}}}
    middle = spec(steps=[run("other", id="input.text")])

    [(where, what, _)] = found(block, middle=middle, other=spec(KEY))

    assert where == "/spec/steps/0/parallel/one/steps/0/run"
    assert what.startswith("other through middle claims")


@pytest.mark.parametrize(
    ("ours", "theirs", "given"),
    [
        (KEY, "'memo/' + input.id", {}),
        (KEY, "'note/' + input.id", {"id": "input.text"}),
        (KEY, "'note/' + input.text", {"id": "input.id"}),  # it gets none
        (KEY, KEY, {"id": "steps.first.output.id"}),  # an agent says which: that is seen when it runs
        ("input.id.name", "input.id.name", {"id": "{'name': input.id}"}),  # a field of something that is computed
        ("'a' + 'b'.size()", "input.id.size()", {"id": "'a' + 'b'"}),  # which is the size of both
        ("", KEY, {}),
        (KEY, "", {}),
    ],
)
def test_what_cannot_be_proved_to_be_the_same_is_left_to_the_run(ours, theirs, given):
    assert found(ask("first"), run("other", **given), key=ours, other=spec(theirs)) == []


def test_workflows_that_run_each_other_in_a_circle_are_followed_once():
    other = spec("'memo'", steps=[run("third")])

    assert found(run("other"), other=other, third=spec(steps=[run("other"), run("notes")])) == []


def test_only_the_spelling_of_an_expression_is_left_out():
    assert normal("input.a  +'x'") == normal('input["a"] + "x" // why')
    for other in ("input.a + 'X'", "input.b + 'x'", "steps.a + 'x'", "input.a + x", "input.a - 'x'", "a.input.a + 'x'"):
        assert normal(other) != normal("input.a + 'x'"), other


# --- in a run ---


@pytest.fixture
def circle(starter, sam, transactional_db):
    """A parent that holds the note which an agent lets its child claim."""
    house.bootstrap(
        documents(
            ask("first", output="request@1"),
            run("other", id="steps.first.output.id"),
            others={"other": spec(KEY, steps=[{"id": "say", "set": {"x": "input.id"}}])},
            resource={"key": KEY},
        )
    )
    house.answers["first"] = Done({"id": "n-1"}, confidence=0.9)
    parent = house.submit(starter)
    drive(parent)
    return parent


def test_a_claim_of_what_a_run_above_holds_ends_before_people_at_once(circle, starter):
    [child] = children(circle)

    assert (circle.status, child.status) == ("waiting_children", "waiting_review")
    assert house.types_of(child) == ["run.forked", "resource.refused", "review.opened"]
    item = child.review_items.get()
    assert item.code == "resource_circle"
    assert not ResourceWait.objects.exists()
    assert Resource.objects.get().run_id == circle.pk
    letters, _ = deadletters.find(starter, deadletters.Filters())
    assert [(letter.run.pk, letter.code) for letter in letters] == [(child.pk, "resource_circle")]
    sound()


def test_cancelling_the_child_lets_the_parent_go_on(circle, starter):
    [child] = children(circle)
    verbs.cancel_run(child.pk, person=starter, actor=house.actor_for(starter), reason="it waits for its parent")
    drive(circle)

    assert circle.review_items.get().code == "branch_failed"
    sound()


def test_a_claim_of_what_a_stranger_holds_waits_its_turn(starter, sam, transactional_db):
    others = {"other": spec(KEY)}
    house.bootstrap(documents(run("other"), others=others))
    first, second = house.submit(starter), house.submit(starter)
    house.drive(first)
    drive(first)
    drive(second)

    waiting = [child.status for one in (first, second) for child in children(one)]
    assert sorted(waiting) == ["waiting_resource", "waiting_review"]
    sound()
