"""A part of the counts of `make torture`, small enough for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.report import say
from tests.torture import seeds, storms

#: Fault -> how often it happens in a test.
COUNTS: Final[Mapping[str, int]] = {
    "random kills": 25,
    "two hosts": 4,
    "lost answers": 30,
    "lost connections": 20,
    "freezes": 6,
    "broker wipes": 2,
    "repeated messages": 400,
    "key rotations": 1,
    "poison": 499,  # neighbours of one poison run
    "group stops": 2,
}


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.postgres] if name in storms.ON_POSTGRES else []


def weather(name: str, seed: int, folder: Path) -> storms.Result:
    """Let one storm happen on the sort of database this run of pytest is on, and say how it went."""
    result = storms.STORMS[name](storms.Storm(seeds.server_under_test(), folder, seed, COUNTS[name]))
    say(
        f"{name}: {result.count} in {result.seconds:g} s, {result.runs} runs, at rest after {result.longest_rest:g} s,"
        f" AEGIS_TEST_SEED={seed} repeats it {result.notes or ''}"
    )
    return result
