"""What `make permissions` found, into docs/permissions.md: `python -m tests.permissions.table`."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from tests.oracles.visibility_oracle import load

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "permissions.md"
BEGIN = "<!-- made by make permissions-table -->"


def main() -> None:
    entries = {entry["path"]: entry for entry in load()["routes"]}
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    asked: set[str] = set()
    for file in sorted((ROOT / "build" / "permissions").glob("*.json")):
        told = json.loads(file.read_text())
        if told["path"] not in entries:
            continue
        asked.add(told["path"])
        row = counts[entries[told["path"]]["object"]]
        for index, value in enumerate((1, told["cells"], len(told["faults"]))):
            row[index] += value
    lines = ["| about | routes | cells | faults |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {row[0]} | {row[1]:,} | {row[2]} |" for name, row in sorted(counts.items())]
    total = [sum(row[index] for row in counts.values()) for index in range(3)]
    lines.append(f"| **all** | {total[0]} of {len(entries)} | {total[1]:,} | {total[2]} |")
    text = PAGE.read_text().split(BEGIN)[0]
    PAGE.write_text(f"{text}{BEGIN}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
