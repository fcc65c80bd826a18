"""What you see is what you sign (DESIGN promise 7), and time never approves (promise 6)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from aegis.core.errors import Stale
from aegis.identity.models import User
from approvals import gates
from approvals.errors import RequestExpired, RequestSettled
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from tests.approvals import house

pytestmark = pytest.mark.django_db
TWO = [{"groups": ["Leads"], "quorum": 2}]


def test_a_decision_on_something_else_than_what_was_shown_is_refused(policy: ApprovalPolicy, lead: User) -> None:
    request = house.ask(policy)

    with pytest.raises(Stale):
        house.decide_as(lead, request, digest="0" * 64)

    assert house.outcomes(request) == []
    assert house.line_of(request)["data"]["code"] == "stale"
    assert house.reload(request).digest == request.digest


def test_when_the_record_moves_earlier_votes_are_void_and_said_to_be(lead: User, second_lead: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=TWO)))
    house.decide_as(lead, request)
    house.change_record(request)

    with pytest.raises(Stale, match="Earlier votes are void"):
        house.decide_as(second_lead, request)

    assert Decision.objects.get().is_void
    assert house.events_of(request)[2:] == ["decision.refused", "decision.voided", "request.rebound"]
    assert house.reload(request).status == ApprovalRequest.Status.OPEN
    assert house.outcomes(request) == []


def test_after_it_moved_both_sign_again_what_stands_now(lead: User, second_lead: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=TWO)))
    house.decide_as(lead, request)
    house.change_record(request)
    with pytest.raises(Stale):
        house.decide_as(second_lead, request)
    now = house.reload(request)
    assert now.digest != request.digest

    with pytest.raises(Stale):  # the page of before
        house.decide_as(lead, request)
    house.decide_as(lead, now)
    house.decide_as(second_lead, now)

    assert house.outcomes(request) == ["approved"]


def test_a_new_version_of_the_policy_voids_votes_and_starts_at_the_first_stage(lead: User, second_lead: User) -> None:
    stages = [{"groups": ["Leads"]}, {"groups": ["Leads"]}]
    request = house.ask(house.store_policy(house.policy_document(stages=stages)))
    house.decide_as(lead, request)
    assert house.reload(request).stage == 1
    house.store_policy(house.policy_document(stages=stages, deadline="2h"))

    with pytest.raises(Stale):
        house.decide_as(second_lead, request)

    now = house.reload(request)
    assert (now.stage, now.policy_digest) == (0, now.policy.digest)
    assert now.deadline == request.deadline


def _at(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock that deadlines are judged by."""
    monkeypatch.setattr("aegis.core.clock.db_now", lambda: moment)


@pytest.mark.parametrize("microseconds", [0, 1, 5000])
def test_at_the_deadline_and_after_it_a_decision_is_refused(
    policy: ApprovalPolicy, lead: User, monkeypatch: pytest.MonkeyPatch, microseconds: int
) -> None:
    request = house.ask(policy)
    _at(request.deadline + timedelta(microseconds=microseconds), monkeypatch)

    with pytest.raises(RequestExpired):
        house.decide_as(lead, request)

    assert house.reload(request).status == ApprovalRequest.Status.OPEN  # left for the sweep
    assert house.events_of(request)[-1] == "decision.refused"


def test_just_before_the_deadline_a_decision_counts_and_nothing_expires(
    policy: ApprovalPolicy, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = house.ask(policy)
    _at(request.deadline - timedelta(microseconds=1), monkeypatch)

    assert gates.expire_due() == 0
    house.decide_as(lead, request)

    assert house.outcomes(request) == ["approved"]


def test_the_sweep_expires_and_never_approves(policy: ApprovalPolicy, lead: User, monkeypatch: pytest.MonkeyPatch) -> None:
    request = house.ask(policy)
    _at(request.deadline, monkeypatch)

    assert gates.expire_due() == 1
    assert gates.expire_due() == 0

    assert house.outcomes(request) == ["expired"]
    assert house.line_of(request)["outcome"] == "expired"
    with pytest.raises(RequestSettled, match="This was expired at"):
        house.decide_as(lead, request)


def test_votes_that_miss_the_quorum_do_not_help_at_the_deadline(
    lead: User, second_lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=TWO)))
    house.decide_as(lead, request)
    _at(request.deadline, monkeypatch)

    gates.expire_due()

    assert house.outcomes(request) == ["expired"]


def test_the_sweep_takes_the_oldest_first_and_no_more_than_asked(
    policy: ApprovalPolicy, lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = house.ask(policy), house.ask(policy)
    _at(second.deadline, monkeypatch)

    assert gates.expire_due(limit=1) == 1

    assert (house.outcomes(first), house.outcomes(second)) == (["expired"], [])
