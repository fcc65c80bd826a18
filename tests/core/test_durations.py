"""Durations read as people write them, and nothing else does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis.core import durations
from aegis.core.durations import DurationInvalid


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("15m", 900), ("4h", 14_400), ("2d", 172_800), ("1h30m", 5_400), ("1d1h1m1s", 90_061), ("90m", 5_400)],
)
def test_what_people_write_is_read(text: str, seconds: int):
    assert durations.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "h", "-1h", "1.5h", "0s", "0h0m", "999999d", "١h", "1m1h", "4h\n", " 4h", "4H", "PT4H", None, 5, True]
)
def test_everything_else_is_refused_with_what_to_write(text: object):
    with pytest.raises(DurationInvalid) as caught:
        durations.parse(text)  # type: ignore[arg-type]
    assert caught.value.faults[0].what


@given(st.integers(1, int(durations.MAXIMUM.total_seconds())).map(lambda seconds: timedelta(seconds=seconds)))
def test_what_is_told_is_read_back(duration: timedelta):
    assert durations.parse(durations.describe(duration)) == duration


def test_nothing_is_told_as_nothing():
    assert durations.describe(timedelta(milliseconds=300)) == "0s"
