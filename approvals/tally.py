"""Counting votes: quorum over distinct people, stage by stage. Pure and total; no clock is read, so time cannot approve."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from approvals.matching import groups_filled, seats_filled
from approvals.policies import Policy, Stage
from approvals.policy_words import count_words, listed, people_phrase

Verdict = Literal["approve", "reject"]
Status = Literal["open", "stage_passed", "approved", "rejected"]
Electorate = Mapping[str, Collection[str]]  # group -> ids of the people in it who could decide (active, not bound)


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's vote that is not void.

    Attributes:
        groups: the groups it stands for now: the person's own, or the delegator's; empty once one of them is inactive or bound,
            so that such a vote no longer counts.
        stage: index of the stage it was given in.
        seat: whose vote it is: the delegator's id, or "" for the person's own.
    """

    person: str
    groups: frozenset[str]
    verdict: Verdict
    stage: int
    seat: str = ""

    @property
    def filled(self) -> str:
        return self.seat or self.person

    @property
    def people(self) -> frozenset[str]:
        """Everybody who has spoken by it: neither speaks again."""
        return frozenset({self.person, self.filled})


@dataclass(frozen=True, slots=True)
class Tally:
    """Where a request stands.

    Attributes:
        status: `stage_passed` means: go on with `stage`; the last stage's quorum is `approved`.
        stage: the stage that votes next (or voted last).
        has, needed: approvals counted in that stage, and still missing.
        sentence: the same for people.
    """

    status: Status
    stage: int
    has: int
    needed: int
    sentence: str


def tally(policy: Policy, votes: Iterable[Vote], stage: int, electorate: Electorate | None = None) -> Tally:
    """Count the votes of `stage`.

    A vote counts in the stage it was given in, if it stands for one of that stage's groups. A person counts once in all
    stages together: who voted in an earlier one is not counted again. One rejection by anybody who counts settles it.

    Args:
        policy: with the groups that count now (`policies.at_level`).
        electorate: who could decide; needed where a stage asks everybody, which without it stays open.
    """
    if not 0 <= stage < len(policy.stages):
        return Tally("open", stage, 0, 1, "The policy has no such stage; the request cannot be decided.")
    votes = [vote for vote in votes if 0 <= vote.stage <= stage]
    valid = [vote for vote in votes if vote.groups.intersection(policy.stages[vote.stage].groups)]
    if any(vote.verdict == "reject" for vote in valid):
        return Tally("rejected", stage, 0, 0, "Rejected.")
    earlier = frozenset(person for vote in votes if vote.stage < stage for person in vote.people)
    here = [vote for vote in valid if vote.stage == stage and not vote.people & earlier]
    now = policy.stages[stage]
    has = _distinct(policy, votes, here, stage) if policy.distinct_groups else _people(here)
    needed = max(now.quorum - has, _absent(now, here, earlier, electorate))
    # At least, never exactly: votes that arrive together must not step over the quorum.
    if needed <= 0:
        return _passed(policy, stage, has)
    return Tally("open", stage, has, needed, _needs(policy, stage, has, needed))


def progress(policy: Policy, stage: int, has: int, needed: int = 0) -> str:
    """ "1 of 2" over all stages: approvals so far of approvals needed.

    Args:
        needed: still missing in `stage`; where everybody is asked that may be more than its quorum.
    """
    done = sum(part.quorum for part in policy.stages[:stage])
    later = sum(part.quorum for part in policy.stages[stage + 1 :])
    return f"{done + has} of {done + max(policy.stages[stage].quorum, has + needed) + later}"


def people_needed(policy: Policy) -> int:
    """How many different people must approve at the least, over all stages."""
    return sum(stage.quorum for stage in policy.stages)


def shortfall(stages: Sequence[Stage], people: Electorate, *, distinct_groups: bool = False) -> str:
    """Why the stages can never all be passed, or "" if they can.

    A person counts once in all stages, so it is not enough that each stage has people: by Hall's theorem, every choice of
    stages must together have as many people as their quorums add up to. Stages are at most five, so 31 choices. Where each
    approval stands for a group of its own, stages, groups and people are matched. That there are too few is told to whoever
    asks (promise 8), never how many there are: he may not see them.
    """
    for size in range(1, len(stages) + 1):
        for chosen in combinations(stages, size):
            found = {person for stage in chosen for group in stage.groups for person in people.get(group, ())}
            needed = sum(stage.quorum for stage in chosen)
            if len(found) < needed:
                return _short(chosen, needed, "must approve")
    needed = sum(stage.quorum for stage in stages)
    if distinct_groups and seats_filled([(stage.groups, stage.quorum) for stage in stages], people) < needed:
        return _short(stages, needed, "must approve, each for a group of its own")
    return ""


def _short(stages: Sequence[Stage], needed: int, what: str) -> str:
    groups = dict.fromkeys(name for stage in stages for name in stage.groups)
    return f"{count_words(needed)} of {listed(groups, 'or')} {what}, and too few there could"


def _people(here: Sequence[Vote]) -> int:
    """Distinct people, and distinct seats: neither one person for two seats nor two people for one seat counts twice."""
    return min(len({vote.person for vote in here}), len({vote.filled for vote in here}))


def _distinct(policy: Policy, votes: Sequence[Vote], here: Sequence[Vote], stage: int) -> int:
    """How many of `here` can stand for a group of their own beside the approvals of earlier stages.

    Who approved earlier and has since left still takes one group of that stage, whichever leaves the most room.
    """
    before: dict[str, frozenset[str]] = {}
    for vote in votes:
        if vote.stage < stage and vote.verdict == "approve":
            named = frozenset(policy.stages[vote.stage].groups)
            before[vote.filled] = before.get(vote.filled, frozenset()) | (vote.groups & named or named)
    now: dict[str, frozenset[str]] = {}
    for vote in here:
        now[vote.filled] = now.get(vote.filled, frozenset()) | vote.groups.intersection(policy.stages[stage].groups)
    # Approvals of earlier stages hold their groups: what may be filled beside them is what a greater matching adds.
    return min(groups_filled({**now, **before}) - groups_filled(before), _people(here))


def _absent(stage: Stage, here: Sequence[Vote], earlier: frozenset[str], electorate: Electorate | None) -> int:
    """How many people of a stage that asks everybody have not approved; 0 where it asks a number."""
    if not stage.is_all:
        return 0
    if electorate is None:
        return 1
    able = {person for group in stage.groups for person in electorate.get(group, ())} - earlier
    spoken = {person for vote in here for person in vote.people}
    return len(able - spoken)


def _passed(policy: Policy, stage: int, has: int) -> Tally:
    if stage + 1 == len(policy.stages):
        return Tally("approved", stage, has, 0, "Approved.")
    following = policy.stages[stage + 1]
    return Tally("stage_passed", stage + 1, 0, following.quorum, _needs(policy, stage + 1, 0, following.quorum))


def _needs(policy: Policy, stage: int, has: int, needed: int) -> str:
    part = policy.stages[stage]
    where = f"Stage {stage + 1} of {len(policy.stages)}: " if len(policy.stages) > 1 else ""
    if part.is_all and not has:
        sentence = f"{people_phrase(part, part.groups)} must approve."
    else:
        more = f"{count_words(needed)} more" if has else count_words(part.quorum)
        sentence = f"{more} of {listed(part.groups, 'or')} must approve."
    return where + sentence if where else sentence[:1].upper() + sentence[1:]
