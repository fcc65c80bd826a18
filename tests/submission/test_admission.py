"""Who is let in, as a rule over numbers: no database, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import TooLarge
from orchestration.engine.admission import BacklogFull, Limits, Load, ShareFull, SpaceLow, refusal

LIMITS = Limits(backlog=1_000, reserve=0.2, free_bytes=100)


def load(backlog: int = 0, own: int = 0, *, free: int | None = None, drained: float | None = 0.0) -> Load:
    return Load(backlog, own, free, drained)


def fill(limits: Limits, clients: int) -> list[int]:
    """Clients that all submit one run after the other until nobody gets another one in."""
    held = [0] * clients
    moved = True
    while moved:
        moved = False
        for client in range(clients):
            if refusal(limits, load(sum(held), held[client]), 1) is None:
                held[client] += 1
                moved = True
    return held


def test_while_little_waits_everybody_is_let_in():
    assert refusal(LIMITS, load(799, 799), 1) is None


def test_who_floods_alone_stops_at_the_reserve():
    assert fill(LIMITS, 1) == [800]


def test_two_who_flood_stop_at_the_same_height_and_leave_room():
    one, other = fill(LIMITS, 2)

    assert abs(one - other) <= 1
    assert one + other < LIMITS.backlog


@pytest.mark.parametrize("clients", [1, 2, 5, 20])
def test_however_many_flood_the_next_one_gets_in(clients):
    held = fill(LIMITS, clients)

    assert refusal(LIMITS, load(sum(held), 0), 1) is None
    for mine in held:
        assert isinstance(refusal(LIMITS, load(sum(held), mine), 1), ShareFull)


def test_at_the_limit_nobody_is_let_in_and_the_wait_follows_the_drain():
    refused = refusal(LIMITS, load(1_000, 0, drained=10), 50)

    assert isinstance(refused, BacklogFull)
    assert refused.retry_after == 5


@pytest.mark.parametrize(("drained", "seconds"), [(0, 60), (0.001, 60), (1e9, 1), (None, 5)])
def test_the_wait_is_bounded_whatever_the_drain(drained, seconds):
    refused = refusal(LIMITS, load(1_000, drained=drained), 1)

    assert refused is not None
    assert refused.retry_after == seconds


def test_too_little_space_is_said_before_anything_else():
    assert isinstance(refusal(LIMITS, load(1_000, 1_000, free=99), 1), SpaceLow)
    assert refusal(LIMITS, load(0, free=100), 1) is None


def test_what_would_never_be_let_in_is_not_told_to_come_again():
    with pytest.raises(TooLarge):
        refusal(LIMITS, load(), 801)


@given(
    limit=st.integers(1, 10_000),
    reserve=st.floats(0.01, 0.99),
    backlog=st.integers(0, 20_000),
    own=st.integers(0, 20_000),
    drained=st.floats(0, 1e6),
)
def test_never_above_the_limit_and_always_an_honest_wait(limit, reserve, backlog, own, drained):
    limits = Limits(limit, reserve, 0)
    if not limits.unquestioned:
        return
    refused = refusal(limits, load(backlog, min(own, backlog), drained=drained), 1)

    assert refused is not None or backlog < limit
    assert refused is None or 1 <= refused.retry_after <= 60
