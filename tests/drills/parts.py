"""Full counts in parts, such as `make races PART=k/n`. A part leaves a file in build/drills and is not repeated.

python -m tests.drills.parts races --part 3/20 --database postgres --minutes 20
python -m tests.drills.parts table                                                what the files say, into the pages
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
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.support.stack import ROOT

Json = Any
RESULTS: Final = ROOT / "build" / "drills"
#: Drill -> how many per database, and the page with its table.
GOALS: Final[Mapping[str, tuple[int, str]]] = {
    "races": (2_000, "docs/races.md"),
    "hijack": (10_000, "docs/hijack.md"),
}
BEGIN, END = "<!-- table: made by `make drills-table`, do not edit -->", "<!-- end of table -->"
BATCH: Final = 120  # races over one stack: a time limit is looked at between two of them


def main() -> int:
    options = _options()
    if options.drill == "table":
        for drill in GOALS:
            write_table(drill)
        return 0
    part, parts = (int(word) for word in options.part.split("/"))
    goal = GOALS[options.drill][0]
    count = goal * part // parts - goal * (part - 1) // parts
    file = RESULTS / f"{options.drill}-{options.database}-{part}of{parts}.json"
    if file.exists():
        sys.stdout.write(f"{file.name} is there: nothing to do\n")
        return 0
    if options.database == "postgres":
        os.environ["AEGIS_DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]
        os.environ["AEGIS_REDIS_URL"] = os.environ.get("TEST_REDIS_URL", "")
    import django  # after the environment says which database

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
    django.setup()
    deadline = time.monotonic() + options.minutes * 60
    result = _DRILLS[options.drill](count, zlib.crc32(file.name.encode()), deadline)
    about = {"at": datetime.now(UTC).isoformat(timespec="minutes"), "commit": _commit(), "database": options.database}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**about, **result}))
    sys.stdout.write(f"{file.name}: {result}\n")
    return 1 if result["violations"] else 0


def races(count: int, seed: int, deadline: float) -> Json:
    """Races of all kinds in turn, over HTTP, until the count is reached or time is up."""
    from tests.drills import races as drill
    from tests.drills.hand import Hand
    from tests.faults.race import open_requests
    from tests.support.sink import Sink
    from tests.support.stack import stack

    done: Counter[str] = Counter()
    violations: list[str] = []
    while (left := count - done.total()) > 0 and time.monotonic() < deadline:
        with (
            tempfile.TemporaryDirectory(prefix="aegis-races-") as folder,
            Sink() as sink,
            stack(Path(folder), AEGIS_TEST_SINK=sink.url) as house,
            Hand(house) as hand,
        ):
            house.web().start()
            house.wait_for_web()
            open_requests(house, min(left, BATCH))
            found = house.look()["requests"]
            asked = [(pk, row["digest"], row["run"]) for pk, row in sorted(found.items())]
            run = drill.run(house, hand, asked, drill.KINDS, seed + done.total())
            violations += drill.violations(run, hand.do("facts", requests=[request for request, _, _ in asked]))
            for race in run:
                done[f"{race.kind}: {'the vote' if race.first.status == 200 else 'the other'} first"] += 1
    return {"count": done.total(), "seed": seed, "violations": violations, "notes": dict(sorted(done.items()))}


def hijack(count: int, seed: int, deadline: float) -> Json:
    """Errands on a fresh installation, in a process with its environment."""
    from tests.support.stack import empty_stack

    with tempfile.TemporaryDirectory(prefix="aegis-hijack-") as folder, empty_stack(Path(folder)) as house:
        seconds = max(0.0, deadline - time.monotonic())
        words = [str(count), str(seed), str(seconds), f"{folder}/sink.jsonl"]
        told = house.run("-m", "tests.drills.hijack_run", *words, seconds=seconds + 600).stdout
    return json.loads(told.splitlines()[-1])


_DRILLS: Final[Mapping[str, Callable[[int, int, float], Json]]] = {"races": races, "hijack": hijack}


def write_table(drill: str) -> None:
    """One row per database: what was reached, never what was meant to be."""
    goal, page = GOALS[drill]
    lines = ["| database | reached | goal | violations | what came | commits |", "|---|---:|---:|---:|---|---|"]
    for database in ("sqlite", "postgres"):
        found = [json.loads(file.read_text()) for file in sorted(RESULTS.glob(f"{drill}-{database}-*.json"))]
        if not found:
            continue
        notes: Counter[str] = sum((Counter(one["notes"]) for one in found), Counter())
        told = "; ".join(f"{what}: {count:,}" for what, count in sorted(notes.items()))
        reached, broken = sum(one["count"] for one in found), sum(len(one["violations"]) for one in found)
        commits = ", ".join(sorted({one["commit"] for one in found}))
        lines.append(f"| {database} | {reached:,} | {goal:,} | {broken} | {told} | {commits} |")
    path = ROOT / page
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    path.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("drill", choices=[*GOALS, "table"])
    parser.add_argument("--part", default="1/1", help="k/n: this part of so many")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--minutes", type=float, default=30.0, help="nothing new is begun after so long")
    return parser.parse_args()


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
