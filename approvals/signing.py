"""What an approval is signed with: a recent proof of who signs, and the sentence that says what it means."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from aegis.identity.models import User
from approvals import policies
from approvals.electors import Eligibility
from approvals.errors import StepUpNeeded
from approvals.models import ApprovalRequest, Decision
from approvals.policies import Policy
from approvals.policy_words import duration_words
from approvals.signature import Signature

MAX_MEANING: Final = 300


def risk_of(request: ApprovalRequest) -> str:
    """Its risk under its policy as that is now; the row learns of it when the request is bound anew."""
    if request.policy.digest == request.policy_digest:
        return request.risk
    return policies.raised_risk(policies.load_text(request.policy.document), request.risk)


def step_up(request: ApprovalRequest, policy: Policy, proved_at: datetime | None, now: datetime) -> StepUpNeeded | None:
    """What is missing before this person may approve; None if the last proof is recent enough, or none is asked."""
    within = policies.sign_in_within(policy, request.risk)
    if within is None or (proved_at is not None and proved_at > now - within):
        return None
    return StepUpNeeded(f"{policy.title or policy.name} asks for a sign-in within the last {duration_words(within)}")


def signature(
    verdict: Decision.Verdict,
    person: User,
    may: Eligibility,
    title: str,
    request: ApprovalRequest,
    policy: Policy,
    *,
    proved_at: datetime | None,
    seconds_open: int | None,
) -> Signature:
    """The name as it is now, and the meaning in one sentence, at most `MAX_MEANING` characters."""
    place = f"stage {request.stage + 1} of {len(policy.stages)} of {policy.title or policy.name}"
    seat = f", in the place of {may.delegation.delegator.display_name}" if may.delegation else ""
    meaning = f"{verdict.label.capitalize()}: {title} ({place}{seat})"
    return Signature(person.display_name, meaning[:MAX_MEANING], proved_at, seconds_open)
