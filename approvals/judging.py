"""May this person decide this request, for himself or for somebody who lets him? Groups, votes, delegations as they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from aegis.identity.models import User
from approvals import delegations, electors, holding
from approvals.electors import Eligibility
from approvals.models import ApprovalRequest
from approvals.policies import Policy
from approvals.policy_words import listed
from approvals.questions import Live, Question


def judge(request: ApprovalRequest, policy: Policy, person: User, live: Live, now: datetime, *, ahead: int = 0) -> Eligibility:
    """May `person` vote in the stage now asked? For himself first; who could not for other reasons than his groups cannot for
    anybody else either.

    Args:
        ahead: how many escalations of the stage to count as in force that are not yet.
    """
    me = str(person.pk)
    standing = _spoken(request, policy)
    barred = holding.barred_by(request, live, now)
    acting = dict.fromkeys(barred - holding.bound_by(request, live), "act for somebody who is bound to it")
    because = {**acting, str(request.requester_id): "requested it", **live.bound_because}
    own = _judge_seat(request, policy, me, barred, because, standing, ahead)
    if own.may or own.refusal != "group":
        return own
    refusal = own
    for delegation in delegations.standing_for(person, request, now):
        name = delegation.delegator.display_name
        theirs = _judge_seat(request, policy, str(delegation.delegator_id), barred, because, standing, ahead)
        if theirs.may:
            until = f"until {holding.moment(delegation.ends_at)}"
            sentence = f"You can decide this for {name}, who lets you {until}; neither of you requested it."
            return replace(theirs, sentence=sentence, delegation=delegation)
        sentence = f"You cannot decide this for {name}, who lets you decide: {name} cannot either ({theirs.refusal})."
        refusal = replace(theirs, sentence=sentence)
    return refusal


def may_escalate(
    request: ApprovalRequest, question: Question, policy: Policy, person: User, live: Live, now: datetime
) -> Eligibility:
    """May `person` put the next escalation of the stage in force? Who could decide may. So may who operates what it belongs to,
    unless he is bound to it, or would be asked by it: nobody hands himself the decision."""
    own = judge(request, policy, person, live, now)
    if own.may or own.refusal not in ("group", "voted"):
        return own
    if not question.is_operated_by(person, request):
        whose = f"it is for those who decide it ({listed(own.groups, 'or')}), and for those who operate what it belongs to"
        return replace(own, sentence=f"You cannot escalate this: {whose}.")
    if judge(request, policy, person, live, now, ahead=1).may:
        why = "you would be asked by it, and nobody hands himself the decision"
        return replace(own, sentence=f"You cannot escalate this: {why}.", refusal="asked_next")
    sentence = "You can escalate this: you operate what it belongs to."
    return Eligibility(True, sentence, own.groups)


def _spoken(request: ApprovalRequest, policy: Policy) -> set[str]:
    """Who has spoken, as far as it counts: nobody under a policy that is another than the one they voted under."""
    if policy.digest != request.policy_digest:
        return set()
    return {who for decision in electors.standing_decisions(request) for who in electors.silenced_by(decision, request.stage)}


def _judge_seat(
    request: ApprovalRequest,
    policy: Policy,
    person: str,
    bound: frozenset[str],
    because: Mapping[str, str],
    spoken: Collection[str],
    ahead: int,
) -> Eligibility:
    stage, level = request.place_under(policy.digest)
    return electors.judge(
        policy,
        stage,
        level=level + ahead,
        person=person,
        groups=electors.groups_of([person]).get(person, frozenset()),
        bound=bound,
        because=because,
        has_voted=person in spoken,
    )
