"""Reminders, escalations and expiry: each once, each on record, none while halted; and no time ever says yes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from aegis.core import clock
from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.errors import Conflict, NotFound
from aegis.identity import people
from aegis.identity.models import User
from approvals import gates, handling, policies, sweep
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest
from approvals.pages.standing import standing
from approvals.questions import Halted
from tests.approvals import house

pytestmark = pytest.mark.django_db

HEADS = {"after": "20m", "groups": ["Heads"]}


def later(request: ApprovalRequest, minutes: int) -> None:
    """As if so many minutes had passed."""
    step = timedelta(minutes=minutes)
    ApprovalRequest.objects.filter(pk=request.pk).update(
        opened_at=F("opened_at") - step,
        stage_since=F("stage_since") - step,
        deadline=F("deadline") - step,
        next_at=F("next_at") - step,
    )


def stage(**more: Any) -> dict[str, Any]:
    return {"groups": ["Leads"], **more}


@pytest.fixture
def head(person: Callable[..., User]) -> User:
    return person("hedy", "Heads")


def test_reminders_come_once_each_and_what_was_slept_through_is_one(lead: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(reminders=["10m", "30m"])))

    assert sweep.keep_due() == 0
    later(request, 31)
    assert (sweep.keep_due(), sweep.keep_due()) == (1, 0)
    assert house.line_of(request)["type"] == "request.reminded"
    assert house.line_of(request)["data"] | {"seconds_left": 0} == {
        "reminder": 1, "of": 2, "groups": ["Leads"], "seconds_left": 0,
    }  # fmt: skip
    later(request, 20)
    assert (sweep.keep_due(), sweep.keep_due()) == (1, 0)

    slept = house.ask(house.store_policy(house.policy_document(reminders=["10m", "30m"])))
    later(slept, 55)
    assert sweep.keep_due() == 1
    assert (house.events_of(slept).count("request.reminded"), house.line_of(slept)["data"]["reminder"]) == (1, 2)


def test_an_escalation_lets_more_people_decide_and_only_then(lead: User, head: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=[stage(escalate=[HEADS])])))

    with pytest.raises(NotEligible, match="only people in Leads decide this stage"):
        house.decide_as(head, request)
    assert not ApprovalRequest.objects.awaiting(head, clock.now()).exists()
    later(request, 21)
    assert (sweep.keep_due(), sweep.keep_due()) == (1, 0)
    assert house.line_of(request)["data"] == {"stage": 1, "level": 1, "groups": ["Heads"], "instead": False}
    assert ApprovalRequest.objects.awaiting(head, clock.now()).exists()
    assert standing(house.reload(request)).groups == "Leads or Heads"

    house.decide_as(head, house.reload(request))
    assert house.outcomes(request) == ["approved"]


def test_who_is_asked_instead_decides_with_the_votes_given_before(lead: User, second_lead: User, head: User) -> None:
    request = house.ask(
        house.store_policy(house.policy_document(stages=[stage(quorum=2, escalate=[HEADS | {"instead": True}])]))
    )
    house.decide_as(lead, request)
    later(request, 21)
    sweep.keep_due()

    with pytest.raises(NotEligible, match="only people in Heads decide this stage"):
        house.decide_as(second_lead, request)
    house.decide_as(head, request)

    assert house.outcomes(request) == ["approved"]


def test_an_escalation_counts_from_the_moment_its_own_stage_is_asked(
    lead: User, head: User, person: Callable[..., User]
) -> None:
    legal = person("lex", "Legal")
    document = house.policy_document(stages=[stage(), {"groups": ["Legal"], "escalate": [HEADS]}])
    request = house.ask(house.store_policy(document))
    later(request, 25)
    house.decide_as(lead, request)

    assert sweep.keep_due() == 0
    with pytest.raises(NotEligible):
        house.decide_as(head, request)
    later(request, 21)
    assert sweep.keep_due() == 1
    house.decide_as(head, request)
    assert house.outcomes(request) == ["approved"]
    assert legal.pk


def test_a_halt_stops_reminders_and_escalations_and_moves_them_on(lead: User, head: User, monkeypatch: Any) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=[stage(escalate=[HEADS])], reminders=["30m"])))
    later(request, 15)
    since = clock.db_now()
    monkeypatch.setattr(house.RecordQuestion, "halted", lambda self, request: Halted("h1", since))
    later(request, 30)  # escalation and reminder are due, and the halt came before them

    assert sweep.keep_due() == 0
    assert house.events_of(request)[-1] == "request.frozen"
    assert sweep.keep_due() == 0
    monkeypatch.undo()
    gates.thaw(request.pk)
    found = house.reload(request)
    assert found.next_at == min(found.stage_since + timedelta(minutes=20), found.deadline - timedelta(minutes=30))


def test_time_never_approves_whatever_has_passed(lead: User, second_lead: User, head: User) -> None:
    document = house.policy_document(
        stages=[stage(quorum=2, escalate=[HEADS])], reminders=["30m"], fallback={"queue": "late"}, deadline="1h"
    )
    request = house.ask(house.store_policy(document))
    house.decide_as(lead, request)
    for _ in range(8):
        later(request, 10)
        sweep.keep_due()
        gates.expire_due()

    assert house.outcomes(request) == ["expired"]
    assert house.events_of(request)[2:] == ["request.escalated", "request.reminded", "request.settled"]


def test_everybody_asked_means_everybody_who_may(lead: User, second_lead: User, person: Callable[..., User]) -> None:
    asker = person("ines", "Leads")
    request = house.ask(house.store_policy(house.policy_document(stages=[stage(quorum="all")])), requester=asker)

    house.decide_as(lead, request)
    assert house.reload(request).status == ApprovalRequest.Status.OPEN
    assert standing(house.reload(request)).progress == "1 of 2"
    house.decide_as(second_lead, request)
    assert house.outcomes(request) == ["approved"]


def test_everybody_asked_is_counted_when_it_is_decided(lead: User, second_lead: User, person: Callable[..., User]) -> None:
    """Who joins is asked, too; who leaves is not missed, and his leaving decides nothing by itself."""
    request = house.ask(house.store_policy(house.policy_document(stages=[stage(quorum="all", at_least=2)])))
    house.decide_as(lead, request)
    third = person("lia", "Leads")
    house.decide_as(second_lead, request)
    assert house.outcomes(request) == []
    people.remove_from_group(third.pk, "Leads", actor=SYSTEM, reason="moved")
    assert house.outcomes(request) == []


def test_two_approvals_from_different_groups(lead: User, person: Callable[..., User]) -> None:
    both, other = person("bo", "Leads", "Finance"), person("fin", "Finance")
    policy = house.store_policy(
        house.policy_document(stages=[{"groups": ["Leads", "Finance"], "quorum": 2}], distinct_groups=True)
    )
    request = house.ask(policy)
    house.decide_as(lead, request)
    people.add_to_group(other.pk, "Leads", actor=SYSTEM, reason="joined")
    house.decide_as(both, request)
    assert house.outcomes(request) == ["approved"]

    same = house.ask(policy)
    second = person("leo", "Leads")
    house.decide_as(lead, same)
    house.decide_as(second, same)
    assert house.outcomes(same) == []
    house.decide_as(other, same)
    assert house.outcomes(same) == ["approved"]


@pytest.mark.parametrize(
    "spec",
    [
        {"stages": [stage(quorum="most")]},
        {"stages": [stage(at_least=2)]},
        {"stages": [stage(quorum="all", escalate=[HEADS])]},
        {"stages": [stage(quorum="all")], "distinct_groups": True},
        {"stages": [stage(escalate=[HEADS, HEADS])]},
        {"stages": [stage(escalate=[HEADS | {"after": "2h"}])]},
        {"stages": [stage(escalate=[HEADS | {"groups": []}])]},
        {"reminders": ["1h"]},
        {"step_up": {"from": "sometimes"}},
        {"step_up": {"within": "13h"}},
        {"reason_from": "low"},
        {"distinct_groups": "yes"},
    ],
)
def test_what_a_policy_cannot_mean_is_refused(spec: dict[str, Any]) -> None:
    from aegis.core.errors import Invalid

    with pytest.raises(Invalid):
        policies.load(house.policy_document(**spec))


def test_a_policy_says_all_of_it_in_words() -> None:
    from approvals.policy_words import describe

    said = describe(
        policies.load(
            house.policy_document(
                stages=[stage(quorum="all", at_least=2), {"groups": ["Legal"], "escalate": [HEADS | {"instead": True}]}],
                reason="by_risk",
                reason_from="medium",
                reminders=["10m", "30m"],
                fallback={"queue": "late"},
                step_up={"from": "medium", "within": "5m"},
            )
        )
    )

    assert said[0] == "First everybody in Leads, at least two, then one of Legal."
    assert "Undecided in stage 2 for 20 minutes, Heads decide instead." in said
    assert "A rejection needs a reason, and so does an approval of medium or high risk." in said
    assert "An approval of medium or high risk asks for a sign-in within the last 5 minutes." in said
    assert "Those who may decide are reminded 30 minutes and 10 minutes before the deadline." in said
    assert said[-2] == "Undecided after 1 hour, it expires and goes to the queue late."


def test_who_could_decide_escalates_before_its_time_and_decides_nothing_by_it(lead: User, head: User) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=[stage(escalate=[HEADS])])))
    with pytest.raises((NotEligible, NotFound)):
        handling.escalate(request.pk, actor=by(head), reason="give it to me")

    handling.escalate(request.pk, actor=by(lead), reason="I am away from noon")

    assert (house.line_of(request)["type"], house.line_of(request)["data"]["groups"]) == ("request.passed_on", ["Heads"])
    assert (house.reload(request).status, house.outcomes(request)) == ("open", [])
    with pytest.raises(Conflict, match="nobody further"):
        handling.escalate(request.pk, actor=by(lead), reason="again")
    later(request, 21)
    assert sweep.keep_due() == 0, "its time brings nothing more"
    house.decide_as(head, house.reload(request))
    assert house.outcomes(request) == ["approved"]


def test_nobody_escalates_by_hand_under_a_floor_lock(lead: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor says who is asked, and not before when."""
    request = house.ask(house.store_policy(house.policy_document(stages=[stage(escalate=[HEADS])])))
    monkeypatch.setattr(house.RecordQuestion, "is_locked", lambda self, request: True)
    with pytest.raises(Conflict, match="floor lock"):
        handling.escalate(request.pk, actor=by(lead), reason="I am away")
    assert house.events_of(request) == ["request.opened"]


def test_the_page_escalates_with_a_reason(lead: User, browser_of: Callable[..., Client]) -> None:
    request = house.ask(house.store_policy(house.policy_document(stages=[stage(escalate=[HEADS])])))
    page = browser_of(lead).get(f"/approvals/{request.pk}/").content.decode()
    assert "Escalate to Heads" in page
    at = f"/approvals/{request.pk}/do/escalate/"
    assert browser_of(lead).post(at, {"reason": " "}).status_code == 422
    assert browser_of(lead).post(at, {"reason": "I am away"}).status_code == 302
    assert house.reload(request).escalated == 1
    assert "Escalate to" not in browser_of(lead).get(f"/approvals/{request.pk}/").content.decode()


def by(person: User) -> Actor:
    return user_actor(person.pk, auth="session")
