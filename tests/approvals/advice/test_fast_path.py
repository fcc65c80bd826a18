"""A fast path is advised where history surely supports it, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals import policies
from approvals.advice import advising, fastpath
from approvals.advice.bounds import upper
from approvals.advice.cases import Case, Passage, Standing
from approvals.advice.fastpath import LIMIT, Clause
from approvals.policies import RISKS, passes_fast
from tests.approvals.advice.past import advised, case, counts, vote
from tests.approvals.house import policy_document

CONDITION = 'risk == "low" && capability == "refund.pay" && parameters.amount >= 0 && parameters.amount <= {}'


def small(count: int = 60, **given: Any) -> list[Case]:
    return [case(number, 10 + number, **given) for number in range(count)]


def path_of(found: Any) -> str:
    return str(found.spec.get("fast_path", "")) if found.spec else ""


def test_sixty_small_ones_that_everybody_approved_support_a_border_below_the_largest() -> None:
    found = advised(small(80))["fast_path"]
    assert path_of(found) == CONDITION.format(75)
    assert counts(found) == {"passing": 66, "against": 0, "left-out": 0}
    assert "at most 4.5 % of such requests" in found.because[1]


def test_fewer_than_needed_support_none() -> None:
    found = advised(small(58))["fast_path"]
    assert not found.is_proposal
    assert "it takes 59 requests" in found.says


@pytest.mark.parametrize(
    "against",
    [
        {"outcome": "rejected"},
        {"outcome": "changes_requested"},
        {"was_edited": True},
        {"was_undone": True},
        {"votes": (vote(), vote("reject", "leo", weakness="hurried"))},
    ],
)
def test_what_was_wanted_otherwise_among_the_small_ones_speaks_against_it(against: dict[str, Any]) -> None:
    cases = small(57) + [case(number, 15, **against) for number in range(100, 103)]
    found = advised(cases)["fast_path"]
    assert not found.is_proposal
    assert counts(found)["against"] == 3


def test_the_border_stays_below_what_was_rejected() -> None:
    cases = [case(number, 1 + number % 50) for number in range(150)]
    cases += [case(200 + number, 61 + number, outcome="rejected") for number in range(60)]
    assert path_of(advised(cases)["fast_path"]) == CONDITION.format(50)


def test_hurried_votes_and_those_of_people_who_approve_everything_are_no_evidence_and_are_counted_as_left_out() -> None:
    weak = [case(100 + number, 20, votes=(vote(weakness="hurried"),)) for number in range(7)]
    weak += [case(200 + number, 20, votes=(vote(weakness="approves_all"),)) for number in range(5)]
    assert counts(advised(small(80) + weak)["fast_path"]) == {"passing": 66, "against": 0, "left-out": 12}
    assert not advised(small(58) + weak)["fast_path"].is_proposal
    assert counts(advised(small(58) + weak)["fast_path"])["left-out"] == 12


def test_what_the_reader_cannot_follow_is_no_evidence() -> None:
    assert not advised(small(80, is_followed=False))["fast_path"].is_proposal


@pytest.mark.parametrize("risk", ["medium", "high"])
def test_it_is_never_advised_above_low_risk(risk: str) -> None:
    assert not advised(small(80, risk=risk))["fast_path"].is_proposal
    assert not advised(small(80), document=policy_document(risk=risk))["fast_path"].is_proposal


def test_it_is_never_advised_under_a_lock_nor_for_changes_of_the_house() -> None:
    assert not advised(small(80), standing=Standing(is_locked=True))["fast_path"].is_proposal
    assert not advised(small(80), standing=Standing(locked=frozenset({"refund.pay"})))["fast_path"].is_proposal
    assert not advised(small(80), is_own=True)["fast_path"].is_proposal
    assert not advised(small(80, may_pass_fast=False))["fast_path"].is_proposal


def test_one_large_case_does_not_carry_the_border_up_to_it() -> None:
    cases = [case(number, 10) for number in range(80)] + [case(100, 10_000)]
    assert path_of(advised(cases)["fast_path"]) == CONDITION.format(10)


def test_a_border_that_stands_is_moved_and_another_condition_is_kept_beside() -> None:
    cases = [case(number, 51 + number % 49) for number in range(120)]
    moved = advised(cases, document=policy_document(fast_path=CONDITION.format(50)))["fast_path"]
    beside = advised(cases, document=policy_document(fast_path='parameters.kind == "gift"'))["fast_path"]
    assert path_of(moved) == CONDITION.format(75)
    assert path_of(beside) == f'(parameters.kind == "gift") || ({CONDITION.format(75)})'


def test_what_passes_already_is_no_evidence_for_more() -> None:
    document = policy_document(fast_path=CONDITION.format(1_000))
    assert not advised(small(80), document=document)["fast_path"].is_proposal


def passages(count: int, undone: range, amount: float = 20) -> tuple[Passage, ...]:
    return tuple(
        Passage(UUID(int=number + 1), "refund.pay", {"amount": amount + number}, number in undone) for number in range(count)
    )


def test_a_fast_path_that_let_through_what_was_undone_is_tightened() -> None:
    document = policy_document(fast_path=CONDITION.format(200))
    lowered = advised([], document=document, passages=passages(160, range(100, 130), 0.5))["fast_path"]
    taken = advised(small(80), document=document, passages=passages(20, range(5)))["fast_path"]
    assert path_of(lowered) == CONDITION.format(100)
    assert taken.spec is not None
    assert "fast_path" not in taken.spec
    assert counts(taken) == {"passed": 20, "undone": 5}


def test_one_undone_of_very_many_takes_nothing_away() -> None:
    document = policy_document(fast_path=CONDITION.format(200))
    assert not advised([], document=document, passages=passages(200, range(1)))["fast_path"].is_proposal


amounts = st.one_of(st.integers(0, 400), st.floats(0, 400, allow_nan=False).map(lambda value: round(value, 2)))
outcomes = st.sampled_from(["approved"] * 30 + ["rejected", "expired", "changes_requested"])


@settings(max_examples=60)
@given(st.lists(st.tuples(amounts, outcomes, st.sampled_from(RISKS[:1] * 9 + RISKS[2:]), st.booleans()), max_size=200))
def test_whatever_happened_advice_lets_through_no_more_than_the_bound_allows(rows: list[tuple[Any, ...]]) -> None:
    cases = [
        case(number, amount, outcome=outcome, risk=risk, votes=(vote(weakness="hurried"),) if is_weak else (vote(),))
        for number, (amount, outcome, risk, is_weak) in enumerate(rows)
    ]
    found = advised(cases)["fast_path"]
    assert found == advised(cases)["fast_path"]
    if not found.is_proposal:
        return
    policy = policies.load(advising.document_of(policy_document(), found))
    through = [one for one in cases if passes_fast(policy, one.facts) is True]
    said = [one for one in through if one.is_weighed]
    assert {one.id for one in said} == set(found.figures[0].refs)
    assert upper(sum(one.is_against for one in said), len(said)) <= LIMIT
    assert all(one.risk == "low" for one in through)
    assert not any(passes_fast(policy, one.facts, locked=True) for one in cases)


@given(
    st.sampled_from(["refund.pay", "a", ""]),
    st.sampled_from(["amount", "a.b"]),
    st.integers(0, 10**9) | st.sampled_from([1.5, 0.25]),
)
def test_a_clause_reads_back_as_it_was_written(capability: str, path: str, border: float) -> None:
    clause = Clause(capability, path, border)
    assert fastpath.read(clause.text) == clause
    assert fastpath.read(f"{clause.text} || true") is None


def test_several_parameters_share_what_is_left_to_chance() -> None:
    """59 cases are enough for one parameter; with another beside it more are needed."""
    one = [case(number, 10) for number in range(60)] + [case(60, 12)]
    two = [replace(known, parameters={"amount": 10, "days": 10}) for known in one]
    assert path_of(advised(one)["fast_path"])
    assert not advised(two)["fast_path"].is_proposal
