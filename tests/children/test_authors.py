"""Who wrote inside a block or a sub-workflow does not decide what rests on it (DESIGN promise 8)."""

from __future__ import annotations

import pytest

from aegis.core import clock
from approvals import editing, gates
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest
from orchestration.agents.models import Agent
from orchestration.engine import reviews, verbs
from orchestration.engine.models import ReviewItem, Run
from tests.children.house import acts, ask, documents, drive, keep, notes
from tests.engine import house

pytestmark = pytest.mark.django_db(transaction=True)

LOOK = {"id": "look", "review": "people", "output": "anything@1"}
PLAN = {"id": "plan", "agent": "clerk", "output": "kept@1"}
KEEP = {"id": "keep", "gate": "leads", "proposal": "steps.plan.output.note"}
JUDGE = {"id": "judge", "gate": "leads", "proposal": "steps.before.output"}
HELPER = {"input": "request@1", "output": {"contract": "anything@1", "value": "steps.h.output"}}


@pytest.fixture
def leads(sam, person):
    return [sam, person("mia", "Support leads"), person("tom", "Support leads")]


def begin(starter, *steps, **more):
    docs = documents(*steps, **more)
    for one in docs:
        if one["kind"] == "Role" and one["metadata"]["name"] == "Support leads":
            one["spec"]["grants"] = [{"capability": "note.keep", "effect": "allow"}]
    house.bootstrap(docs)
    notes("N-1")
    run = house.submit(starter)
    drive(run)
    return run


def asked(run):
    return ApprovalRequest.objects.get(run_id=run.pk, status="open")


def decide(person, request):
    seen = ApprovalRequest.objects.get(pk=request.pk).digest
    return gates.decide(
        request.pk, person=person, auth="test", verdict="approve", reason="ok", seen_digest=seen, proved_at=clock.now()
    )


def answer_below(person, run):
    item = ReviewItem.objects.get(run__parent=run)
    reviews.complete(item.pk, person=person, auth="test", reason="seen", output={"seen": True})
    child = Run.objects.get(parent=run)
    drive(child, run)


def edit_below(editor, other, run):
    request = asked(Run.objects.get(parent=run))
    actor = house.actor_for(editor)
    parameters = {"text": "mine"}
    editing.edit(request.pk, actor=actor, parameters=parameters, reason="better", seen_digest=request.digest)
    decide(other, request)
    drive(Run.objects.get(parent=run), run)


def is_bound(person, request):
    with pytest.raises(NotEligible) as refusal:
        decide(person, request)
    return refusal.value.refusal == "bound" and person in request.bound.all()


def test_who_answered_a_review_of_a_sub_workflow_does_not_decide_what_rests_on_it(starter, leads):
    sub = {"id": "before", "run": "helper", "input": {"id": "'h-' + input.id"}}
    run = begin(starter, sub, JUDGE, others={"helper": {**HELPER, "steps": [ask("h"), LOOK]}})
    answer_below(leads[0], run)

    request = asked(run)
    assert is_bound(leads[0], request)
    assert decide(leads[1], request).status == "approved"


@pytest.mark.parametrize("how", ["block", "sub-workflow"])
def test_who_edited_below_does_not_decide_what_rests_on_it(how, starter, leads):
    house.answers["plan"] = keep("N-1")
    block = {"id": "before", "map": "[1]", "steps": [PLAN, KEEP], "output": "steps.plan.output"}
    sub = {"id": "before", "run": "helper", "input": {"id": "'h-' + input.id"}}
    helper = {**HELPER, "output": {"contract": "kept@1", "value": "steps.plan.output"}, "steps": [PLAN, KEEP]}
    run = begin(starter, block if how == "block" else sub, JUDGE, others={"helper": helper})
    edit_below(leads[0], leads[1], run)

    request = asked(run)
    assert is_bound(leads[0], request)
    assert decide(leads[2], request).status == "approved"


# ---- above: what a part of a run was given ---------------------------------------------------------------------------------


def answer_here(person, run):
    reviews.complete(
        ReviewItem.objects.get(run=run, status="open").pk, person=person, auth="test", reason="seen", output={"seen": True}
    )
    drive(run)


@pytest.mark.parametrize("how", ["block", "sub-workflow"])
def test_who_answered_above_does_not_decide_below(how, starter, leads):
    house.answers["plan"] = keep("N-1")
    block = {"id": "after", "map": "[1]", "steps": [PLAN, KEEP], "output": "steps.plan.output"}
    sub = {"id": "after", "run": "helper", "input": {"id": "'h-' + input.id"}}
    helper = {**HELPER, "output": {"contract": "kept@1", "value": "steps.plan.output"}, "steps": [PLAN, KEEP]}
    run = begin(starter, LOOK, block if how == "block" else sub, others={"helper": helper})
    answer_here(leads[0], run)

    request = asked(Run.objects.get(parent=run))
    assert is_bound(leads[0], request)
    assert decide(leads[1], request).status == "approved"


def test_who_edited_above_does_not_decide_below(starter, leads):
    house.answers["plan"] = keep("N-1")
    sub = {"id": "after", "run": "helper", "input": {"id": "'h-' + input.id"}}
    helper = {**HELPER, "steps": [ask("h"), {"id": "sign", "gate": "leads", "proposal": "steps.h.output"}]}
    run = begin(starter, PLAN, KEEP, sub, others={"helper": helper})
    request = asked(run)
    actor = house.actor_for(leads[0])
    editing.edit(request.pk, actor=actor, parameters={"text": "mine"}, reason="better", seen_digest=request.digest)
    decide(leads[1], request)
    drive(run)

    below = asked(Run.objects.get(parent=run))
    assert is_bound(leads[0], below)
    assert decide(leads[2], below).status == "approved"


def test_who_answered_for_one_item_decides_about_the_next(starter, leads):
    """The items of a map give each other nothing."""
    steps = [ask("h"), LOOK, {"id": "sign", "gate": "leads", "proposal": "steps.h.output"}]
    begin(starter, {"id": "each", "map": "[1, 2]", "steps": steps, "output": "steps.h.output"})
    for person, item in zip(leads, ReviewItem.objects.order_by("run__ordinal"), strict=False):
        reviews.complete(item.pk, person=person, auth="test", reason="seen", output={"seen": True})
        drive(item.run)

    first, second = ApprovalRequest.objects.filter(status="open").order_by("opened_at")
    assert is_bound(leads[0], first)
    assert is_bound(leads[1], second)
    assert decide(leads[0], second).status == "approved"


# ---- owners of agents ------------------------------------------------------------------------------------------------------


def owned(person, agent):
    Agent.objects.filter(name=agent).update(owner=person)


def of_two(*steps, **more):
    """Documents with a second agent, `scribe`, which answers in a step of its own."""
    docs = documents(*steps, **more)
    clerk = next(one for one in docs if (one["kind"], one["metadata"]["name"]) == ("Agent", "clerk"))
    place = docs.index(clerk) + 1
    return [*docs[:place], {**clerk, "metadata": {**clerk["metadata"], "name": "scribe"}}, *docs[place:]]


@pytest.mark.parametrize(
    "proposal",
    ["[steps.h.output, steps.w.output]", "steps.both.output", "steps.made.output", "steps.helped.output"],
    ids=["both named", "through a set step", "in a block", "in a sub-workflow"],
)
def test_the_owner_of_every_agent_behind_a_gate_is_bound(proposal, starter, leads):
    scribe = {**ask("w"), "agent": "scribe"}
    steps = [
        ask("h"),
        scribe,
        {"id": "both", "set": {"one": "steps.h.output", "two": "steps.w.output"}},
        {"id": "made", "map": "[1]", "steps": [{**scribe, "id": "inner"}], "output": "steps.inner.output"},
        {"id": "helped", "run": "helper", "input": {"id": "'h-' + input.id"}},
        {"id": "sign", "gate": "leads", "proposal": proposal},
    ]
    house.bootstrap(of_two(*steps, others={"helper": {**HELPER, "steps": [{**scribe, "id": "h"}]}}))
    owned(leads[0], "scribe")
    run = house.submit(starter)
    drive(run)

    request = asked(run)
    assert is_bound(leads[0], request)
    assert decide(leads[1], request).status == "approved"


def test_the_owner_of_an_agent_whose_work_is_not_asked_about_decides(starter, leads):
    scribe = {**ask("w"), "agent": "scribe"}
    house.bootstrap(of_two(ask("h"), scribe, {"id": "sign", "gate": "leads", "proposal": "steps.h.output"}))
    owned(leads[0], "scribe")
    run = house.submit(starter)
    drive(run)

    assert decide(leads[0], asked(run)).status == "approved"


@pytest.mark.parametrize("where", ["here", "in a block"])
def test_the_owner_of_every_agent_whose_effects_are_rolled_back_is_bound(where, starter, leads):
    """The newest effect is the clerk's; an earlier one is the scribe's, who has a third step without one."""
    house.answers |= {"plan-a": keep("N-1"), "plan-b": keep("N-2")}
    early = [{**acts("a")[0], "agent": "scribe"}, acts("a")[1]]
    block = {"id": "early", "map": "[1]", "steps": early, "output": "1"}
    idle = {**ask("w"), "agent": "reader"}
    docs = of_two(*(early if where == "here" else [block]), *acts("b"), idle, rollback={"gate": "leads"})
    place = next(at for at, one in enumerate(docs) if (one["kind"], one["metadata"]["name"]) == ("Agent", "scribe"))
    docs.insert(place, {**docs[place], "metadata": {**docs[place]["metadata"], "name": "reader"}})
    house.bootstrap(docs)
    notes("N-1", "N-2")
    owned(leads[0], "scribe")
    owned(leads[1], "reader")
    run = house.submit(starter)
    drive(run)
    verbs.rollback_run(run.pk, person=starter, actor=house.actor_for(starter), reason="it was wrong")
    drive(run)

    request = asked(run)
    assert is_bound(leads[0], request)
    assert decide(leads[1], request).status == "approved"
