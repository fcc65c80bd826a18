"""Conflicts of duties on every path: no vote counts that promise 8 does not let count, and every other one does.

A part of the 1,232 cases of the oracle; all of them with AEGIS_DRILLS=all (`make separation`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from approvals import holding
from tests.drills.duties import Duties, Played
from tests.oracles.separation_oracle import BONDS, CHAINS, PATHS, Case, cases
from tests.support.report import say

EVERY = 17  # of the cases: prime to the number of chains, so that all bonds, paths and chains are among them

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(area_rows: None) -> Duties:
    duties = Duties()
    duties.found()
    return duties


def test_no_conflict_of_duties_passes_on_any_path_and_free_approvers_pass_on_all(house: Duties) -> None:
    every = list(cases())
    chosen = every if os.environ.get("AEGIS_DRILLS") == "all" else every[::EVERY]
    assert ({case.bond for case in chosen}, {case.vote.path for case in chosen}, {case.chain for case in chosen}) == (
        set(BONDS), set(PATHS), set(CHAINS)
    )  # fmt: skip

    played = [house.play(case) for case in chosen]

    say(table(played))
    assert [one.case.name for one in played if one.passes] == []
    assert [one.case.name for one in played if one.is_denied] == []
    # Who was deactivated does not come as far as the request: page and API know no such person.
    assert [one.case.name for one in played if not one.is_on_record and not one.case.scene.inactive] == []


@pytest.mark.parametrize(
    ("planted", "chains"),
    [
        ("bound_by", {"himself", "in the place of a free approver"}),
        ("barred_by", {"his delegate, in his own right", "the delegate of his delegate, in his own right"}),
    ],
)
def test_a_build_that_forgets_who_is_bound_is_seen(
    planted: str, chains: set[str], house: Duties, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bugs: nobody is bound; who acts for somebody bound is not."""
    if planted == "bound_by":
        monkeypatch.setattr(holding, "bound_by", lambda *_: frozenset())
    else:
        monkeypatch.setattr(holding, "barred_by", lambda request, live, now: holding.bound_by(request, live))

    played = [house.play(case) for case in _of(chains)]

    assert {one.case.chain for one in played if one.passes} == chains


def _of(chains: set[str]) -> list[Case]:
    return [case for case in cases() if case.chain in chains and case.bond == "requester" and case.vote.path in ("api", "page")]


def table(played: Sequence[Played]) -> str:
    """Per path: cases, votes that must not count, how many of them did, votes that count, how many of them were refused."""
    counts: dict[str, Counter[str]] = {path: Counter() for path in PATHS}
    for one in played:
        found: Any = counts[one.case.vote.path]
        found.update(cases=1, conflicts=not one.case.expected.counts, passed=one.passes, denied=one.is_denied)
    lines = [f"{'path':14} {'cases':>6} {'conflicts':>10} {'passed':>7} {'free':>6} {'refused':>8}"]
    for path, found in {**counts, "all": sum(counts.values(), Counter())}.items():
        free = found["cases"] - found["conflicts"]
        lines.append(
            f"{path:14} {found['cases']:6,} {found['conflicts']:10,} {found['passed']:7} {free:6,} {found['denied']:8}"
        )
    return "\n".join(lines)
