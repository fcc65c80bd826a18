"""Dead letters of blocks: one cause is one letter, at the place where a person can act."""

from __future__ import annotations

import json

import pytest

from orchestration.agents.protocol import Done
from orchestration.engine import deadletters
from orchestration.engine.deadletters import Filters, MovedOn
from orchestration.engine.models import InboxItem, Run
from tests.children.house import BROKEN, ask, children, documents, drive, output_of, sound
from tests.engine import house
from tests.engine.test_deadlines import late
from tests.pages.conftest import text_of
from tests.support.api import client_of

pytestmark = pytest.mark.django_db(transaction=True)

FAIL = {"on_failure": {"agent_error": "fail"}}
WELL = {"steps": [ask("a")]}
BAD = {"steps": [ask("b", **FAIL)]}
TWO = {"id": "two", "parallel": {"one": WELL, "other": BAD}}


def started(starter, *steps, **more):
    house.answers.setdefault("b", BROKEN)
    house.bootstrap(documents(*steps, **more))
    run = house.submit(starter)
    drive(run)
    return run


def letters(person, **filters):
    return deadletters.find(person, Filters(**filters))[0]


def told(person, **filters):
    return [(letter.run.pk, letter.step, letter.code, letter.behind) for letter in letters(person, **filters)]


def redrive(person, letter_id):
    deadletters.redrive(letter_id, person=person, actor=house.actor_for(person), reason="mended")


def test_a_parent_that_waits_for_a_person_is_the_one_letter(starter, sam):
    run = started(starter, TWO)

    assert run.status == "waiting_review"
    assert told(starter) == [(run.pk, "two", "branch_failed", ("agent_error",))]


def test_a_parent_that_failed_is_the_one_letter(starter, sam):
    run = started(starter, {**TWO, "on_failure": {"branch_failed": "fail"}})

    assert run.status == "failed"
    assert told(starter) == [(run.pk, "two", "branch_failed", ("agent_error",))]


@pytest.mark.parametrize(
    "handled",
    [{"join": "any"}, {"on_failure": {"branch_failed": {"step": "end"}}}],
    ids=["enough", "another step"],
)
def test_a_failure_that_the_parent_handled_is_no_letter(starter, sam, handled):
    run = started(starter, {**TWO, **handled}, {"id": "end", "finish": "well"})

    assert run.status == "completed"
    assert Run.objects.filter(parent=run, status="failed").exists()
    assert letters(starter) == []


def test_a_failure_that_a_map_collects_is_no_letter(starter, sam):
    each = {"id": "each", "map": "[1, 2]", "on_item_failure": "collect", "steps": [ask("b", **FAIL)]}
    run = started(starter, each)

    assert (run.status, letters(starter)) == ("completed", [])


def test_a_run_inside_that_waits_in_a_queue_is_the_letter_and_its_parent_is_none(starter, sam):
    run = started(starter, {**TWO, "parallel": {"one": WELL, "other": {"steps": [ask("b")]}}})

    child = children(run)[1]
    assert (run.status, child.status) == ("waiting_children", "waiting_review")
    assert told(starter) == [(child.pk, "b", "agent_error", ())]


def test_of_blocks_in_blocks_the_outermost_that_stopped_is_the_letter(starter, sam):
    inner = {"id": "inner", "parallel": {"deep": BAD}, "on_failure": {"branch_failed": "fail"}}
    run = started(starter, {"id": "outer", "parallel": {"one": {"steps": [inner]}}})

    assert told(starter) == [(run.pk, "outer", "branch_failed", ("branch_failed",))]


def test_another_workflows_run_is_a_letter_of_the_one_that_ran_it(starter, sam):
    helper = {"input": "request@1", "steps": [ask("b", **FAIL)]}
    run = started(starter, {"id": "sub", "run": "helper"}, others={"helper": helper})

    assert told(starter) == [(run.pk, "sub", "branch_failed", ("agent_error",))]
    assert told(starter, workflow="helper") == []


@pytest.mark.parametrize("ends", ["queue", "fail"])
@pytest.mark.parametrize(
    ("filters", "count"),
    [({"agent": "clerk"}, 1), ({"agent": "nobody"}, 0), ({"code": "branch_failed"}, 1), ({"code": "agent_error"}, 0),
     ({"step": "two"}, 1), ({"capability": "note.keep"}, 0)],
)  # fmt: skip
def test_it_is_found_by_the_agents_of_the_runs_inside(starter, sam, ends, filters, count):
    started(starter, {**TWO, "on_failure": {"branch_failed": ends}})

    assert len(letters(starter, **filters)) == count


def test_the_agents_of_runs_that_were_well_do_not_find_it(starter, sam):
    helper = {"input": "request@1", "steps": [{"id": "half", "set": {"x": "1 / 0"}, "on_failure": {"expression": "fail"}}]}
    sub = {"id": "sub", "run": "helper"}
    started(starter, {"id": "two", "parallel": {"one": WELL, "other": {"steps": [sub]}}}, others={"helper": helper})

    assert letters(starter, agent="clerk") == []


@pytest.mark.parametrize("ends", ["queue", "fail"])
def test_sent_on_only_what_was_not_well_begins_again_where_it_failed(starter, sam, ends):
    run = started(starter, {**TWO, "on_failure": {"branch_failed": ends}})
    [letter] = letters(starter)

    house.answers["b"] = Done({"mended": True})
    redrive(starter, letter.id)
    drive(run)

    assert run.status == "completed"
    assert output_of(run, "two")["other"] == {"b": {"mended": True}}
    assert [child.status for child in children(run)] == ["completed", "completed"]
    assert letters(starter) == []
    sound()


def test_a_run_inside_is_not_sent_on_past_its_parent(starter, sam):
    run = started(starter, TWO)
    child = children(run)[1]
    past = f"{child.pk}.{child.seq}"

    with pytest.raises(MovedOn, match=run.label):
        redrive(starter, past)
    assert deadletters.named(starter, [past]) == []
    assert not InboxItem.objects.filter(run=child, kind="retry").exists()


def test_page_and_api_say_what_the_runs_ended_with(starter, sam, browser_of):
    started(starter, TWO)

    page = text_of(browser_of(starter).get("/dead-letters/"))
    assert "Too few of the runs that it forked were well" in page
    assert 'what they ended with: <span class="ag-mono">agent_error</span>' in page
    [letter] = json.loads(client_of(starter).get("/api/v1/dead-letters?code=branch_failed").content)["dead_letters"]
    assert (letter["code"], letter["behind"]) == ("branch_failed", ["agent_error"])


@pytest.mark.parametrize(("ends", "count"), [("queue", 0), ("fail", 1)])
def test_time_that_passed_is_a_question_in_a_queue_and_a_letter_once_the_run_failed(starter, sam, monkeypatch, ends, count):
    look = {"id": "look", "review": "people", "output": "anything@1", "deadline": "1m", "on_failure": {"deadline": ends}}
    run = started(starter, look)
    late(run, monkeypatch, minutes=2)

    assert house.types_of(run)[-2:] == ["deadline.passed", "run.failed" if count else "review.opened"]
    assert len(letters(starter, code="deadline")) == count
