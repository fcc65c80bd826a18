"""Many random definitions on many random paths, on the database that AEGIS_DATABASE_URL names; resumable.

    python -m tests.generated --definitions 200 --paths 20 [--part k/n]     a second call goes on where the first stopped
    python -m tests.generated --table                                       what was done with this code

Results land in build/generated, one line per house of five definitions, by database and the digest of the code they ran on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "build" / "generated"
IN_HOUSE: Final = 5  # as in test_walks, which must not be imported here: it needs Django set up
#: What a walk runs; another byte in it makes another result.
CODE: Final = ("aegis/core", "approvals", "audit", "orchestration", "tests/generated", "tests/simulation")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--definitions", type=int, default=200)
    parser.add_argument("--paths", type=int, default=20)
    parser.add_argument("--part", default="1/1", help="k/n: every n-th house, from the k-th")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    database = "postgresql" if os.environ.get("AEGIS_DATABASE_URL", "").startswith("postgres") else "sqlite"
    path = FOLDER / f"{database}-{options.paths}-{_code()}.jsonl"
    if options.table:
        _say("\n".join(_table(_done(path), database, options.paths)))
        return 0
    number, parts = (int(word) for word in options.part.split("/"))
    houses = [house for house in range(-(-options.definitions // IN_HOUSE)) if house % parts == number - 1]
    known = {one["house"] for one in _done(path)}
    todo = [house for house in houses if house not in known]
    _say(f"{len(houses)} houses of {IN_HOUSE} definitions x {options.paths} paths on {database}, {len(todo)} to do")
    failed = _walk(todo, options.paths, path) if todo else 0
    _say("\n".join(_table(_done(path), database, options.paths)))
    return failed


def _walk(houses: list[int], paths: int, results: Path) -> int:
    results.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "AEGIS_GENERATED_HOUSES": ",".join(map(str, houses)),
        "AEGIS_GENERATED_PATHS": str(paths),
        "AEGIS_GENERATED_RESULTS": str(results),
    }
    command = [sys.executable, "-m", "pytest", "-q", "tests/generated/test_walks.py", "--tb=short", "--show-capture=no"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | told, check=False).returncode


def _done(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = {one["house"]: one for one in map(json.loads, path.read_text().splitlines())}
    return [found[house] for house in sorted(found)]


def _table(houses: list[dict[str, Any]], database: str, paths: int) -> list[str]:
    """Of the houses that kept every promise; one that broke one has no line, and is tried again by the next call."""
    if not houses:
        return [f"no house has kept its promises on {database} with this code yet"]
    total = {name: sum(one[name] for one in houses) for name in houses[0] if isinstance(houses[0][name], int)}
    happened = sum((Counter(one["happened"]) for one in houses), Counter())
    ended = sum((Counter(one["ended"]) for one in houses), Counter())
    rows = [
        ("definitions x paths", f"{len(houses) * IN_HOUSE} x {paths} on {database}"),
        ("runs and their child runs", f"{total['runs']:,} and {total['children']:,}: {_listed(ended)}"),
        ("journal events", f"{total['events']:,}"),
        ("states compared with their fold", f"{total['states']:,}"),
        ("decisions recomputed", f"{total['routes']:,} routes, {total['verdicts']:,} verdicts"),
        ("children joined", f"{total['joined']:,}, each end once"),
        ("happened", _listed(happened)),
    ]
    return ["| what | figure |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows)]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _code() -> str:
    digest = hashlib.sha256()
    for place in CODE:
        for source in sorted((ROOT / place).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
