"""Who may decide: the judgement (pure) and the people it is made about (database)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from aegis.identity.models import User
from approvals.errors import NotEligible
from approvals.models import ApprovalRequest, Decision, Delegation
from approvals.policies import Policy, at_level
from approvals.policy_words import listed
from approvals.tally import Tally, Vote, tally


@dataclass(frozen=True, slots=True)
class Eligibility:
    """May this person decide, and the sentence that stands above the buttons.

    Attributes:
        refusal: "" or the machine's word for why not: settled, expired, inactive, bound, voted, group.
        groups: the groups that may decide in the stage now voting.
        delegation: under which the person would decide in another's place; None for himself.
    """

    may: bool
    sentence: str
    groups: tuple[str, ...]
    refusal: str = ""
    delegation: Delegation | None = None


def judge(
    policy: Policy,
    stage: int,
    *,
    level: int = 0,
    person: str,
    groups: Collection[str],
    bound: Collection[str],
    because: Mapping[str, str] | None = None,
    has_voted: bool = False,
) -> Eligibility:
    """May a live, active person vote in `stage`? Pure. Superusers are people like all others.

    Args:
        level: how many escalations of the stage are in force.
        groups: the person's groups now.
        bound: ids bound by separation of duties.
        because: id -> how ("started the run").
    """
    if not 0 <= stage < len(policy.stages):
        return Eligibility(False, "You cannot decide this: its policy no longer has this stage.", (), "group")
    named = policy.stages[stage].asked(level)
    if person in bound:
        how = (because or {}).get(person) or "are bound to it (you asked for it, edited it, or own the agent that proposed it)"
        return Eligibility(False, f"You cannot decide this: you {how}. This binds superusers too.", named, "bound")
    if has_voted:
        return Eligibility(False, "You have decided this already; a person counts once.", named, "voted")
    mine = tuple(name for name in named if name in groups)
    if not mine:
        whose = f"only people in {listed(named, 'or')} decide this stage"
        return Eligibility(False, f"You cannot decide this: {whose}.", named, "group")
    return Eligibility(True, f"You can decide this: you are in {listed(mine, 'and')} and did not request it.", named)


def not_eligible(may: Eligibility) -> NotEligible:
    """The refusal that says so."""
    return NotEligible(may.sentence, refusal=may.refusal, granted_by=listed(may.groups, "or"))


def active_people(groups: Iterable[str], *, without: Collection[str] = ()) -> dict[str, set[str]]:
    """Group name -> ids of its active people, less those `without`. One query."""
    rows = User.groups.through.objects.filter(group__name__in=list(groups), user__is_active=True)
    found: dict[str, set[str]] = defaultdict(set)
    for group, person in rows.values_list("group__name", "user_id"):
        if str(person) not in without:
            found[group].add(str(person))
    return dict(found)


def groups_of(people: Iterable[UUID | str]) -> dict[str, frozenset[str]]:
    """Id of each active person -> names of their groups. One query."""
    found: dict[str, set[str]] = defaultdict(set)
    rows = User.groups.through.objects.filter(user_id__in=list(people), user__is_active=True)
    for person, group in rows.values_list("user_id", "group__name"):
        found[str(person)].add(group)
    return {person: frozenset(groups) for person, groups in found.items()}


@dataclass(frozen=True, slots=True)
class Known:
    """Who is active now, and in which groups."""

    active: frozenset[str]
    groups: Mapping[str, frozenset[str]]


def known(decisions: Iterable[Decision]) -> Known:
    """What counting these votes needs to know of their people and delegators. Two queries, or none."""
    people = {str(who) for decision in decisions for who in spoken_by(decision)}
    if not people:
        return Known(frozenset(), {})
    active = User.objects.filter(pk__in=people, is_active=True).values_list("pk", flat=True)
    return Known(frozenset(str(pk) for pk in active), groups_of(people))


def spoken_by(decision: Decision) -> tuple[str, ...]:
    """Who has spoken by it: the person, and whoever he decided for."""
    seat = (str(decision.delegation.delegator_id),) if decision.delegation else ()
    return (str(decision.person_id), *seat)


def silenced_by(decision: Decision, stage: int) -> tuple[str, ...]:
    """Who cannot speak in `stage` because of it. A delegation taken back gives the delegator his voice back, for the vote under
    it counts no more; not so once a stage was passed with it, for a person counts once in all stages."""
    if decision.delegation is not None and decision.delegation.ended_at is not None and decision.stage == stage:
        return (str(decision.person_id),)
    return spoken_by(decision)


def as_vote(decision: Decision, people: Known, bound: Collection[str]) -> Vote:
    """A decision as it counts now.

    Who has since left the group, been disabled or become bound has no groups here, so that such a vote no longer counts; nor
    does one for a person of whom that is so, or whose delegation was taken back.
    """
    spoken = spoken_by(decision)
    seat = spoken[-1]
    stands = people.active.issuperset(spoken) and not set(spoken) & set(bound)
    stands = stands and not (decision.delegation and decision.delegation.ended_at)
    return Vote(
        person=spoken[0],
        groups=people.groups.get(seat, frozenset()) if stands else frozenset(),
        verdict="approve" if decision.verdict == Decision.Verdict.APPROVE else "reject",
        stage=decision.stage,
        seat=seat if decision.delegation else "",
    )


def standing_decisions(request: ApprovalRequest) -> list[Decision]:
    """The decisions of a request that are not void, in order."""
    return list(Decision.objects.filter(request=request, is_void=False).select_related("delegation").order_by("seq"))


def count(request: ApprovalRequest, policy: Policy, bound: Collection[str], barred: Collection[str]) -> Tally:
    """The votes of a request counted now, with the people who must give one where a stage asks everybody.

    Args:
        bound: by separation of duties: not asked.
        barred: these, and whoever acts for one of them now. Such a one cannot vote, but is asked and holds it up: else somebody
            who is bound would choose by his delegations who decides.
    """
    counted = at_level(policy, request.stage, request.escalated)
    decisions = standing_decisions(request)
    people = known(decisions)
    votes = [as_vote(decision, people, barred) for decision in decisions]
    if not any(stage.is_all for stage in policy.stages[request.stage : request.stage + 1]):
        return tally(counted, votes, request.stage)
    return tally(counted, votes, request.stage, active_people(counted.stages[request.stage].groups, without=bound))
