"""A halt stops the clocks of what people were asked; they run on from where they stood."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals import gates, questions
from approvals.errors import RequestFrozen
from approvals.models import ApprovalRequest
from audit import journal
from audit.models import Event
from orchestration.engine import verbs as engine
from orchestration.engine.driver import Driver
from orchestration.engine.guards import freezing, verbs
from orchestration.engine.models import ReviewItem, Run
from tests.engine import house
from tests.guards import desk
from tests.guards.desk import pass_time, sweep

pytestmark = pytest.mark.django_db

SCOPES = [("agent", "clerk"), ("workflow", "notes"), ("everything", "")]


@pytest.fixture
def asked(zoe):
    """A run that waits for a decision."""
    house.bootstrap(desk.documents(effect="gate"))
    run = house.submit(zoe)
    house.drive(run)
    assert run.status == Run.Status.WAITING_DECISION
    return run


def request_of(run: Run) -> ApprovalRequest:
    return ApprovalRequest.objects.get(run_id=run.pk)


def told(request: ApprovalRequest) -> list[str]:
    return list(Event.objects.filter(stream=request.stream).order_by("seq").values_list("type", flat=True))


def decide(run: Run, person):
    request = request_of(run)
    digest = questions.get(request.question).live(request.subject).digest
    return gates.decide(request.pk, person=person, auth="test", verdict="approve", reason="right", seen_digest=digest)


@pytest.mark.parametrize(("what", "name"), SCOPES)
def test_an_open_request_freezes_with_the_halt_and_its_deadline_moves_on(asked, as_ada, sam, what, name):
    before = request_of(asked).deadline
    row = verbs.halt(what, name, actor=as_ada, reason="stop").halt
    frozen = request_of(asked)

    pass_time(minutes=50)
    verbs.resume(row.pk, actor=as_ada, reason="go on")

    thawed = request_of(asked)
    assert (frozen.status, frozen.frozen_at) == ("frozen", row.placed_at)
    assert (thawed.status, thawed.frozen_at) == ("open", None)
    assert timedelta(minutes=50) <= thawed.deadline - before < timedelta(minutes=51)
    assert told(thawed) == ["request.opened", "request.frozen", "request.thawed"]
    decide(asked, sam)
    pass_time(seconds=1)
    house.drive(asked)
    assert asked.status == Run.Status.COMPLETED
    assert journal.verify().problems == []


def test_a_frozen_request_neither_expires_nor_is_decided(asked, as_ada, sam):
    verbs.halt("everything", actor=as_ada, reason="stop")
    pass_time(hours=30)

    assert gates.expire_due() == 0
    assert not gates.expire(request_of(asked).pk)
    with pytest.raises(RequestFrozen):
        decide(asked, sam)
    assert request_of(asked).status == "frozen"


def test_what_the_sweep_has_not_frozen_yet_is_frozen_where_it_matters(asked, as_ada, sam, monkeypatch):
    monkeypatch.setattr(freezing, "keep", lambda limit=0: 0)  # the sweep is late
    verbs.halt("everything", actor=as_ada, reason="stop")
    assert request_of(asked).status == "open"

    with pytest.raises(RequestFrozen):
        decide(asked, sam)

    assert told(request_of(asked)) == ["request.opened", "request.frozen", "decision.refused"]


def test_a_deadline_that_passes_before_the_sweep_comes_does_not_expire_it(asked, as_ada, monkeypatch):
    with monkeypatch.context() as late:
        late.setattr(freezing, "keep", lambda limit=0: 0)
        row = verbs.halt("everything", actor=as_ada, reason="stop").halt
    pass_time(hours=2)

    assert gates.expire_due() == 0

    assert request_of(asked).frozen_at == row.placed_at


def test_a_deadline_that_had_passed_before_the_halt_has_passed(asked, as_ada):
    pass_time(hours=2)
    verbs.halt("everything", actor=as_ada, reason="stop")

    assert request_of(asked).status == "open"
    assert gates.expire_due() == 1
    house.drive(asked)
    assert asked.status == Run.Status.WAITING_REVIEW  # the expiry is consumed under the halt


def test_a_decision_made_before_the_halt_is_consumed_under_it_and_used_after_it(asked, as_ada, sam):
    decide(asked, sam)
    row = verbs.halt("everything", actor=as_ada, reason="stop").halt

    house.drive(asked)

    assert asked.status == Run.Status.HELD
    assert house.types_of(asked)[-3:] == ["gate.settled", "verdict.given", "step.held"]
    verbs.resume(row.pk, actor=as_ada, reason="go on")
    sweep(asked)
    sweep(asked)
    assert asked.status == Run.Status.COMPLETED
    assert house.types_of(asked).count("gate.opened") == 1  # the approval was kept
    assert journal.verify().problems == []


def test_overlapping_halts_keep_it_frozen_until_the_last_one_ends(asked, as_ada):
    one = verbs.halt("agent", "clerk", actor=as_ada, reason="stop").halt
    two = verbs.halt("everything", actor=as_ada, reason="stop").halt

    verbs.resume(one.pk, actor=as_ada, reason="go on")
    between = request_of(asked).status
    verbs.resume(two.pk, actor=as_ada, reason="go on")

    assert (between, request_of(asked).status) == ("frozen", "open")
    assert told(request_of(asked)) == ["request.opened", "request.frozen", "request.thawed"]


def test_what_an_older_halt_keeps_frozen_does_not_keep_the_rest_from_thawing(zoe, as_ada):
    documents = desk.documents()
    memos = {**documents[-1], "metadata": {**documents[-1]["metadata"], "name": "memos"}}
    house.bootstrap([*documents, memos])
    desk.behind["write"] = desk.Abstain("I do not know")
    notes = [house.submit(zoe, {"id": f"n-{index}"}) for index in range(2)]
    memo = engine.submit("memos", engine.Submission({"id": "m-1"}), person=zoe, actor=as_ada).run
    house.drive(*notes, memo)
    verbs.halt("workflow", "notes", actor=as_ada, reason="stop")
    pass_time(seconds=1)
    row = verbs.halt("workflow", "memos", actor=as_ada, reason="stop").halt
    with pytest.MonkeyPatch.context() as late:
        late.setattr(freezing, "keep", lambda limit=0: 0)  # thawing is left to the sweep
        verbs.resume(row.pk, actor=as_ada, reason="go on")

    assert freezing.keep(limit=1) == 1

    assert list(ReviewItem.objects.filter(frozen_at__isnull=True).values_list("run_id", flat=True)) == [memo.pk]


def test_changes_of_configuration_are_decided_under_any_halt(asked, as_ada):
    verbs.halt("everything", actor=as_ada, reason="stop")

    assert freezing.halt_over(ApprovalRequest(scope="access", run_id=None, opened_at=desk.moved_now())) is None


@pytest.mark.parametrize(("what", "name"), SCOPES)
def test_a_review_items_clock_stands_too(zoe, as_ada, what, name):
    house.bootstrap(desk.documents())
    desk.behind["write"] = desk.Abstain("I do not know")
    run = house.submit(zoe)
    house.drive(run)
    before = ReviewItem.objects.get()

    row = verbs.halt(what, name, actor=as_ada, reason="stop").halt
    frozen = ReviewItem.objects.get()
    pass_time(minutes=20)
    verbs.resume(row.pk, actor=as_ada, reason="go on")

    item = ReviewItem.objects.get()
    assert frozen.frozen_at == row.placed_at
    assert item.frozen_at is None
    assert timedelta(minutes=20) <= item.due_at - before.due_at < timedelta(minutes=21)
    types = list(Event.objects.filter(stream=item.stream).order_by("seq").values_list("type", flat=True))
    assert types == ["review.frozen", "review.thawed"]
    assert journal.verify().problems == []


def test_a_halt_of_an_agent_freezes_its_items_inside_a_block(zoe, as_ada):
    inside = {"id": "write", "agent": "clerk", "output": "anything@1"}
    documents = desk.documents()
    documents[-1]["spec"]["steps"] = [{"id": "all", "parallel": {"one": {"steps": [inside]}}}]
    house.bootstrap(documents)
    desk.behind["write"] = desk.Abstain("I do not know")
    house.submit(zoe)
    Driver().drive()

    row = verbs.halt("agent", "clerk", actor=as_ada, reason="stop").halt

    assert ReviewItem.objects.get().frozen_at == row.placed_at
