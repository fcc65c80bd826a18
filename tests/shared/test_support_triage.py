"""Requests written by others, through the whole of AEGIS: none lost, few to people, the rest to the right queue.

A sample of 1,000 rows; all 10,003 in five folds with AEGIS_SHARED_DATA=all (`make shared-data`). The database is a real file,
or the PostgreSQL of this run; the commands are those a person types.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import SHARED
from tests.support.report import say
from tests.support.stack import Stack, empty_stack

SAMPLE = 1_000
POINTS = 1.0  # by which figures may differ from the classifier run outside AEGIS

pytestmark = pytest.mark.shared_data


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Stack]:
    """A new installation with the demo, and a folder for models."""
    with empty_stack(tmp_path, AEGIS_MODELS_DIR=str(tmp_path / "models")) as house:
        house.run("manage.py", "migrate", "--verbosity", "0")
        house.run("manage.py", "aegis", "demo", "load")
        yield house


def test_requests_of_others_keep_the_promises_and_equal_the_classifier_outside(house: Stack) -> None:
    from tests.shared import folds

    requests = folds.read(SHARED / "support_triage")
    is_all = os.environ.get("AEGIS_SHARED_DATA") == "all"
    plan = list(folds.five(requests)) if is_all else [folds.sample(requests, SAMPLE)]

    judged = [folds.through_aegis(house, requests, fold) for fold in plan]
    is_whole, report = house.verify()

    inside, outside = folds.Figures(), folds.Figures()
    for one in judged:
        inside += one.inside
        outside += one.outside
    say(table([*judged, folds.Judged(folds.Fold("all", (), ()), 0, inside, outside)]))
    assert inside.rows == (len(requests.ids) if is_all else SAMPLE)
    assert inside.lost == 0
    shares = inside.shares()
    assert shares["to people"] <= 20
    assert shares["queue right"] >= 97
    assert shares["P1 found"] >= 95
    for one in judged:
        apart = {name: abs(share - one.outside.shares()[name]) for name, share in one.inside.shares().items()}
        assert max(apart.values()) <= POINTS, f"{one.fold.name}: {apart}"
    assert is_whole, report


def table(judged: Sequence[object]) -> str:
    """One line per fold: each figure inside AEGIS / outside, in percent."""
    lines = [
        f"{'':8} {'rows':>6} {'lost':>5} {'below':>6} {'to people':>15} {'queue right':>15} {'P1 found':>15} {'waiting':>8}"
        f" {'rows/s':>7}"
    ]
    for one in judged:
        inside, outside = one.inside, one.outside  # type: ignore[attr-defined]
        figures = [f"{share:6.2f} / {outside.shares()[name]:6.2f}" for name, share in inside.shares().items()]
        lines.append(
            f"{one.fold.name:8} {inside.rows:6,} {inside.lost:5} {one.threshold:6.2f} {figures[0]} {figures[1]} {figures[2]}"  # type: ignore[attr-defined]
            f" {inside.waiting:8,} {inside.rows / inside.seconds:7.1f}"
        )
    return "\n".join(lines)
