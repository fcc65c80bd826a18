"""A policy judged as strict as a floor lets nothing through that the floor would not: tried with every small electorate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals import strictness
from approvals.policies import RISKS, Escalation, Policy, Stage, StepUp, at_level, needs_reason, sign_in_within
from approvals.tally import Vote, shortfall, tally

GROUPS = ("A", "B", "C")
PEOPLE = ("p", "q", "r", "s")
HOURS = (1, 2, 3)

groups = st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True).map(tuple)
escalations = st.lists(st.tuples(st.sampled_from(HOURS), groups), max_size=2, unique_by=lambda one: one[0]).map(
    lambda found: tuple(Escalation(timedelta(hours=hours), names) for hours, names in sorted(found))
)
stages = st.one_of(
    st.builds(Stage, groups=groups, quorum=st.integers(1, 2), escalations=escalations),
    st.builds(Stage, groups=groups, quorum=st.integers(1, 2), is_all=st.just(True)),
)
electorates = st.dictionaries(
    st.sampled_from(PEOPLE), st.frozensets(st.sampled_from(GROUPS), min_size=1), min_size=1, max_size=4
)
policies = st.builds(
    Policy,
    name=st.just("p"),
    title=st.just(""),
    stages=st.lists(stages, min_size=1, max_size=3).map(tuple),
    deadline=st.just(timedelta(days=1)),
    reason=st.sampled_from(("always", "on_reject", "by_risk")),
    fast_path=st.just(""),
    risk=st.sampled_from(RISKS),
    digest=st.just(""),
    reason_from=st.sampled_from(("medium", "high")),
    distinct_groups=st.booleans(),
    step_up=st.builds(
        StepUp, from_=st.sampled_from((*RISKS, "never")), within=st.sampled_from((timedelta(minutes=5), timedelta(minutes=15)))
    ),
).map(lambda policy: policy if policy.distinct_groups is False or not any(s.is_all for s in policy.stages)
      else replace(policy, distinct_groups=False))  # fmt: skip


def plain(*stages_: Stage, **fields: object) -> Policy:
    policy = Policy("p", "", stages_, timedelta(days=1), "on_reject", "", "low", "")
    return replace(policy, **fields)  # type: ignore[arg-type]


def passes(policy: Policy, order: Iterable[str], people: Mapping[str, frozenset[str]], hours: int) -> bool:
    """Would these people, approving in this order as soon as their turn comes, get it through?

    Args:
        hours: for how long each stage has been asked.
    """
    electorate = {name: {one for one, mine in people.items() if name in mine} for name in GROUPS}
    votes: list[Vote] = []
    stage = 0
    for person in order:
        level = sum(one.after <= timedelta(hours=hours) for one in policy.stages[stage].escalations)
        counted = at_level(policy, stage, level)
        if not people[person].intersection(counted.stages[stage].groups):
            continue
        votes.append(Vote(person, people[person], "approve", stage))
        result = tally(counted, votes, stage, electorate)
        if result.status == "approved":
            return True
        stage = result.stage
    return False


def lets_through(policy: Policy, approvers: Iterable[str], people: Mapping[str, frozenset[str]], hours: int) -> bool:
    return any(passes(policy, order, people, hours) for order in permutations(approvers))


@settings(max_examples=400)
@given(policies, policies, electorates, st.sampled_from((0, *HOURS)))
def test_what_a_policy_judged_as_strict_lets_through_the_floor_lets_through_too(
    candidate: Policy, floor: Policy, people: dict[str, frozenset[str]], hours: int
) -> None:
    if not strictness.covers(candidate, floor):
        return
    for size in range(1, len(people) + 1):
        for approvers in combinations(people, size):
            if lets_through(candidate, approvers, people, hours):
                assert lets_through(floor, approvers, people, hours)
    for risk in RISKS:
        assert needs_reason(candidate, risk) or not needs_reason(floor, risk)
        wanted, asked = sign_in_within(floor, risk), sign_in_within(candidate, risk)
        assert wanted is None or (asked is not None and asked <= wanted)


@settings(max_examples=400)
@given(policies, electorates, st.sampled_from((0, *HOURS)), st.data())
def test_a_policy_made_stricter_is_judged_stricter_and_is(
    floor: Policy, people: dict[str, frozenset[str]], hours: int, data: st.DataObject
) -> None:
    """Random pairs are rarely comparable; pairs made so are, and no guess of the judge goes unproved."""
    candidate = data.draw(stricter_than(floor))

    assert strictness.covers(candidate, floor)
    for approvers in combinations(people, min(3, len(people))):
        if lets_through(candidate, approvers, people, hours):
            assert lets_through(floor, approvers, people, hours)


@st.composite
def stricter_than(draw: st.DrawFn, floor: Policy) -> Policy:
    kept = []
    for stage in floor.stages:
        if not stage.is_all and draw(st.booleans()):
            kept.append(draw(stages))  # one more stage before it
        fewer = (
            stage
            if stage.is_all
            else replace(stage, groups=tuple(sorted(draw(st.sets(st.sampled_from(stage.groups), min_size=1)))))
        )
        kept.append(
            replace(
                fewer, quorum=draw(st.integers(stage.quorum, 3)), escalations=draw(st.sampled_from((stage.escalations, ())))
            )
        )
    distinct = floor.distinct_groups or (draw(st.booleans()) and not any(stage.is_all for stage in kept))
    if distinct:
        kept = [replace(stage, is_all=False) for stage in kept]
    return replace(floor, stages=tuple(kept), distinct_groups=distinct, reason=draw(st.sampled_from((floor.reason, "always"))))


@given(policies, policies, policies)
def test_strictness_is_reflexive_and_transitive(one: Policy, two: Policy, three: Policy) -> None:
    assert strictness.covers(one, one)
    if strictness.covers(one, two) and strictness.covers(two, three):
        assert strictness.covers(one, three)


@given(policies, policies)
def test_what_is_kept_of_a_policy_is_judged_like_the_policy(one: Policy, two: Policy) -> None:
    kept_one, kept_two = strictness.read("p", strictness.dump(one)), strictness.read("p", strictness.dump(two))

    assert strictness.covers(kept_one, kept_two) == strictness.covers(one, two)


A2, AB2 = Stage(("A",), 2), Stage(("A", "B"), 2)
ALL_A = Stage(("A",), 1, is_all=True)


@pytest.mark.parametrize(
    ("weaker", "floor", "why"),
    [
        (plain(AB2), plain(AB2, distinct_groups=True), "no longer asks each approval to stand for a group of its own"),
        (plain(A2), plain(ALL_A), "asks less in its stages"),
        (plain(ALL_A), plain(A2), "asks less in its stages"),
        (plain(Stage(("A", "B"), 1, is_all=True)), plain(ALL_A), "asks less in its stages"),
        (plain(replace(A2, escalations=(Escalation(timedelta(hours=1), ("B",)),))), plain(A2), "asks less in its stages"),
        (
            plain(replace(A2, escalations=(Escalation(timedelta(hours=1), ("B",)),))),
            plain(replace(A2, escalations=(Escalation(timedelta(hours=2), ("B",)),))),
            "asks less in its stages",
        ),
        (plain(A2), plain(A2, reason="by_risk"), "asks for fewer reasons"),
        (plain(A2, reason="by_risk"), plain(A2, reason="by_risk", risk="high"), "asks for fewer reasons"),
        (plain(A2, step_up=StepUp("never")), plain(A2), "asks fewer approvers to sign in again"),
        (plain(A2, step_up=StepUp("high", timedelta(hours=1))), plain(A2), "asks fewer approvers to sign in again"),
    ],
)
def test_each_field_that_asks_less_is_seen_and_said(weaker: Policy, floor: Policy, why: str) -> None:
    assert strictness.weakened(floor, weaker) == why


def test_what_was_kept_before_a_field_was_known_reads_as_its_default() -> None:
    kept = {"stages": [{"groups": ["A"], "quorum": 2}], "reason": "always"}

    assert strictness.read("p", kept) == replace(plain(A2, reason="always"), name="p")
    assert strictness.dump(strictness.read("p", kept)) == kept


@given(electorates, st.lists(st.tuples(groups, st.integers(1, 2)), min_size=1, max_size=2))
def test_distinct_groups_agree_with_trying_every_order(
    people: dict[str, frozenset[str]], asked: list[tuple[tuple[str, ...], int]]
) -> None:
    """The flow says a policy can be met exactly where some people, each for a group of their own, meet it."""
    policy = plain(*(Stage(names, quorum) for names, quorum in asked), distinct_groups=True)
    electorate = {name: {one for one, mine in people.items() if name in mine} for name in GROUPS}
    can = any(passes(policy, order, people, 0) for order in permutations(people))

    if can:
        assert shortfall(policy.stages, electorate, distinct_groups=True) == ""
    elif len(policy.stages) == 1:
        assert shortfall(policy.stages, electorate, distinct_groups=True) != ""
