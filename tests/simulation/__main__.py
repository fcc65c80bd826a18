"""Many seeds, in parallel, resumable.

    python -m tests.simulation [--seeds 10000] [--part k/n] [--jobs 2]    a second call goes on where the first stopped
    python -m tests.simulation --table                                    what was done, as in docs/simulation.md
    python -m tests.simulation --seed 4711                                one seed, told; shrunk if it fails

Chunks of seeds land in build/simulation, by the digest of the code they ran on. A failing seed is written to regressions.txt.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aegis.settings")
django.setup()  # the commit whose transitions are simulated has models in its module

from tests.simulation.shrink import shrink, told  # noqa: E402
from tests.simulation.simulator import simulate  # noqa: E402

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "build" / "simulation"
REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")
CHUNK: Final = 50
#: What a simulation runs; another byte in it makes another result.
CODE: Final = ("aegis/core", "approvals", "audit", "orchestration", "tests/simulation", "tests/generated/definitions.py",
               "tests/generated/house.py", "tests/engine/world.py")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--part", default="1/1", help="k/n: every n-th chunk of seeds, from the k-th")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.seed is not None:
        return _one(options.seed)
    if options.table:
        _say("\n".join(_table(_done(FOLDER / f"{_code()}.jsonl"))))
        return 0
    return _many(options.seeds, options.part, options.jobs)


def _one(seed: int) -> int:
    result = simulate(seed)
    if result.promise:
        _say(told(shrink(result)))
        return 1
    _say(f"seed {seed}: {result.lines} lines of {result.runs} runs, {dict(result.ended)}, sha256 {result.digest}")
    _say(f"plan: {result.plan.told()}")
    return 0


def _many(seeds: int, part: str, jobs: int) -> int:
    number, parts = (int(word) for word in part.split("/"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{_code()}.jsonl"
    known = {chunk["first"] for chunk in _done(path)}
    mine = [first for first in range(0, seeds, CHUNK) if (first // CHUNK) % parts == number - 1]
    todo = [first for first in mine if first not in known]
    _say(f"{len(mine)} chunks of {CHUNK} seeds, {len(todo)} to do, {jobs} processes")
    began, failed = time.monotonic(), []
    with ProcessPoolExecutor(jobs) as pool, path.open("a") as out:
        for count, future in enumerate(as_completed([pool.submit(_chunk, first) for first in todo]), 1):
            chunk = future.result()
            out.write(json.dumps(chunk, sort_keys=True) + "\n")
            out.flush()
            failed += chunk["failed"]
            if count % 20 == 0 or chunk["failed"]:
                _say(f"{count}/{len(todo)} chunks, {time.monotonic() - began:.0f} s, {len(failed)} seeds failed")
    for seed, promise in failed:
        with REGRESSIONS.open("a") as regressions:
            regressions.write(f"{seed}  # {promise}\n")
        _say(told(shrink(simulate(seed))))
    _say("\n".join(_table(_done(path))))
    return 1 if failed else 0


def _chunk(first: int) -> dict[str, Any]:
    began = time.process_time()
    results = [simulate(seed) for seed in range(first, first + CHUNK)]
    digest = hashlib.sha256("".join(result.digest for result in results).encode()).hexdigest()
    return {
        "first": first,
        "seeds": CHUNK,
        "lines": sum(result.lines for result in results),
        "least": min(result.lines for result in results),
        "events": sum(result.events for result in results),
        "runs": sum(result.runs for result in results),
        "ended": _summed(result.ended for result in results),
        "faults": _summed(result.faults for result in results),
        "failed": [(result.seed, result.promise) for result in results if result.promise],
        "digest": digest,
        "cpu_s": round(time.process_time() - began, 2),
    }


def _summed(counters: Iterator[Counter[str]]) -> dict[str, int]:
    return dict(sum(counters, Counter()))


def _done(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    chunks = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(chunks, key=lambda chunk: chunk["first"])


def _table(chunks: list[dict[str, Any]]) -> list[str]:
    if not chunks:
        return ["nothing was simulated with this code yet"]
    total = {name: sum(chunk[name] for chunk in chunks) for name in ("seeds", "lines", "events", "runs", "cpu_s")}
    faults = sum((Counter(chunk["faults"]) for chunk in chunks), Counter())
    ended = sum((Counter(chunk["ended"]) for chunk in chunks), Counter())
    failed = [tuple(one) for chunk in chunks for one in chunk["failed"]]
    digest = hashlib.sha256("".join(chunk["digest"] for chunk in chunks).encode()).hexdigest()
    rows = [
        ("seeds", f"{total['seeds']:,} (from {chunks[0]['first']} to {chunks[-1]['first'] + CHUNK - 1})"),
        ("journal events", f"{total['lines']:,}; at least {min(chunk['least'] for chunk in chunks)} per seed"),
        ("steps of virtual time", f"{total['events']:,}"),
        ("runs", f"{total['runs']:,}: {_listed(ended)}"),
        ("faults", f"{sum(faults.values()):,}: {_listed(faults)}"),
        ("violations", f"{len(failed)} {failed or ''}".strip()),
        ("processor time", f"{total['cpu_s']:,.0f} s, {1000 * total['cpu_s'] / total['seeds']:.0f} ms per seed"),
        ("sha256 over all journals", f"`{digest}`"),
    ]
    return ["| what | figure |", "|---|---|", *(f"| {name} | {figure} |" for name, figure in rows)]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _code() -> str:
    """Digest of the sources, so that results of other code are never taken for results of this one."""
    digest = hashlib.sha256()
    for place in CODE:
        path = ROOT / place
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
