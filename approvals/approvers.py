"""Who could approve a guarded change of one person, told before it is proposed."""

from __future__ import annotations

from dataclasses import dataclass

from aegis.identity.models import User
from approvals import electors, policies, tally
from approvals.changes import CONFIG_POLICY, LEAST_APPROVERS
from approvals.models import ApprovalPolicy
from approvals.policy_words import people_phrase


@dataclass(frozen=True, slots=True)
class Approvers:
    """
    Attributes:
        said: "two of Admins or Support leads, other than you"; "" without a policy.
        missing: why nobody could approve it as things are; "" if enough people are there.
    """

    said: str
    missing: str


def of_change(author: User) -> Approvers:
    """As things stand. Two queries."""
    row = ApprovalPolicy.objects.filter(name=CONFIG_POLICY).first()
    if row is None:
        return Approvers("", f"no approval policy “{CONFIG_POLICY}” says who they are")
    policy = policies.load_text(row.document)
    said = ", then ".join(people_phrase(stage, stage.groups) for stage in policy.stages)
    if tally.people_needed(policy) < LEAST_APPROVERS:
        return Approvers(said, f"“{CONFIG_POLICY}” asks only one")
    people = electors.active_people(policy.groups, without={str(author.pk)})
    return Approvers(f"{said}, other than you", tally.shortfall(policy.stages, people, distinct_groups=policy.distinct_groups))
