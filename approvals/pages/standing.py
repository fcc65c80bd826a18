"""Where requests stand: the policy that binds each, its stages, who voted. Queries do not grow with the number of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from approvals import electors, policies
from approvals.models import ApprovalRequest, Decision, DocumentVersion
from approvals.policies import Policy
from approvals.tally import Tally, Vote, progress, tally

OPEN = (ApprovalRequest.Status.OPEN, ApprovalRequest.Status.FROZEN)


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage on the page: "Support leads, needs 1, has 0"."""

    label: str
    quorum: int
    has: int
    is_now: bool
    is_done: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """One request under the policy version that binds it."""

    policy: Policy
    tally: Tally
    stages: tuple[StageView, ...]
    decisions: tuple[Decision, ...]

    @property
    def stage(self) -> int:
        return min(self.tally.stage, len(self.stages) - 1)

    @property
    def progress(self) -> str:
        """ "1 of 2" approvals over all stages."""
        return progress(self.policy, self.stage, self.tally.has)

    @property
    def groups(self) -> str:
        """Who votes now."""
        return policies.listed(self.policy.stages[self.stage].groups, "or")


def standing(request: ApprovalRequest) -> Standing:
    return standings([request])[request.pk]


def standings(requests: Sequence[ApprovalRequest]) -> dict[UUID, Standing]:
    """Every request's standing, in three queries at most.

    Votes are counted by the groups people are in now, as the deciding verb does. Separation of duties is not looked at here: it
    would ask every question anew; the verb does that when somebody decides.
    """
    versions = bound_policies(requests)
    decisions: dict[UUID, list[Decision]] = {}
    moved = [request.pk for request in requests if request.seq > 1]  # event 1 opened it; a decision is a later one
    if moved:
        for decision in Decision.objects.filter(request__in=moved).select_related("person").order_by("seq"):
            decisions.setdefault(decision.request_id, []).append(decision)
    people = {decision.person_id for rows in decisions.values() for decision in rows}
    groups = electors.groups_of(people) if people else {}
    return {request.pk: _standing(request, versions[request.pk], decisions.get(request.pk, []), groups) for request in requests}


def bound_policies(requests: Sequence[ApprovalRequest]) -> dict[UUID, Policy]:
    """The policy each request is judged by: the one that stands, or, once settled, the version that bound it.

    No query unless a settled request was bound to an older version; then one. `policy` is expected to be selected.
    """
    older = {
        (request.policy.name, request.policy_digest)
        for request in requests
        if request.status not in OPEN and request.policy.digest != request.policy_digest
    }
    condition = Q(pk__in=[])
    for name, digest in older:
        condition |= Q(kind="ApprovalPolicy", name=name, digest=digest)
    frozen: dict[tuple[str, str], str] = {}
    if older:
        rows = DocumentVersion.objects.filter(condition).values_list("name", "digest", "document")
        frozen = {(name, digest): document for name, digest, document in rows}
    loaded: dict[str, Policy] = {}
    result = {}
    for request in requests:
        text = frozen.get((request.policy.name, request.policy_digest), request.policy.document)
        if text not in loaded:
            loaded[text] = policies.load_text(text)
        result[request.pk] = loaded[text]
    return result


def _standing(
    request: ApprovalRequest, policy: Policy, decisions: Sequence[Decision], groups: Mapping[str, frozenset[str]]
) -> Standing:
    votes = [
        Vote(
            str(decision.person_id),
            groups.get(str(decision.person_id), frozenset()),
            "approve" if decision.verdict == Decision.Verdict.APPROVE else "reject",
            decision.stage,
        )
        for decision in decisions
        if not decision.is_void
    ]
    counted = tally(policy, votes, request.stage)
    is_open = request.status in OPEN
    stages = []
    for index, stage in enumerate(policy.stages):
        is_done = index < counted.stage or request.status == ApprovalRequest.Status.APPROVED
        has = stage.quorum if is_done else counted.has if index == counted.stage else 0
        stages.append(StageView(stage.label, stage.quorum, has, is_open and index == counted.stage, is_done))
    return Standing(policy, counted, tuple(stages), tuple(decisions))
