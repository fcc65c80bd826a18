"""A log of uses never lets more through than the limit in any stretch of time, whatever order clocks come in."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.engine.guards import rates

START = 1_780_000_000_000  # milliseconds


def play(moments: list[int], count: int, per: timedelta) -> list[int]:
    """The moments that were let through."""
    log, through = rates.EMPTY, []
    for at in moments:
        used = rates.used(log, at, per)
        if used is not None and used < count:
            log = rates.take(log, at, per)
            through.append(at)
    return through


def most_in_any_stretch(through: list[int], per: timedelta) -> int:
    length = int(per / timedelta(milliseconds=1))
    return max((sum(at <= other < at + length for other in through) for at in through), default=0)


@given(
    steps=st.lists(st.integers(-300, 2_000), max_size=120),
    count=st.integers(1, 12),
    per=st.integers(1, 20).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_no_stretch_of_time_holds_more_than_the_limit(steps: list[int], count: int, per: timedelta):
    moments, at = [], START
    for step in steps:  # clocks of several workers: mostly onward, sometimes back
        at += step
        moments.append(at)

    assert most_in_any_stretch(play(moments, count, per), per) <= count


@settings(max_examples=25)
@given(count=st.integers(20, 400), gap=st.integers(4, 60))
def test_at_least_ninety_five_of_a_hundred_are_let_through_under_steady_demand(count: int, gap: int):
    per = timedelta(seconds=10)
    moments = [START + index * gap for index in range(60_000 // gap)]
    wanted = min(count * 5, len(moments))  # five full stretches

    through = [at for at in play(moments, count, per) if at < START + 50_000]

    assert len(through) >= min(int(wanted * 0.93), len([at for at in moments if at < START + 50_000]))


@given(uses=st.lists(st.integers(0, 9_000), min_size=1, max_size=40), count=st.integers(1, 40))
def test_it_says_when_the_next_one_may_be(uses: list[int], count: int):
    per, log = timedelta(seconds=10), rates.EMPTY
    for at in sorted(uses):
        log = rates.take(log, START + at, per)
    now = START + 9_000

    free = rates.milliseconds(rates.free_at(log, now, per, count))

    used = rates.used(log, free, per)
    assert used is not None
    assert used < count
    assert free == now or (rates.used(log, free - 2, per) or count) >= count


def test_many_uses_take_little_room():
    log, per = rates.EMPTY, timedelta(minutes=1)
    for index in range(10_000):
        log = rates.take(log, START + index * 6, per)

    assert rates.used(log, START + 60_000, per) == 10_000
    assert len(log.uses) <= rates.GRAINS + 2
    assert rates.load(rates.dump(log)) == log


def test_a_clock_older_than_what_is_remembered_is_told_so():
    per = timedelta(seconds=1)
    log = rates.take(rates.take(rates.EMPTY, START, per), START + 5_000, per)

    assert rates.used(log, START + 1_000, per) is None
    assert rates.used(log, START + 5_000, per) == 1
