"""Fuzzed expressions end in a value or a declared error, in their budget, reaching for nothing. `make fuzz` runs 100,000."""

from __future__ import annotations

from tests.fuzz.__main__ import run
from tests.fuzz.grammar import expressions


def test_fuzzed_expressions_end_in_a_value_or_a_declared_error_and_touch_nothing():
    tally, violations, peak_mb = run(3_000, seed=7, jobs=1)

    assert violations == []
    assert sum(tally.values()) == 3_000
    assert min(tally["value"], tally["failed"], tally["refused as expression_invalid"]) > 50  # all three are met
    assert peak_mb < 1_000


def test_the_same_seed_gives_the_same_expressions():
    assert list(expressions(3, 50)) == list(expressions(3, 50))
    assert list(expressions(3, 50)) != list(expressions(4, 50))
