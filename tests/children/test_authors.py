"""Who wrote inside a block or a sub-workflow does not decide what rests on it (DESIGN promise 8)."""

from __future__ import annotations

import pytest

from aegis.core import clock
from approvals import editing, gates
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest
from orchestration.engine import reviews
from orchestration.engine.models import ReviewItem, Run
from tests.children.house import ask, documents, drive, keep, notes
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
