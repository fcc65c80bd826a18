"""The full counts, in parts: `make torture PART=k/n`.

python -m tests.torture.run --part 1/20 --database postgres [--only "random kills"] [--minutes 30] [--share 1.0]

Each part lets its share of every fault happen, on one database, each storm with a seed of its own, and leaves one JSON file per
storm in build/torture. A storm that left its file is not repeated, so a run that was interrupted goes on where it stopped. A
part ends by itself: after its counts or after its minutes, and what was not reached is not claimed (`table`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.torture import storms
from tests.torture.ground import ROOT, Server

#: Fault -> how often per database, in the full table. For "crash points": rounds over all points; "poison": neighbours of one.
GOALS: Final[Mapping[str, int]] = {
    "crash points": 50,
    "random kills": 1000,
    "two hosts": 100,
    "lost answers": 500,
    "lost connections": 500,
    "freezes": 200,
    "broker wipes": 20,
    "repeated messages": 20_000,
    "key rotations": 20,
    "poison": 10,
    "group stops": 100,
}
NEIGHBOURS: Final = 499  # of a poison run

RESULTS: Final = ROOT / "build" / "torture"


def main() -> int:
    options = _options()
    part, parts = (int(word) for word in options.part.split("/"))
    deadline = time.monotonic() + options.minutes * 60
    server = _server(options)
    failed = 0
    for name, goal in GOALS.items():
        if (options.only and name not in options.only) or (name in storms.ON_POSTGRES and not server.is_postgres):
            continue
        count = goal * part // parts - goal * (part - 1) // parts
        file = RESULTS / f"{server.kind}-{name.replace(' ', '-')}-{part}of{parts}.json"
        if count == 0 or file.exists() or time.monotonic() > deadline:
            continue
        failed += _one(name, count, file, server, zlib.crc32(f"{options.seed}{file.name}".encode()), deadline)
    return 1 if failed else 0


def _one(name: str, count: int, file: Path, server: Server, seed: int, deadline: float) -> bool:
    """Run one storm and write down what it came to. True if it found a violation."""
    rounds = count if name == "poison" else 1
    results = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="aegis-torture-") as folder:
            faults = NEIGHBOURS if name == "poison" else count
            results.append(storms.run(name, storms.Storm(server, Path(folder), seed + number, faults, deadline)))
        if time.monotonic() > deadline:
            break
    results = [result for result in results if result.count or result.violations]
    if not results:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": _commit()}
    file.write_text("".join(json.dumps({**asdict(result), **about}) + "\n" for result in results))
    for result in results:
        sys.stdout.write(
            f"{result.database} {result.fault}: {result.count} in {result.seconds:g} s, {result.runs} runs,"
            f" rest {result.longest_rest:g} s, seed {result.seed}, {len(result.violations)} violations {result.notes or ''}\n"
        )
        sys.stdout.writelines(f"    {violation}\n" for violation in result.violations[:20])
    sys.stdout.flush()
    return any(result.violations for result in results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", default="1/1", help="k/n: this part of so many")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--only", action="append", choices=list(GOALS), default=[])
    parser.add_argument("--minutes", type=float, default=60.0, help="no new fault after so long")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def _server(options: argparse.Namespace) -> Server:
    if options.database == "sqlite":
        return Server()
    return Server(os.environ["TEST_DATABASE_URL"], os.environ.get("TEST_REDIS_URL", ""))


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return os.environ.get("AEGIS_TORTURE_COMMIT", "") or done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
