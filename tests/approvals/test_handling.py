"""What people do with a request beside deciding, and deciding for somebody else. Separation of duties binds on every path."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aegis.core import canonical, clock
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.errors import Conflict, Forbidden, Invalid, NotFound
from aegis.identity import people
from aegis.identity.models import User
from approvals import delegations, gates, handling, shortage
from approvals.errors import ChangesNotTaken, Claimed, NotEligible, ReasonMissing, RequestSettled, StepUpNeeded
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision, Delegation
from audit import journal
from tests.approvals import house

pytestmark = pytest.mark.django_db


def by(person: User) -> Actor:
    return user_actor(person.pk, auth="session")


@pytest.fixture
def ines(person: Callable[..., User]) -> User:
    """In no group that decides."""
    return person("ines", "Clerks")


def lets(delegator: User, delegate: User, capability: str = "", **more: Any) -> Delegation:
    """`capability` is written behind the verb: none is configured here."""
    now = clock.now()
    dates = {"starts_at": now - timedelta(minutes=1), "ends_at": now + timedelta(days=3)}
    row = delegations.delegate(**({"to": delegate.pk, "actor": by(delegator), "reason": "on leave"} | dates | more))
    Delegation.objects.filter(pk=row.pk).update(capability=capability)
    return row


# Claims


def test_a_claim_says_who_is_at_it_and_stops_nobody(policy: ApprovalPolicy, lead: User, second_lead: User) -> None:
    request = house.ask(policy)
    handling.claim(request.pk, actor=by(lead), reason="mine")
    handling.claim(request.pk, actor=by(lead))

    with pytest.raises(Claimed) as refusal:
        handling.claim(request.pk, actor=by(second_lead))
    assert (refusal.value.http_status, refusal.value.claimed_by) == (409, "Lea")
    assert refusal.value.claimed_at == house.reload(request).claimed_at
    assert house.events_of(request) == ["request.opened", "request.claimed"]
    assert journal.payload(request.stream, 2, "reason") == b'"mine"'

    house.decide_as(second_lead, request)
    assert house.outcomes(request) == ["approved"]


def test_a_claim_is_let_go_and_given_on(policy: ApprovalPolicy, lead: User, second_lead: User) -> None:
    request = house.ask(policy)
    handling.claim(request.pk, actor=by(lead))
    with pytest.raises(Conflict, match="Lea has it"):
        handling.release(request.pk, actor=by(second_lead))

    handling.reassign(request.pk, to=second_lead.pk, actor=by(lead), reason="lunch")
    assert house.reload(request).claimed_by == second_lead
    handling.release(request.pk, actor=by(second_lead))
    assert house.reload(request).claimed_by is None
    assert house.events_of(request)[1:] == ["request.claimed", "request.reassigned", "request.released"]


@pytest.mark.parametrize("verb", ["claim", "take over", "give"])
def test_who_is_bound_neither_claims_nor_is_given_it(verb: str, policy: ApprovalPolicy, lead: User, second_lead: User) -> None:
    request = house.ask(policy, bound={str(lead.pk): "own the agent that proposed it"})

    verbs: dict[str, Callable[[], object]] = {
        "claim": lambda: handling.claim(request.pk, actor=by(lead)),
        "take over": lambda: handling.reassign(request.pk, to=second_lead.pk, actor=by(lead), reason="mine"),
        "give": lambda: handling.reassign(request.pk, to=lead.pk, actor=by(second_lead), reason="hers"),
    }

    with pytest.raises((NotEligible, Invalid)):
        verbs[verb]()
    assert house.reload(request).claimed_by is None


def test_what_is_settled_is_claimed_by_nobody_and_says_who_was_faster(
    policy: ApprovalPolicy, lead: User, second_lead: User
) -> None:
    request = house.ask(policy)
    house.decide_as(lead, request)

    with pytest.raises(RequestSettled) as refusal:
        handling.claim(request.pk, actor=by(second_lead))
    assert (refusal.value.http_status, refusal.value.decided_by) == (409, "Lea")


# Comments and withdrawal


def test_whoever_may_see_it_comments_and_nobody_else(policy: ApprovalPolicy, lead: User, ines: User) -> None:
    request = house.ask(policy)
    handling.comment(request.pk, actor=by(lead), text=" Called the customer. ")

    assert journal.payload(request.stream, 2, "comment") == b'"Called the customer."'
    assert "Called" not in journal.read(request.stream)[1].line
    with pytest.raises(NotFound):
        handling.comment(request.pk, actor=by(ines), text="me too")
    with pytest.raises(Invalid):
        handling.comment(request.pk, actor=by(lead), text=" ")


def test_only_who_asked_withdraws_and_the_owner_is_told_once(policy: ApprovalPolicy, lead: User, ines: User) -> None:
    request = house.ask(policy, requester=ines)
    with pytest.raises(Forbidden):
        handling.withdraw(request.pk, actor=by(lead), reason="no")

    handling.withdraw(request.pk, actor=by(ines), reason="asked in error")
    assert house.reload(request).status == ApprovalRequest.Status.WITHDRAWN
    assert house.outcomes(request) == ["withdrawn"]
    with pytest.raises(RequestSettled):
        handling.withdraw(request.pk, actor=by(ines), reason="again")
    with pytest.raises(RequestSettled):
        house.decide_as(lead, request)


# Request changes


def test_changes_are_requested_with_a_reason_and_settle_it(policy: ApprovalPolicy, lead: User, second_lead: User) -> None:
    request = house.ask(policy)
    with pytest.raises(ReasonMissing):
        house.decide_as(lead, request, "request_changes", reason="")

    house.decide_as(lead, request, "request_changes", reason="name the invoice")

    assert house.reload(request).status == ApprovalRequest.Status.CHANGES_REQUESTED
    assert house.outcomes(request) == ["changes_requested"]
    with pytest.raises(RequestSettled, match="Lea requested changes to this at"):
        house.decide_as(second_lead, request)


def test_changes_are_not_requested_where_nobody_would_make_them(policy: ApprovalPolicy, lead: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(house.RecordQuestion, "takes_changes", lambda self, request: False)
    request = house.ask(policy)

    with pytest.raises(ChangesNotTaken):
        house.decide_as(lead, request, "request_changes")
    assert (house.outcomes(request), house.line_of(request)["data"]["code"]) == ([], "changes_not_taken")


def test_who_is_bound_cannot_request_changes_either(policy: ApprovalPolicy, lead: User, second_lead: User) -> None:
    request = house.ask(policy, bound={str(lead.pk): "own the agent that proposed it"})

    with pytest.raises(NotEligible):
        house.decide_as(lead, request, "request_changes")


# Delegation


def test_a_delegate_decides_in_the_delegators_place_and_it_says_so(policy: ApprovalPolicy, lead: User, ines: User) -> None:
    request = house.ask(policy)
    with pytest.raises(NotFound):
        house.decide_as(ines, request)
    row = lets(lead, ines)

    assert ApprovalRequest.objects.awaiting(ines, clock.now()).get() == request
    assert gates.eligibility(request, ines).sentence.startswith("You can decide this for Lea, who lets you until ")
    house.decide_as(ines, request)

    assert house.outcomes(request) == ["approved"]
    vote = Decision.objects.get()
    assert (vote.person, vote.delegation, vote.name) == (ines, row, "Ines")
    assert vote.meaning.endswith("in the place of Lea)")
    assert house.line_of(request, 1)["data"]["seat"] == str(lead.pk)


@pytest.mark.parametrize("bound", ["lea", "ines"])
def test_a_delegate_is_bound_by_all_that_binds_either(
    bound: str, policy: ApprovalPolicy, lead: User, second_lead: User, ines: User
) -> None:
    lets(lead, ines)
    tied = lead if bound == "lea" else ines
    request = house.ask(policy, bound={str(tied.pk): "own the agent that proposed it"})

    with pytest.raises(NotEligible):
        house.decide_as(ines, request)
    assert not ApprovalRequest.objects.awaiting(ines, clock.now()).exists()
    with pytest.raises(NotEligible):
        handling.claim(request.pk, actor=by(ines))


def test_the_requester_cannot_decide_through_a_delegate_nor_as_one(policy: ApprovalPolicy, lead: User, ines: User) -> None:
    second = people.create_person("leo", name="Leo", password="x" * 20, groups=["Leads"], actor=SYSTEM, reason="test")
    lets(lead, ines)
    for asker in (lead, ines):
        request = house.ask(policy, requester=asker)
        with pytest.raises(NotEligible):
            house.decide_as(ines, request)
        assert house.reload(request).status == ApprovalRequest.Status.OPEN
    assert second.pk


@pytest.mark.parametrize("hands", [1, 2])
def test_who_acts_for_somebody_bound_is_bound_also_in_his_own_right(
    hands: int, policy: ApprovalPolicy, lead: User, second_lead: User, ines: User, person: Callable[..., User]
) -> None:
    person("lou", "Leads")
    request = house.ask(policy, requester=ines)
    between = lead if hands == 1 else person("tom", "Clerks")
    row = lets(ines, between, capability="ticket.reply")  # whatever it is about
    if hands == 2:
        lets(between, lead)

    with pytest.raises(NotEligible, match="act for somebody who is bound"):
        house.decide_as(lead, request)
    assert not ApprovalRequest.objects.awaiting(lead, clock.now()).exists()
    assert ApprovalRequest.objects.awaiting(second_lead, clock.now()).get() == request
    delegations.end(row.pk, actor=by(ines), reason="back")
    house.decide_as(lead, request)
    assert house.outcomes(request) == ["approved"]


def test_a_vote_no_longer_counts_once_its_person_acts_for_somebody_bound(lead: User, second_lead: User, ines: User) -> None:
    policy = house.store_policy(house.policy_document(stages=[{"groups": ["Leads"], "quorum": 2}]))
    request = house.ask(policy, requester=ines)
    house.decide_as(lead, request)
    lets(ines, lead)

    house.decide_as(second_lead, request)

    assert house.outcomes(request) == []


def test_one_seat_counts_once_whoever_fills_it(lead: User, second_lead: User, ines: User) -> None:
    policy = house.store_policy(house.policy_document(stages=[{"groups": ["Leads"], "quorum": 2}]))
    lets(lead, ines)
    lets(second_lead, ines)
    request = house.ask(policy)
    house.decide_as(ines, request)

    for person in (lead, ines):
        with pytest.raises(NotEligible):
            house.decide_as(person, request)
    assert house.outcomes(request) == []
    house.decide_as(second_lead, request)
    assert house.outcomes(request) == ["approved"]


def test_a_delegation_reaches_as_far_as_it_says(policy: ApprovalPolicy, lead: User, ines: User) -> None:
    request = house.ask(policy)
    now = clock.now()
    for narrow in (
        {"policy": house.store_policy(house.policy_document("other")).name},
        {"capability": "ticket.reply"},
        {"starts_at": now + timedelta(hours=1), "ends_at": now + timedelta(hours=2)},
    ):
        lets(lead, ines, **narrow)
        with pytest.raises(NotFound):
            house.decide_as(ines, request)
        assert not ApprovalRequest.objects.awaiting(ines, clock.now()).exists()

    lets(lead, ines, policy="closing")
    house.decide_as(ines, request)
    assert house.outcomes(request) == ["approved"]


def test_what_is_delegated_is_not_given_on(policy: ApprovalPolicy, lead: User, ines: User, person: Callable[..., User]) -> None:
    third = person("tom", "Clerks")
    lets(lead, ines)
    lets(ines, third)

    with pytest.raises(NotFound):
        house.decide_as(third, house.ask(policy))


@pytest.mark.parametrize("cause", ["ended", "disabled", "left"])
def test_a_right_lost_by_either_takes_the_delegates_vote_along(
    cause: str, lead: User, second_lead: User, ines: User, person: Callable[..., User]
) -> None:
    person("lou", "Leads")
    policy = house.store_policy(house.policy_document(stages=[{"groups": ["Leads"], "quorum": 2}]))
    row = lets(lead, ines)
    request = house.ask(policy)
    house.decide_as(ines, request)
    match cause:
        case "ended":
            delegations.end(row.pk, actor=by(lead), reason="back")
        case "disabled":
            people.disable_person(ines.pk, actor=SYSTEM, reason="left")
        case _:
            people.remove_from_group(lead.pk, "Leads", actor=SYSTEM, reason="moved")

    house.decide_as(second_lead, request)

    assert house.outcomes(request) == []


def test_a_delegation_that_means_nothing_is_refused(policy: ApprovalPolicy, lead: User, ines: User) -> None:
    now = clock.now()
    for wrong in (
        {"to": lead.pk},
        {"starts_at": now, "ends_at": now},
        {"ends_at": now - timedelta(days=1), "starts_at": now - timedelta(days=2)},
        {"ends_at": now + timedelta(days=200)},
        {"policy": "unknown"},
    ):
        with pytest.raises(Invalid):
            lets(lead, ines, **wrong)
    assert not Delegation.objects.exists()
    row = lets(lead, ines)
    with pytest.raises(NotFound):
        delegations.end(row.pk, actor=by(people.create_person(
            "eve", name="Eve", password="x" * 20, groups=[], actor=SYSTEM, reason="test")), reason="mine")  # fmt: skip


# What a decision is signed with


def test_high_risk_is_approved_only_by_who_has_just_signed_in(lead: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(risk="high", step_up={"within": "10m"})))

    def approve(proved_at: Any) -> ApprovalRequest:
        return gates.decide(
            request.pk, person=lead, auth="session", verdict="approve", reason="right", seen_digest=request.digest,
            proved_at=proved_at, seconds_open=41,
        )  # fmt: skip

    for too_old in (None, clock.now() - timedelta(minutes=11)):
        with pytest.raises(StepUpNeeded):
            approve(too_old)
    assert (house.outcomes(request), house.line_of(request)["data"]["code"]) == ([], "step_up_needed")

    recent = clock.now() - timedelta(minutes=9)
    approve(recent)

    vote = Decision.objects.get()
    assert (vote.auth, vote.proved_at, vote.seconds_open, vote.digest) == ("session", recent, 41, request.digest)
    assert vote.meaning == f"Approved: {house.RecordQuestion().live(request.subject).title} (stage 1 of 1 of closing)"
    signed = canonical.parse(journal.payload(request.stream, vote.seq, "signature") or b"")
    assert signed == {"name": "Lea", "meaning": vote.meaning}


def test_a_rejection_never_waits_for_a_sign_in(lead: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(risk="high")))

    gates.decide(request.pk, person=lead, auth="session", verdict="reject", reason="no", seen_digest=request.digest)

    assert house.outcomes(request) == ["rejected"]


def test_a_bound_person_does_not_choose_by_delegations_who_decides(
    lead: User, second_lead: User, person: Callable[..., User]
) -> None:
    asker, third = person("ada2", "Leads"), person("liv", "Leads")
    request = house.ask(
        house.store_policy(house.policy_document(stages=[{"groups": ["Leads"], "quorum": "all"}])), requester=asker
    )
    lets(asker, second_lead)

    house.decide_as(lead, request)
    house.decide_as(third, request)
    assert house.outcomes(request) == [], "who acts for the asker cannot vote, but is asked all the same"
    with pytest.raises(NotEligible):
        house.decide_as(second_lead, request)
    assert shortage.short_of([house.reload(request)]) == {request.pk: 1}

    delegations.end(Delegation.objects.get().pk, actor=by(asker), reason="back")
    assert shortage.short_of([house.reload(request)]) == {}
    house.decide_as(second_lead, request)
    assert house.outcomes(request) == ["approved"]


def test_a_delegation_taken_back_gives_the_delegator_his_voice_back(lead: User, second_lead: User, ines: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=[{"groups": ["Leads"], "quorum": 2}])))
    lent = lets(lead, ines)
    house.decide_as(ines, request)
    assert gates.eligibility(house.reload(request), lead).refusal == "voted"

    delegations.end(lent.pk, actor=by(lead), reason="back")
    assert shortage.short_of([house.reload(request)]) == {}
    assert ApprovalRequest.objects.awaiting(lead, clock.now()).get() == request
    house.decide_as(lead, request)
    assert house.outcomes(request) == [], "both together are one"
    house.decide_as(second_lead, request)
    assert house.outcomes(request) == ["approved"]


def test_a_delegation_taken_back_once_its_stage_is_passed_counts_its_delegator_once(
    lead: User, second_lead: User, ines: User
) -> None:
    stages = [{"groups": ["Leads"], "quorum": 1}, {"groups": ["Leads"], "quorum": 1}]
    request = house.ask(house.store_policy(house.policy_document(stages=stages)))
    lent = lets(lead, ines)
    house.decide_as(ines, request)
    delegations.end(lent.pk, actor=by(lead), reason="back")

    assert not ApprovalRequest.objects.awaiting(lead, clock.now()).exists()
    with pytest.raises(NotEligible, match="a person counts once"):
        house.decide_as(lead, house.reload(request))
    house.decide_as(second_lead, house.reload(request))
    assert house.outcomes(request) == ["approved"]
