"""Edges of blocks: time that passes, outputs that are erased, and runs set aside, while children are under way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from aegis.core import clock
from aegis.core.actors import SYSTEM
from audit import journal
from audit.drafts import Context, Draft
from audit.models import Payload
from orchestration.agents.protocol import Done
from orchestration.engine import lease, reviews, verbs
from orchestration.engine import state as states
from orchestration.engine.models import InboxItem, ReviewItem, Run
from orchestration.records import store
from tests.children.house import acts, ask, children, data_of, documents, drive, keep, notes, output_of, sound
from tests.engine import house
from tests.engine.test_deadlines import late

pytestmark = pytest.mark.django_db(transaction=True)

LOOK = {"id": "look", "review": "people", "output": "anything@1"}
BOTH = {"id": "both", "parallel": {"a": {"steps": [ask("a")]}, "b": {"steps": [LOOK]}}}
END = {"id": "end", "finish": "well"}
LATE = {"id": "late", "finish": "late"}
HELPER = {"input": "request@1", "output": {"contract": "anything@1", "value": "steps.h.output"}, "steps": [ask("h"), LOOK]}


def started(starter, *steps, **more):
    house.bootstrap(documents(*steps, **more))
    notes("N-1")
    run = house.submit(starter)
    drive(run)
    assert run.status == "waiting_children"
    return run


def item_of(run):
    return ReviewItem.objects.get(run=run, settled_at__isnull=True)


def answer(person, run):
    reviews.complete(item_of(run).pk, person=person, auth="test", reason="seen", output={"seen": True})


def again(person, run):
    reviews.retry(item_of(run).pk, person=person, auth="test", reason="mended")


def erase(*runs, name="output"):
    named = Payload.objects.filter(stream__in=[run.stream for run in runs], name=name)
    places = [f"{stream}/{seq}" for stream, seq in named.values_list("stream", "seq")]
    assert places
    for place in places:
        stream, _, seq = place.rpartition("/")
        Payload.objects.filter(stream=stream, seq=seq).update(body="", salt="", erased_at=clock.now())
    # As retention does, and so late that it was time: a decision erases ended runs only.
    data = {"places": places, "count": len(places), "basis": "retention", "by": "retention", "days": 180}
    due = clock.now() + timedelta(days=181)
    with transaction.atomic():
        journal.append(Context(stream="governance", scope="system"), [Draft("payload.erased", SYSTEM, data=data)], due)


def set_aside(run):
    """As if it had killed five workers before a commit, and a sixth looks at it."""
    Run.objects.filter(pk=run.pk).update(claims_since_commit=lease.MAX_CLAIMS, due_at=clock.now())
    drive(run)
    assert item_of(run).code == "quarantined"


def joined(run):
    """Ordinals of the children that ended, as the parent counted them."""
    return [data["ordinal"] for data in data_of(run, "child.ended")]


# --- time ---


@pytest.mark.parametrize(
    ("action", "ends"),
    [
        ("fail", ("failed", "deadline")),
        ({"queue": "people"}, ("waiting_review", "")),
        ({"step": "late"}, ("completed", "late")),
        ("compensate", ("failed", "deadline")),
    ],
)
def test_a_block_out_of_time_ends_its_children_first_and_then_as_it_says(starter, sam, monkeypatch, action, ends):
    house.answers["plan-n"] = keep("N-1")
    block = {"id": "both", "deadline": "10m", "on_failure": {"deadline": action},
             "parallel": {"a": {"steps": acts("n")}, "b": {"steps": [LOOK]}}}  # fmt: skip
    run = started(starter, block, END, *([LATE] if ends[1] == "late" else []))
    look = item_of(children(run)[1])

    late(run, monkeypatch, minutes=11)
    drive(run)

    state = states.load(run.state)
    assert (run.status, state.outcome) == ends
    assert [child.status for child in children(run)] == ["rolled_back" if action == "compensate" else "completed", "cancelled"]
    assert ReviewItem.objects.get(pk=look.pk).status == "cancelled"
    assert [data["why"] for data in data_of(run, "step.stopping")] == ["deadline"]
    assert sorted(joined(run)) == ["0", "1"]
    assert "step.joined" not in house.types_of(run)
    assert store.read("note", "N-1").body["text"] == ("" if action == "compensate" else "N-1")
    if ends[0] == "waiting_review":
        assert item_of(run).code == "deadline"
    types = house.types_of(run)
    last = max(place for place, type_ in enumerate(types) if type_ == "child.ended")
    assert last < next(place for place, type_ in enumerate(types) if type_ in ("run.failed", "review.opened", "step.gave_up",
                                                                               "run.compensating"))  # fmt: skip
    sound()


@pytest.mark.parametrize(("action", "status"), [("fail", "failed"), ({"queue": "people"}, "waiting_review")])
def test_a_run_out_of_time_ends_its_children_first(starter, sam, monkeypatch, action, status):
    run = started(starter, BOTH, deadline="10m", on_deadline=action)

    late(run, monkeypatch, minutes=11)
    drive(run)

    assert run.status == status
    assert [child.status for child in children(run)] == ["completed", "cancelled"]
    assert sorted(joined(run)) == ["0", "1"]
    sound()


def test_a_child_that_is_done_as_the_time_passes_is_counted_once_and_the_block_is_late(starter, sam, monkeypatch):
    run = started(starter, {**BOTH, "deadline": "10m", "on_failure": {"deadline": "fail"}})
    answer(sam, children(run)[1])
    late(run, monkeypatch, minutes=11)  # reads the clock before the child says so

    drive(run)

    assert (run.status, states.load(run.state).outcome) in (("failed", "deadline"), ("completed", "done"))
    assert sorted(joined(run)) == ["0", "1"]
    assert InboxItem.objects.filter(run=run, kind="child_ended").count() == 2
    sound()


def test_children_are_told_once_though_the_run_runs_out_of_time_after_its_block(starter, sam, monkeypatch):
    run = started(starter, {**BOTH, "deadline": "10m", "on_failure": {"deadline": "fail"}}, deadline="20m", on_deadline="fail")
    slow = children(run)[1]
    late(run, monkeypatch, minutes=11)
    late(run, monkeypatch, minutes=21)

    assert InboxItem.objects.filter(run=slow, kind="cancel").count() == 1
    drive(run)
    assert run.status == "failed"
    sound()


# --- erased ---


@pytest.mark.parametrize(
    "block",
    [BOTH, {"id": "both", "map": "['x', 'y']", "steps": [{"id": "it", "set": {"v": "item"}}, {**LOOK, "id": "look"}]},
     {"id": "both", "run": "helper"}],
    ids=["parallel", "map", "run"],
)  # fmt: skip
def test_a_join_without_an_output_that_was_erased_goes_before_people_and_is_no_null(starter, sam, block):
    run = started(starter, block, {"id": "after", "set": {"all": "steps.both.output"}}, others={"helper": HELPER})
    for child in children(run):
        if child.status == "waiting_review":
            answer(sam, child)
    for child in children(run):
        house.drive(child)
    assert {child.status for child in children(run)} == {"completed"}
    assert Run.objects.get(pk=run.pk).status == "waiting_children"
    erase(children(run)[0])

    drive(run)

    assert (run.status, item_of(run).code) == ("waiting_review", "payload_erased")
    assert "step.joined" not in house.types_of(run)
    assert sorted(joined(run)) == [str(place) for place in range(len(children(run)))]
    assert states.load(run.state).outputs == {}
    verbs.cancel_run(run.pk, person=starter, actor=house.actor_for(starter), reason="it cannot be had again")
    drive(run)
    assert run.status == "cancelled"
    sound()


def test_an_output_erased_after_it_was_counted_is_missed_at_the_join(starter, sam):
    run = started(starter, BOTH)
    assert joined(run) == ["0"]
    erase(children(run)[0])

    answer(sam, children(run)[1])
    drive(run)

    assert (run.status, item_of(run).code) == ("waiting_review", "payload_erased")
    sound()


@pytest.mark.parametrize("then", [[], [{"id": "then", "set": {"has": "has(input.id)"}}]], ids=["completes", "reads on"])
def test_a_child_whose_input_was_erased_goes_before_people_by_itself(starter, sam, then):
    run = started(starter, {"id": "both", "parallel": {"a": {"steps": [ask("a")]}, "b": {"steps": [LOOK, *then]}}})
    child = children(run)[1]
    erase(run, name="input")
    answer(sam, child)

    drive(run)

    child.refresh_from_db()
    assert (child.status, item_of(child).code) == ("waiting_review", "payload_erased")
    assert run.status == "waiting_children"
    sound()


# --- set aside ---


def test_a_parent_set_aside_counts_its_children_and_goes_on_with_them_when_it_is_sent_on(starter, sam):
    run = started(starter, BOTH)
    child = children(run)[1]
    set_aside(run)
    assert item_of(child), "its children are not stopped for it"

    answer(sam, child)
    drive(run)
    assert (run.status, sorted(joined(run))) == ("waiting_review", ["0", "1"])
    again(sam, run)
    drive(run)

    assert run.status == "completed"
    assert output_of(run, "both")["b"] == {"look": {"seen": True}}
    assert len(children(run)) == 2, "nothing was forked twice"
    sound()


def test_a_parent_sent_on_while_children_are_open_waits_for_those_very_ones(starter, sam):
    run = started(starter, BOTH)
    set_aside(run)

    again(sam, run)
    drive(run)
    assert run.status == "waiting_children"
    answer(sam, children(run)[1])
    drive(run)

    assert (run.status, len(children(run))) == ("completed", 2)
    assert sorted(joined(run)) == ["0", "1"]
    sound()


@pytest.mark.parametrize("way", ["the run", "its item"])
def test_a_parent_set_aside_that_is_cancelled_ends_after_its_children(starter, sam, way):
    run = started(starter, BOTH)
    set_aside(run)

    if way == "the run":
        verbs.cancel_run(run.pk, person=starter, actor=house.actor_for(starter), reason="it kills workers")
    else:
        reviews.cancel(item_of(run).pk, person=sam, auth="test", reason="it kills workers")
    drive(run)

    assert (run.status, [child.status for child in children(run)]) == ("cancelled", ["completed", "cancelled"])
    assert not ReviewItem.objects.filter(settled_at__isnull=True).exists()
    sound()


@pytest.mark.parametrize(("action", "status"), [("fail", "failed"), ({"queue": "people"}, "waiting_review")])
def test_a_parent_set_aside_that_runs_out_of_time_ends_after_its_children(starter, sam, monkeypatch, action, status):
    run = started(starter, BOTH, deadline="10m", on_deadline=action)
    set_aside(run)
    aside = item_of(run)

    late(run, monkeypatch, minutes=11)
    assert run.status == "waiting_children", "one of them is still under way"
    drive(run)

    assert (run.status, [child.status for child in children(run)]) == (status, ["completed", "cancelled"])
    assert sorted(joined(run)) == ["0", "1"]
    assert [data["why"] for data in data_of(run, "step.stopping")] == ["run_deadline"]
    assert ReviewItem.objects.get(pk=aside.pk).status == "cancelled"
    if status == "waiting_review":
        assert item_of(run).code == "run_deadline"
    sound()


@pytest.mark.parametrize("is_sent_on", [True, False])
def test_a_child_set_aside_is_before_people_and_counted_once_when_it_ends(starter, sam, is_sent_on):
    house.answers["a"] = Done({"n": 1})
    run = started(starter, BOTH)
    child = children(run)[1]
    answer(sam, child)
    set_aside(child)
    run.refresh_from_db()
    assert run.status == "waiting_children"

    if is_sent_on:
        again(sam, child)
        drive(run)
        answer(sam, child)
    else:
        reviews.cancel(item_of(child).pk, person=sam, auth="test", reason="it kills workers")
    drive(run)

    assert sorted(joined(run)) == ["0", "1"]
    if is_sent_on:
        assert run.status == "completed"
    else:
        assert item_of(run).code == "branch_failed"
    sound()
