"""Who may decide: the judgement (pure) and the people it is made about (database)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from aegis.identity.models import User
from approvals.models import ApprovalRequest, Decision
from approvals.policies import Policy, listed
from approvals.tally import Vote


@dataclass(frozen=True, slots=True)
class Eligibility:
    """May this person decide, and the sentence that stands above the buttons.

    Attributes:
        refusal: "" or the machine's word for why not: settled, expired, inactive, bound, voted, group.
        groups: the groups that may decide in the stage now voting.
    """

    may: bool
    sentence: str
    groups: tuple[str, ...]
    refusal: str = ""


def judge(
    policy: Policy,
    stage: int,
    *,
    person: str,
    groups: Collection[str],
    bound: Collection[str],
    because: Mapping[str, str] | None = None,
    has_voted: bool = False,
) -> Eligibility:
    """May a live, active person vote in `stage`? Pure. Superusers are people like all others.

    Args:
        groups: the person's groups now.
        bound: ids bound by separation of duties.
        because: id -> how ("started the run").
    """
    if not 0 <= stage < len(policy.stages):
        return Eligibility(False, "You cannot decide this: its policy no longer has this stage.", (), "group")
    named = policy.stages[stage].groups
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


def standing_votes(request: ApprovalRequest, bound: Collection[str]) -> list[Vote]:
    """The votes of a request that are not void, each with what its person may do *now*.

    Who has since left the group, been disabled or become bound has no groups here, so that such a vote no longer counts.
    """
    decisions = list(Decision.objects.filter(request=request, is_void=False).order_by("seq"))
    groups = groups_of(decision.person_id for decision in decisions)
    return [
        Vote(
            person=str(decision.person_id),
            groups=frozenset() if str(decision.person_id) in bound else groups.get(str(decision.person_id), frozenset()),
            verdict="approve" if decision.verdict == Decision.Verdict.APPROVE else "reject",
            stage=decision.stage,
        )
        for decision in decisions
    ]
