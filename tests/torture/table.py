"""Merge what the parts left in build/torture into the table of docs/torture.md: `make torture-table`.

Counts are what was reached, never what was meant to be. Earlier rows are replaced; the text around the table stays.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.torture.run import GOALS, RESULTS, ROOT
from tests.torture.storms import ON_POSTGRES

PAGE: Final = ROOT / "docs" / "torture.md"
BEGIN: Final = "<!-- table: made by `make torture-table`, do not edit -->"
END: Final = "<!-- end of table -->"

_HEAD: Final = (
    "| fault | database | reached | goal | runs | violations | longest time to rest | seeds | from | to | commits |\n"
    "|---|---|---:|---:|---:|---:|---:|---|---|---|---|\n"
)


def rows(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """One row per fault and database, in the order of the goals; a fault nobody ran yet has a row that says so."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in results:
        found.setdefault((result["fault"], result["database"]), []).append(result)
    made = []
    for fault, goal in GOALS.items():
        for database in ("sqlite", "postgres"):
            if fault in ON_POSTGRES and database == "sqlite":
                continue
            made.append(_row(fault, database, goal, found.get((fault, database), [])))
    return made


def _row(fault: str, database: str, goal: int, results: Sequence[Mapping[str, Any]]) -> str:
    aim = f"{goal} x 17" if fault == "crash points" else f"{goal:,}"
    if not results:
        return f"| {fault} | {database} | 0 | {aim} | | not run | | | | | |"
    count = sum(result["count"] for result in results)
    runs = sum(result["runs"] for result in results)
    violations = sum(len(result["violations"]) for result in results)
    seeds = [str(result["seed"]) for result in results]
    shown = ", ".join(seeds[:4]) + (f" and {len(seeds) - 4} more" if len(seeds) > 4 else "")
    days = sorted(result["at"][:16].replace("T", " ") for result in results)
    commits = ", ".join(sorted({result["commit"] for result in results}))
    rest = max(result["longest_rest"] for result in results)
    return (
        f"| {fault} | {database} | {count:,} | {aim} | {runs:,} | {violations} | {rest:.1f} s | {shown} |"
        f" {days[0]} | {days[-1]} | {commits} |"
    )


def read(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.json")) for line in file.read_text().splitlines()]


def main() -> None:
    results = read(RESULTS)
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = _HEAD + "".join(f"{row}\n" for row in rows(results))
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}")
    sys.stdout.write(table)


if __name__ == "__main__":
    main()
