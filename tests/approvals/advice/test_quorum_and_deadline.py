"""How many people, and until when: what history says about both."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.canonical import Json
from approvals.advice.bounds import upper
from approvals.advice.cases import Case, Standing
from approvals.advice.deadline import percentile
from approvals.advice.quorum import NEVER
from tests.approvals.advice.past import advised, both, case, counts, vote
from tests.approvals.house import policy_document

HOUR = 3_600.0


def two(**spec: Json) -> Json:
    return policy_document(stages=[{"groups": ["Leads"], "quorum": 2}], **spec)


def quorum_of(found: Any) -> int | None:
    return found.spec["stages"][0]["quorum"] if found.spec else None


def test_fewer_are_advised_where_no_later_vote_ever_differed() -> None:
    found = advised([both(number) for number in range(60)], document=two())["quorum"]
    assert quorum_of(found) == 1
    assert counts(found) == {"agreed": 60, "split": 0, "left-out": 0}
    assert "at most 4.9 %" in found.because[1]


def test_one_vote_that_differed_is_enough_to_keep_it() -> None:
    cases = [both(number) for number in range(200)] + [both(300, "reject")]
    assert quorum_of(advised(cases, document=two())["quorum"]) is None


def test_hurried_votes_do_not_agree() -> None:
    votes = (vote(), vote(person="leo", weakness="hurried"))
    cases = [both(number) for number in range(58)] + [both(100 + number) for number in range(0)]
    hurried = [case(200 + number, votes=votes) for number in range(30)]
    found = advised([*cases, *hurried], document=two())["quorum"]
    assert quorum_of(found) is None
    assert counts(found) == {"agreed": 58, "split": 0, "left-out": 30}


def test_a_hurried_no_differs_all_the_same() -> None:
    votes = (vote(), vote("reject", "leo", weakness="hurried"))
    cases = [both(number) for number in range(100)] + [case(200, outcome="rejected", votes=votes)]
    assert counts(advised(cases, document=two())["quorum"])["split"] == 1


def test_votes_on_two_revisions_are_no_disagreement() -> None:
    votes = (vote("reject", digest="old"), vote(person="leo", digest="new"))
    cases = [both(number) for number in range(60)] + [case(200, votes=votes)]
    assert quorum_of(advised(cases, document=two())["quorum"]) == 1


@pytest.mark.parametrize(
    ("given_", "spec"),
    [
        ({"standing": Standing(is_locked=True)}, {}),
        ({"standing": Standing(is_high=True)}, {}),
        ({"is_own": True}, {}),
        ({}, {"risk": "high"}),
    ],
)
def test_fewer_are_never_advised_for_high_risk_under_a_lock_or_for_the_house(given_: dict[str, Any], spec: Any) -> None:
    found = advised([both(number) for number in range(90)], document=two(**spec), **given_)["quorum"]
    assert quorum_of(found) is None


def test_one_request_of_high_risk_keeps_it() -> None:
    cases = [both(number) for number in range(90)] + [both(100, risk="high")]
    assert quorum_of(advised(cases, document=two())["quorum"]) is None


def test_more_are_advised_where_they_often_differ_even_under_a_lock() -> None:
    cases = [both(number, "reject" if number % 3 == 0 else "approve") for number in range(45)]
    found = advised(cases, document=two(), standing=Standing(is_locked=True, is_high=True))["quorum"]
    assert quorum_of(found) == 3
    assert counts(found)["split"] == 15


def test_where_one_decides_nothing_is_said() -> None:
    assert not advised([case(number) for number in range(90)])["quorum"].is_proposal


@given(st.lists(st.sampled_from(["approve"] * 20 + ["reject"]), max_size=150))
def test_fewer_only_where_disagreement_is_surely_rare(seconds: list[str]) -> None:
    found = advised([both(number, second) for number, second in enumerate(seconds)], document=two())["quorum"]
    if quorum_of(found) == 1:
        assert "reject" not in seconds
        assert upper(0, len(seconds)) <= NEVER


def timed(seconds: list[float], expired: int = 0) -> list[Case]:
    found = [case(number, seconds=one) for number, one in enumerate(seconds)]
    return found + [case(1_000 + number, outcome="expired", seconds=24 * HOUR) for number in range(expired)]


def test_a_deadline_long_after_all_is_decided_may_be_shorter_and_says_the_percentiles() -> None:
    found = advised(timed([HOUR] * 98 + [2 * HOUR] * 2), document=policy_document(deadline="7d"))["deadline"]
    assert found.spec is not None
    assert found.spec["deadline"] == "4h"
    assert "99 within 2.0 hours" in found.because[0]


def test_it_stays_where_an_escalation_is_due_after_it() -> None:
    stages = [{"groups": ["Leads"], "escalate": [{"after": "12h", "groups": ["Heads"]}]}]
    found = advised(timed([HOUR] * 100), document=policy_document(deadline="7d", stages=stages))["deadline"]
    assert not found.is_proposal


def test_where_many_expire_people_are_reminded_and_then_given_longer() -> None:
    cases = timed([HOUR * (number % 10 + 1) for number in range(80)], expired=20)
    reminded = advised(cases, document=policy_document(deadline="24h"))["deadline"]
    longer = advised(cases, document=policy_document(deadline="24h", reminders=["4h"]))["deadline"]
    assert reminded.spec is not None
    assert longer.spec is not None
    assert reminded.spec["reminders"] == ["12h"]
    assert longer.spec["deadline"] == "1d12h"


def test_few_requests_say_nothing_and_hurried_ones_are_left_out() -> None:
    hurried = [case(100 + number, votes=(vote(weakness="hurried"),), seconds=1.0) for number in range(90)]
    found = advised(timed([HOUR] * 40) + hurried, document=policy_document(deadline="7d"))["deadline"]
    assert not found.is_proposal
    assert counts(found) == {"decided": 40, "expired": 0, "left-out": 90}


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values) + 1e-9
