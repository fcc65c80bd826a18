"""The exact bounds, against tables and against what they promise."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.advice.bounds import ALPHA, lower, needed, upper


@pytest.mark.parametrize(
    ("hits", "of", "bound"),
    [(0, 10, 0.258866), (0, 59, 0.049508), (1, 10, 0.394163), (5, 100, 0.102252), (10, 10, 1.0), (0, 0, 1.0)],
)
def test_the_upper_bound_is_that_of_the_tables(hits: int, of: int, bound: float) -> None:
    assert upper(hits, of) == pytest.approx(bound, abs=2e-5)


@given(st.integers(1, 60).flatmap(lambda of: st.tuples(st.integers(0, of - 1), st.just(of))))
def test_at_the_bound_so_few_hits_are_exactly_as_unlikely_as_promised(found: tuple[int, int]) -> None:
    hits, of = found
    share = upper(hits, of)
    chance = sum(comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(hits + 1))
    assert chance == pytest.approx(ALPHA, rel=1e-6)
    assert lower(hits, of) <= hits / of <= share


@given(st.integers(0, 40), st.integers(1, 200))
def test_more_cases_without_a_hit_bring_it_down_and_more_hits_bring_it_up(hits: int, more: int) -> None:
    assert upper(hits, hits + more + 1) < upper(hits, hits + more)
    assert upper(hits, 241) < upper(hits + 1, 241)


def test_fewer_cases_than_needed_never_reach_the_limit() -> None:
    assert needed(0.05) == 59
    assert upper(0, 59) <= 0.05 < upper(0, 58)
