"""Counting votes, for every set of votes there can be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.policies import Policy, Stage
from approvals.tally import Vote, progress, shortfall, tally

GROUPS = ("A", "B", "C")
PEOPLE = ("p", "q", "r", "s", "t")


def policy_of(*stages: Stage) -> Policy:
    return Policy("p", "", stages, timedelta(hours=1), "on_reject", "", "low", "0" * 64)


stages = st.builds(
    Stage, groups=st.lists(st.sampled_from(GROUPS), min_size=1, max_size=3, unique=True).map(tuple), quorum=st.integers(1, 4)
)
policies = st.lists(stages, min_size=1, max_size=4).map(lambda found: policy_of(*found))
votes = st.builds(
    Vote,
    person=st.sampled_from(PEOPLE),
    groups=st.frozensets(st.sampled_from((*GROUPS, "X"))),
    verdict=st.sampled_from(("approve", "approve", "approve", "reject")),
    stage=st.integers(-1, 4),
)


def approve(person: str, group: str = "A", stage: int = 0) -> Vote:
    return Vote(person, frozenset({group}), "approve", stage)


def reject(person: str, group: str = "A", stage: int = 0) -> Vote:
    return Vote(person, frozenset({group}), "reject", stage)


ONE_OF_A = policy_of(Stage(("A",)))
TWO_OF_A = policy_of(Stage(("A",), 2))


def test_one_approval_meets_a_quorum_of_one() -> None:
    assert tally(ONE_OF_A, [approve("p")], 0).status == "approved"


def test_the_same_person_twice_is_one_person() -> None:
    result = tally(TWO_OF_A, [approve("p"), approve("p")], 0)

    assert (result.status, result.has, result.needed) == ("open", 1, 1)
    assert result.sentence == "One more of A must approve."


def test_more_than_the_quorum_passes_too() -> None:
    assert tally(TWO_OF_A, [approve("p"), approve("q"), approve("r")], 0).status == "approved"


def test_one_rejection_settles_it_whatever_the_approvals() -> None:
    assert tally(TWO_OF_A, [approve("p"), approve("q"), reject("r")], 0).status == "rejected"


def test_a_vote_without_a_group_of_the_stage_does_not_count() -> None:
    assert tally(ONE_OF_A, [approve("p", "B")], 0).status == "open"
    assert tally(ONE_OF_A, [reject("p", "B")], 0).status == "open"


def test_who_was_counted_in_an_earlier_stage_is_not_counted_again() -> None:
    policy = policy_of(Stage(("A",)), Stage(("A",)))

    assert tally(policy, [approve("p", stage=0), approve("p", stage=1)], 1).status == "open"
    assert tally(policy, [approve("p", stage=0), approve("q", stage=1)], 1).status == "approved"


def test_a_full_stage_hands_over_to_the_next_and_says_who_is_asked() -> None:
    result = tally(policy_of(Stage(("A",)), Stage(("B", "C"), 2)), [approve("p")], 0)

    assert (result.status, result.stage, result.has, result.needed) == ("stage_passed", 1, 0, 2)
    assert result.sentence == "Stage 2 of 2: two of B or C must approve."


def test_progress_counts_over_all_stages() -> None:
    assert progress(policy_of(Stage(("A",)), Stage(("B",), 2)), 1, 1) == "2 of 3"


@given(policies, st.lists(votes, max_size=12), st.integers(-2, 6))
def test_the_tally_is_total_and_never_approves_without_distinct_people(policy: Policy, cast: list[Vote], stage: int) -> None:
    result = tally(policy, cast, stage)

    counted = {
        vote.person
        for vote in cast
        if vote.stage == stage and vote.verdict == "approve" and 0 <= stage < len(policy.stages)
        if vote.groups.intersection(policy.stages[stage].groups)
    }
    if result.status in ("approved", "stage_passed"):
        assert len(counted) >= policy.stages[stage].quorum
    if result.status == "approved":
        assert stage == len(policy.stages) - 1
    if result.status == "stage_passed":
        assert result.stage == stage + 1
    assert result.sentence


@given(policies, st.lists(votes, max_size=12), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_votes_change_nothing(policy: Policy, cast: list[Vote], stage: int, random: object) -> None:
    shuffled = [*cast, *cast]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert tally(policy, shuffled, stage) == tally(policy, cast, stage)


@given(policies, st.lists(votes, max_size=12), st.integers(0, 3), votes)
def test_one_more_approval_never_takes_an_approval_back(policy: Policy, cast: list[Vote], stage: int, more: Vote) -> None:
    """Meeting a quorum by equality would fail here: a vote too many would reopen what was approved."""
    before = tally(policy, cast, stage).status
    extra = Vote(more.person, more.groups, "approve", stage)

    if before in ("approved", "stage_passed"):
        assert tally(policy, [*cast, extra], stage).status == before


@given(policies, st.lists(votes, max_size=12), st.integers(0, 3), st.sampled_from(PEOPLE))
def test_a_rejection_by_anybody_who_counts_is_final(policy: Policy, cast: list[Vote], stage: int, person: str) -> None:
    if stage < len(policy.stages):
        no = Vote(person, frozenset(policy.stages[stage].groups), "reject", stage)

        assert tally(policy, [*cast, no], stage).status == "rejected"


def test_shortfall_sees_that_one_person_cannot_fill_two_stages() -> None:
    two = [Stage(("A",)), Stage(("B",))]

    assert shortfall(two, {"A": {"p"}, "B": {"p"}}) == "two of A or B must approve, and too few there could"
    assert shortfall(two, {"A": {"p"}, "B": {"p", "q"}}) == ""


def test_shortfall_says_the_same_however_few_there_are() -> None:
    """Who asks may not see them: nobody, one and two are one sentence."""
    three = [Stage(("A",), quorum=3)]
    said = {shortfall(three, {"A": set(members)}) for members in ("", "p", "pq")}
    assert said == {"three of A must approve, and too few there could"}


def test_shortfall_names_an_empty_group() -> None:
    assert shortfall([Stage(("A",))], {}) == "one of A must approve, and too few there could"


@given(
    st.lists(stages, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(GROUPS), st.frozensets(st.sampled_from(PEOPLE))),
)
def test_shortfall_agrees_with_trying_every_assignment(chosen: list[Stage], people: dict[str, frozenset[str]]) -> None:
    def fits(seats: list[Stage], used: frozenset[str]) -> bool:
        if not seats:
            return True
        able = {person for group in seats[0].groups for person in people.get(group, ())} - used
        return any(fits(seats[1:], used | {person}) for person in able)

    seats = [stage for stage in chosen for _ in range(stage.quorum)]

    assert fits(seats, frozenset()) == (shortfall(chosen, people) == "")


@pytest.mark.parametrize("stage", [-1, 1, 99])
def test_a_stage_the_policy_does_not_have_stays_open(stage: int) -> None:
    assert tally(ONE_OF_A, [approve("p", stage=stage)], stage).status == "open"
