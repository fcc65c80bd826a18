"""Golden histories: streams as a release wrote them, with the state each must fold to for ever (DESIGN section 5).

    python -m tests.simulation.golden RELEASE      record some of this release into golden/RELEASE/; never overwrites

A file holds the exact lines of one run's stream, one per line, and last the state as canonical JSON. A later release keeps
folding and verifying every file there is; it never edits one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from tests.simulation import plan as plans
from tests.simulation.simulator import Simulation

FOLDER: Final = Path(__file__).with_name("golden")
SEEDS: Final = range(60)


@dataclass(frozen=True, slots=True)
class History:
    """One recorded stream."""

    path: Path
    lines: tuple[str, ...]
    state: str


def histories() -> Iterator[History]:
    """Every history of every release."""
    for path in sorted(FOLDER.glob("*/*.jsonl")):
        *lines, state = path.read_text().splitlines()
        yield History(path, tuple(lines), state)


def record(release: str) -> list[Path]:
    """Write histories that between them hold every event type the simulator can bring about.

    Raises:
        FileExistsError: this release was recorded already.
    """
    folder = FOLDER / release
    folder.mkdir(parents=True)
    streams = [(frozenset(orjson.loads(line)["type"] for line in lines), lines, state) for lines, state in _streams()]
    untold = frozenset[str]().union(*(types for types, _, _ in streams))
    written: list[Path] = []
    while untold:
        # The one that says most of what no other said yet; the shortest of these.
        types, lines, state = max(streams, key=lambda stream: (len(stream[0] & untold), -len(stream[1])))
        untold -= types
        path = folder / f"{len(written) + 1:02d}-{orjson.loads(lines[-1])['type'].replace('.', '-')}.jsonl"
        path.write_text("\n".join([*lines, state]) + "\n")
        written.append(path)
    return written


def _streams() -> Iterator[tuple[list[str], str]]:
    for seed in SEEDS:
        simulation = Simulation(seed, plans.draw(seed))
        simulation.run()
        for row in simulation.store.rows.values():
            yield simulation.store.lines[row.stream], row.state


if __name__ == "__main__":
    for path in record(sys.argv[1]):
        sys.stdout.write(f"{path.relative_to(FOLDER)}\n")
