"""One outcome per gate, and separation of duties for everybody (DESIGN promises 6 and 8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from aegis.core import clock
from aegis.core.actors import SYSTEM
from aegis.core.canonical import MAX_PAYLOAD_BYTES
from aegis.core.errors import Invalid, NotAuthenticated, NotFound, Stale
from aegis.identity import people
from aegis.identity.models import User
from approvals import gates
from approvals.errors import NobodyEligible, NotEligible, ReasonMissing, RequestFrozen, RequestSettled
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision
from audit import access, journal
from audit.models import DenialCount, Event
from tests.approvals.house import ask, decide_as, events_of, line_of, outcomes, policy_document, reload, store_policy

pytestmark = pytest.mark.django_db


def test_an_approval_settles_and_tells_the_owner_once(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)

    settled = decide_as(lead, request, reason="checked the ticket")

    assert settled.status == ApprovalRequest.Status.APPROVED
    assert outcomes(request) == ["approved"]
    assert events_of(request) == ["request.opened", "decision.made", "gate.stage_passed", "request.settled"]
    assert journal.payload(request.stream, 2, "reason") == b'"checked the ticket"'
    assert "checked" not in journal.read(request.stream)[1].line


def test_the_settling_line_names_the_decision_as_its_cause(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)

    decide_as(lead, request)

    assert line_of(request)["cause"] == f"{request.stream}/2"


def test_one_rejection_settles(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)

    decide_as(lead, request, "reject", reason="wrong customer")

    assert reload(request).status == ApprovalRequest.Status.REJECTED
    assert outcomes(request) == ["rejected"]


def test_who_comes_second_is_told_who_and_when(policy: ApprovalPolicy, lead: User, second_lead: User) -> None:
    request = ask(policy)
    decide_as(lead, request, "reject", reason="no")

    with pytest.raises(RequestSettled) as refusal:
        decide_as(second_lead, request)

    assert refusal.value.http_status == 409
    assert refusal.value.detail.startswith("Lea rejected this at ")
    assert refusal.value.decided_by == "Lea"
    assert refusal.value.decided_at == Decision.objects.get().at
    assert outcomes(request) == ["rejected"]
    assert line_of(request)["type"] == "decision.refused"
    assert line_of(request)["data"]["code"] == "request_settled"


@pytest.mark.parametrize("what", ["settled", "wrong digest"])
def test_the_same_refusal_again_is_counted_not_written(
    what: str, policy: ApprovalPolicy, lead: User, second_lead: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(policy)
    if what == "settled":
        decide_as(lead, request)

    def again() -> None:
        with pytest.raises(RequestSettled if what == "settled" else Stale) as refusal:
            decide_as(second_lead, request, digest="0" * 64)
        assert refusal.value.is_on_record

    for _ in range(4):
        again()
    assert events_of(request).count("decision.refused") == 1
    assert Event.objects.filter(type="access.denied").count() == 1
    assert DenialCount.objects.get().repeats == 2

    if what == "wrong digest":
        decide_as(lead, request)
        with pytest.raises(RequestSettled):
            decide_as(second_lead, request)
        assert line_of(request)["data"]["code"] == "request_settled", "another refusal is written"
    monkeypatch.setattr(access, "WINDOW", timedelta(0))
    with pytest.raises(RequestSettled):
        decide_as(second_lead, request)
    assert events_of(request).count("decision.refused") == (3 if what == "wrong digest" else 2), "after the ten minutes, too"


def test_a_refusal_of_the_page_is_written_once(
    policy: ApprovalPolicy, lead: User, second_lead: User, browser_of: Callable[..., Client]
) -> None:
    request = ask(policy, requester=lead)
    form = {"verdict": "approve", "reason": "mine", "digest": request.digest}

    assert browser_of(lead).post(f"/approvals/{request.pk}/decide/", form).status_code == 403

    assert line_of(request)["data"]["code"] == "bound"
    assert not Event.objects.filter(type="access.denied").exists()


def test_two_people_are_needed_and_one_of_them_twice_is_not_two(lead: User, second_lead: User) -> None:
    request = ask(store_policy(policy_document(stages=[{"groups": ["Leads"], "quorum": 2}])))
    decide_as(lead, request)

    with pytest.raises(NotEligible, match="a person counts once"):
        decide_as(lead, request)
    assert reload(request).status == ApprovalRequest.Status.OPEN

    decide_as(second_lead, request)
    assert outcomes(request) == ["approved"]


def test_stages_are_asked_in_their_order(person: Callable[..., User], lead: User) -> None:
    finance = person("fin", "Finance")
    request = ask(store_policy(policy_document(stages=[{"groups": ["Leads"]}, {"groups": ["Finance"]}])))

    with pytest.raises(NotEligible, match="only people in Leads decide this stage"):
        decide_as(finance, request)
    decide_as(lead, request)
    assert reload(request).stage == 1
    decide_as(finance, request)

    assert outcomes(request) == ["approved"]
    assert events_of(request)[1:3] == ["decision.made", "gate.stage_passed"], "who lacks the right changes nothing here"
    assert Event.objects.get(type="access.denied").actor_ref == str(finance.pk)


def test_requester_cannot_approve_own_request_even_as_superuser(policy: ApprovalPolicy, lead: User, root: User) -> None:
    root.groups.add(policy.groups.get())
    request = ask(policy, requester=root)

    with pytest.raises(NotEligible, match="you requested it"):
        decide_as(root, request)

    assert reload(request).status == ApprovalRequest.Status.OPEN
    assert events_of(request)[-1] == "decision.refused"
    assert line_of(request)["data"]["code"] == "bound"

    with pytest.raises(NotEligible):
        decide_as(root, request)
    assert len(events_of(request)) == 2, "repeats are counted, not written"
    assert Event.objects.get(type="access.denied").actor_ref == str(root.pk)


def test_the_owner_of_the_proposing_agent_cannot_approve(policy: ApprovalPolicy, lead: User, second_lead: User) -> None:
    request = ask(policy, bound={str(lead.pk): "own the agent that proposed it"})

    with pytest.raises(NotEligible, match="you own the agent that proposed it"):
        decide_as(lead, request)

    decide_as(second_lead, request)
    assert outcomes(request) == ["approved"]


def test_being_a_superuser_opens_no_stage(policy: ApprovalPolicy, root: User) -> None:
    request = ask(policy, requester=root)  # so that root can see it

    with pytest.raises(NotEligible):
        decide_as(root, request)


def test_a_disabled_person_cannot_decide(policy: ApprovalPolicy, lead: User, ada: User) -> None:
    request = ask(policy)
    people.disable_person(lead.pk, actor=SYSTEM, reason="left")

    with pytest.raises(NotAuthenticated):
        decide_as(lead, request)

    assert line_of(request)["data"]["code"] == "not_authenticated"
    assert outcomes(request) == []


def test_who_left_the_group_between_opening_and_deciding_cannot_decide(
    policy: ApprovalPolicy, lead: User, second_lead: User, ada: User
) -> None:
    other = ask(policy)
    people.remove_from_group(second_lead.pk, "Leads", actor=SYSTEM, reason="moved")

    with pytest.raises(NotFound):
        decide_as(second_lead, other)

    assert Event.objects.get(type="access.denied").actor_ref == str(second_lead.pk)
    assert reload(other).status == ApprovalRequest.Status.OPEN


def test_a_stranger_gets_the_answer_of_an_unknown_request(policy: ApprovalPolicy, person: Callable[..., User]) -> None:
    request = ask(policy)

    with pytest.raises(NotFound) as refusal:
        decide_as(person("mallory"), request)

    assert refusal.value.detail == NotFound().detail


def test_a_vote_stops_counting_when_its_person_leaves_the_group(
    lead: User, second_lead: User, person: Callable[..., User], ada: User
) -> None:
    person("liv", "Leads")
    request = ask(store_policy(policy_document(stages=[{"groups": ["Leads"], "quorum": 2}])))
    decide_as(lead, request)
    people.remove_from_group(lead.pk, "Leads", actor=SYSTEM, reason="moved")

    decide_as(second_lead, request)

    assert reload(request).status == ApprovalRequest.Status.OPEN


def test_a_frozen_request_is_not_decided(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)
    ApprovalRequest.objects.update(status=ApprovalRequest.Status.FROZEN)

    with pytest.raises(RequestFrozen):
        decide_as(lead, request)
    assert gates.expire_due() == 0


def test_a_rejection_needs_a_reason_and_an_approval_only_where_the_policy_says(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)
    with pytest.raises(ReasonMissing):
        decide_as(lead, request, "reject", reason="  ")
    assert events_of(request) == ["request.opened"]

    decide_as(lead, request, reason="")
    assert outcomes(request) == ["approved"]

    strict = ask(store_policy(policy_document("strict", reason="always")))
    with pytest.raises(ReasonMissing):
        decide_as(lead, strict, reason="")


@pytest.mark.parametrize(
    ("verdict", "reason"), [("maybe", "ok"), ("approve", "a\x00b"), ("approve", "x" * MAX_PAYLOAD_BYTES), ("", "ok")]
)
def test_bad_input_changes_nothing(policy: ApprovalPolicy, lead: User, verdict: str, reason: str) -> None:
    request = ask(policy)

    with pytest.raises(Invalid):
        decide_as(lead, request, verdict, reason=reason)

    assert events_of(request) == ["request.opened"]


def test_what_a_client_sends_as_digest_never_reaches_the_line(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)

    with pytest.raises(Exception, match="read it again"):
        decide_as(lead, request, digest="<script>\x00")

    assert line_of(request)["data"]["digest"] == ""


def test_a_gate_that_nobody_could_open_is_refused_when_it_is_set(policy: ApprovalPolicy, lead: User) -> None:
    with pytest.raises(NobodyEligible, match="too few there could"):
        ask(policy, requester=lead)

    assert not ApprovalRequest.objects.exists()


def test_one_person_in_two_groups_cannot_fill_two_stages(person: Callable[..., User]) -> None:
    person("uma", "Leads", "Finance")
    both = store_policy(policy_document(stages=[{"groups": ["Leads"]}, {"groups": ["Finance"]}]))

    with pytest.raises(NobodyEligible, match="two of Leads or Finance must approve, and too few there could"):
        ask(both)


def test_asking_twice_under_one_id_is_asking_once(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)
    again = gates.open_request(
        request_id=request.pk,
        question="record",
        subject=request.subject,
        policy=policy,
        digest="f" * 64,
        risk="low",
        requester_id=None,
        run_id=None,
        context_scope="policy",
        evidence={},
        at=clock.db_now(),
        actor=SYSTEM,
    )

    assert again.digest == request.digest
    assert events_of(request) == ["request.opened"]


def test_evidence_is_frozen_with_the_request_and_read_back_by_name(policy: ApprovalPolicy, lead: User) -> None:
    request = ask(policy)

    assert list(gates.evidence_of(request)) == ["record"]


def test_withdrawing_closes_the_requests_of_a_run_without_telling_it(policy: ApprovalPolicy, lead: User) -> None:
    request, run_id = ask(policy), lead.pk
    ApprovalRequest.objects.update(run_id=run_id)

    assert gates.withdraw_for_run(run_id, SYSTEM, "run cancelled", clock.db_now()) == 1
    assert gates.withdraw_for_run(run_id, SYSTEM, "run cancelled", clock.db_now()) == 0

    assert reload(request).status == ApprovalRequest.Status.WITHDRAWN
    assert outcomes(request) == []
    assert events_of(request)[-1] == "request.withdrawn"


def test_eligibility_says_why_and_why_not(policy: ApprovalPolicy, lead: User, second_lead: User, olivia: User) -> None:
    request = ask(policy, requester=lead)

    yes = gates.eligibility(request, second_lead)
    assert (yes.may, yes.sentence) == (True, "You can decide this: you are in Leads and did not request it.")
    own = gates.eligibility(request, lead)
    assert (own.may, own.refusal) == (False, "bound")
    other = gates.eligibility(request, olivia)
    assert (other.may, other.sentence) == (False, "You cannot decide this: only people in Leads decide this stage.")

    decide_as(second_lead, request)
    done = gates.eligibility(reload(request), second_lead)
    assert not done.may
    assert done.sentence.startswith("Leo approved this at ")


def test_the_inbox_holds_exactly_what_a_person_can_decide(
    policy: ApprovalPolicy, lead: User, second_lead: User, person: Callable[..., User]
) -> None:
    fin = person("fin", "Finance")
    staged = store_policy(policy_document("staged", stages=[{"groups": ["Leads"]}, {"groups": ["Finance"]}]))
    mine, own, owned, two = ask(policy), ask(policy, requester=lead), ask(policy, bound={str(lead.pk): "own it"}), ask(staged)

    def inbox(user: User, later: timedelta = timedelta()) -> set[object]:
        return set(ApprovalRequest.objects.awaiting(user, clock.now() + later).values_list("pk", flat=True))

    assert inbox(lead) == {mine.pk, two.pk}
    assert inbox(second_lead) == {mine.pk, own.pk, owned.pk, two.pk}
    assert inbox(fin) == set()
    decide_as(lead, two)
    assert inbox(fin) == {two.pk}
    assert inbox(lead) == {mine.pk}
    assert inbox(lead, timedelta(hours=2)) == set()
