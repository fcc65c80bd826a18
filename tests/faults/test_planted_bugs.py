"""The harness can see bugs: ten of ten that are planted on purpose are found, each by the check that is there for it (K02)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.report import say
from tests.torture import planted, plants, seeds
from tests.torture.arena import Arena, arena

pytestmark = pytest.mark.faults

ON_POSTGRES = [name for name, story in planted.STORIES.items() if story.on_postgres_only]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """A short lease: these stories wait for leases to end, and nothing else runs meanwhile."""
    with arena(seeds.server_under_test(), tmp_path_factory.mktemp("plants"), AEGIS_LEASE_SECONDS="0.3") as made:
        made.web()
        yield made


def test_there_is_a_story_for_each_plant() -> None:
    assert list(planted.STORIES) == list(plants.PLANTS)
    assert len(plants.PLANTS) == 10


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.postgres) if name in ON_POSTGRES else name for name in planted.STORIES]
)
def test_a_planted_bug_is_found_and_the_same_story_without_it_ends_well(house: Arena, name: str) -> None:
    started = time.monotonic()

    clean = planted.found(house, name, planted=False, order=f"{name}-clean")
    found = planted.found(house, name, planted=True, order=f"{name}-planted")

    say(f"{name}: found in {time.monotonic() - started:.1f} s, such as {found[:1]}")
    assert clean == []
    assert planted.STORIES[name].check in {violation.check for violation in found}
