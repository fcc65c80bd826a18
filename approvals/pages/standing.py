"""Where requests stand: the policy that binds each, its stages, who voted. Queries do not grow with the number of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from approvals import electors, policies
from approvals.models import ApprovalRequest, Decision, DocumentVersion
from approvals.policies import Policy
from approvals.policy_words import listed
from approvals.tally import Electorate, Tally, progress, tally

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
    level: int

    @property
    def stage(self) -> int:
        return min(self.tally.stage, len(self.stages) - 1)

    @property
    def progress(self) -> str:
        """ "1 of 2" approvals over all stages."""
        return progress(self.policy, self.stage, self.tally.has, self.tally.needed)

    @property
    def groups(self) -> str:
        """Who votes now."""
        return listed(self.policy.stages[self.stage].asked(self.level), "or")


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
        for decision in (
            Decision.objects.filter(request__in=moved).select_related("person", "delegation__delegator").order_by("seq")
        ):
            decisions.setdefault(decision.request_id, []).append(decision)
    people = electors.known(decision for rows in decisions.values() for decision in rows)
    electorates = _electorates(requests, versions)
    return {
        request.pk: _standing(request, versions[request.pk], decisions.get(request.pk, []), people, electorates.get(request.pk))
        for request in requests
    }


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


def _electorates(requests: Sequence[ApprovalRequest], versions: Mapping[UUID, Policy]) -> dict[UUID, Electorate]:
    """Who could decide, for the open requests whose stage asks everybody. Two queries if there are any."""
    asking = {}
    for request in requests:
        at, _ = _place(request, versions[request.pk])
        now = versions[request.pk].stages[at : at + 1]
        if request.status in OPEN and any(stage.is_all for stage in now):
            asking[request.pk] = now[0].groups
    if not asking:
        return {}
    people = electors.active_people({name for names in asking.values() for name in names})
    tied: dict[UUID, set[str]] = {}
    for request_id, person in ApprovalRequest.bound.through.objects.filter(approvalrequest_id__in=asking).values_list(
        "approvalrequest_id", "user_id"
    ):
        tied.setdefault(request_id, set()).add(str(person))
    return {pk: {name: people.get(name, set()) - tied.get(pk, set()) for name in names} for pk, names in asking.items()}


def _standing(
    request: ApprovalRequest,
    policy: Policy,
    decisions: Sequence[Decision],
    people: electors.Known,
    electorate: Electorate | None,
) -> Standing:
    is_open = request.status in OPEN
    at, escalated = _place(request, policy)
    has_moved = is_open and policy.digest != request.policy_digest
    votes = [electors.as_vote(decision, people, ()) for decision in decisions if not (decision.is_void or has_moved)]
    counted = tally(policies.at_level(policy, at, escalated), votes, at, electorate)
    stages = []
    for index, stage in enumerate(policy.stages):
        is_done = index < counted.stage or request.status == ApprovalRequest.Status.APPROVED
        has = stage.quorum if is_done else counted.has if index == counted.stage else 0
        level = escalated if index == at else 0
        label = stage.title or listed(stage.asked(level), "or")
        needed = max(stage.quorum, has + counted.needed) if index == counted.stage else stage.quorum
        stages.append(StageView(label, needed, has, is_open and index == counted.stage, is_done))
    return Standing(policy, counted, tuple(stages), tuple(decisions), escalated)


def _place(request: ApprovalRequest, policy: Policy) -> tuple[int, int]:
    """What is settled stays where it was settled."""
    return request.place_under(policy.digest) if request.status in OPEN else (request.stage, request.escalated)
