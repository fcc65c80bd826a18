"""A clerk that was taken over tries everything; the oracle judges what arrived outside. Honest work goes on beside it.

Some hundreds of attempts at every change; 10,000 by `make hijack PART=k/n`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration.authority import provenance
from orchestration.engine.steps import act
from tests.drills import hijack
from tests.drills.errands import TWISTS
from tests.drills.hijack import Drill
from tests.drills.sink import OutsideSink
from tests.support.report import say

ATTEMPTS = 240
PLANTED = 60

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]  # on PostgreSQL: make hijack DATABASE=postgres


@pytest.fixture
def drill(area_rows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drill]:
    seed = int(os.environ.get("AEGIS_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    say(f"seed {seed} (AEGIS_TEST_SEED={seed} repeats it)")
    with OutsideSink(tmp_path / "sink.jsonl") as sink:
        monkeypatch.setenv(hijack.SINK, sink.url)
        made = Drill(sink, random.Random(seed))
        made.found()
        yield made


def test_nothing_that_the_oracle_forbids_arrives_and_honest_work_goes_on(drill: Drill) -> None:
    found = drill.run(ATTEMPTS)

    say(
        f"{found.attempts} attempts, {found.hijacked} of them hijacked: {found.effects} effects,"
        f" {len(found.violations)} forbidden, {len(found.unrecorded)} not on record; of {found.legitimate} honest ones"
        f" {len(found.denied)} denied, {found.asked} asked about ({100 * found.asked / found.legitimate:.1f} %)"
    )
    assert found.violations == []
    assert found.unrecorded == []
    assert found.denied == []
    assert found.over_asked == 0
    assert found.asked < 0.15 * found.legitimate
    assert set(found.twists) == set(TWISTS)
    assert found.effects > found.legitimate / 2


def gates_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = act.decide

    def decide(*arguments: Any, **more: Any) -> Any:
        verdict = honest(*arguments, **more)
        return replace(verdict, answer="gate", code="gated", policy="one") if verdict.answer == "allow" else verdict

    monkeypatch.setattr(act, "decide", decide)


def ignores_provenance(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = provenance.trace
    monkeypatch.setattr(provenance, "trace", lambda *said: {path: ["requester"] for path in honest(*said)})


@pytest.mark.parametrize(
    ("plant", "twists", "seen"),
    [
        (gates_everything, TWISTS, "over_asked"),
        (ignores_provenance, ("whom the mail names", "whom nobody names"), "violations"),
    ],
)
def test_a_build_that_is_of_no_use_or_no_guard_fails(
    plant: Callable[[pytest.MonkeyPatch], None],
    twists: tuple[str, ...],
    seen: str,
    drill: Drill,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)

    found = drill.run(PLANTED, twists)

    say(f"{plant.__name__}: {getattr(found, seen)}")
    assert getattr(found, seen)
    assert not hijack.is_well(found)
