"""Counting votes: quorum over distinct people, stage by stage. Pure and total; no clock is read, so time cannot approve."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from approvals.policies import Policy, Stage, count_words, listed

Verdict = Literal["approve", "reject"]
Status = Literal["open", "stage_passed", "approved", "rejected"]


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's vote that is not void.

    Attributes:
        groups: the person's groups now; empty once they are inactive or bound, so that such a vote no longer counts.
        stage: index of the stage it was given in.
    """

    person: str
    groups: frozenset[str]
    verdict: Verdict
    stage: int


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


def tally(policy: Policy, votes: Iterable[Vote], stage: int) -> Tally:
    """Count the votes of `stage`.

    A vote counts in the stage it was given in, if its person is in one of that stage's groups. A person counts once in all
    stages together: who voted in an earlier one is not counted again. One rejection by anybody who counts settles it.
    """
    if not 0 <= stage < len(policy.stages):
        return Tally("open", stage, 0, 1, "The policy has no such stage; the request cannot be decided.")
    votes = [vote for vote in votes if 0 <= vote.stage <= stage]
    valid = [vote for vote in votes if vote.groups.intersection(policy.stages[vote.stage].groups)]
    if any(vote.verdict == "reject" for vote in valid):
        return Tally("rejected", stage, 0, 0, "Rejected.")
    earlier = {vote.person for vote in votes if vote.stage < stage}
    here = {vote.person for vote in valid if vote.stage == stage} - earlier
    now = policy.stages[stage]
    # At least, never exactly: votes that arrive together must not step over the quorum.
    if len(here) >= now.quorum:
        return _passed(policy, stage, len(here))
    needed = now.quorum - len(here)
    return Tally("open", stage, len(here), needed, _needs(policy, stage, len(here)))


def progress(policy: Policy, stage: int, has: int) -> str:
    """ "1 of 2" over all stages: approvals so far of approvals needed."""
    done = sum(part.quorum for part in policy.stages[:stage])
    return f"{done + has} of {people_needed(policy)}"


def people_needed(policy: Policy) -> int:
    """How many different people must approve, over all stages."""
    return sum(stage.quorum for stage in policy.stages)


def shortfall(stages: Sequence[Stage], people: Mapping[str, Collection[str]]) -> str:
    """Why the stages can never all be passed, or "" if they can.

    A person counts once in all stages, so it is not enough that each stage has people: by Hall's theorem, every choice of
    stages must together have as many people as their quorums add up to. Stages are at most five, so 31 choices.

    Args:
        people: group -> ids of the people in it who could decide (active, not bound).
    """
    for size in range(1, len(stages) + 1):
        for chosen in combinations(stages, size):
            found = {person for stage in chosen for group in stage.groups for person in people.get(group, ())}
            needed = sum(stage.quorum for stage in chosen)
            if len(found) < needed:
                groups = tuple(dict.fromkeys(name for stage in chosen for name in stage.groups))
                has = f"only {count_words(len(found))}" if found else "nobody"
                return f"{count_words(needed)} of {listed(groups, 'or')} must approve, and {has} there could"
    return ""


def _passed(policy: Policy, stage: int, has: int) -> Tally:
    if stage + 1 == len(policy.stages):
        return Tally("approved", stage, has, 0, "Approved.")
    following = policy.stages[stage + 1]
    return Tally("stage_passed", stage + 1, 0, following.quorum, _needs(policy, stage + 1, 0))


def _needs(policy: Policy, stage: int, has: int) -> str:
    part = policy.stages[stage]
    where = f"Stage {stage + 1} of {len(policy.stages)}: " if len(policy.stages) > 1 else ""
    more = f"{count_words(part.quorum - has)} more" if has else count_words(part.quorum)
    sentence = f"{more} of {listed(part.groups, 'or')} must approve."
    return where + sentence if where else sentence[:1].upper() + sentence[1:]
