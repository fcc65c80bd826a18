"""Fuzz expressions in child processes that may not import, open, connect or start anything.

    python -m tests.fuzz [--count 100000] [--seed 1] [--jobs 2]

Each expression has to end in a value or a declared error, and within its budget of time; a child has a budget of memory. A
child installs an audit hook after it has loaded what an evaluation needs: whatever reaches for a file, the network, a process
or a module from then on is a violation. A crash of a child names the expression it died of.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.fuzz.grammar import FACTS, expressions

CHUNK = 5_000
BUDGET_SECONDS = 2.0  # of one expression; the library's own budget ends most within 0.2
MEMORY_BYTES = 3 * 1024**3
FORBIDDEN = (
    "import", "open", "socket.", "subprocess.", "os.", "shutil.", "ctypes.", "exec", "compile", "pty.", "urllib.", "glob.",
    "pathlib.",
)  # fmt: skip


def child(seed: int, count: int) -> int:
    """Evaluate `count` expressions; tells the tally, or the first violation, as one line of JSON."""
    from aegis.core.errors import AegisError
    from aegis.core.expressions import Failed, compile_condition, compile_value
    from orchestration.workflows.definition import VARIABLES

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    tally: Counter[str] = Counter()
    now = {"source": "", "armed": False}
    violations: list[str] = []
    variables: Any = dict(VARIABLES)
    made = list(expressions(seed, count))
    compile_value("[1].map(x, x)", variables).value(FACTS)  # load what evaluating needs

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if now["armed"] and event.startswith(FORBIDDEN):
            violations.append(f"{event} {arguments!r:.200} in {now['source']!r}")

    sys.addaudithook(hook)
    for index, source in enumerate(made):
        now["source"] = source
        os.write(2, f"{index}\n".encode()) if index % 500 == 0 else None
        started = time.perf_counter()
        now["armed"] = True
        try:
            expression = (compile_condition if index % 3 == 0 else compile_value)(source, variables)
            result = expression.value(FACTS)
            kind = "failed" if isinstance(result, Failed) else "value"
        except AegisError as error:
            kind = f"refused as {error.code}"
        except BaseException as error:
            kind = "undeclared"
            violations.append(f"{type(error).__name__}: {error!s:.200} in {source!r}")
        now["armed"] = False
        seconds = time.perf_counter() - started
        tally[kind] += 1
        if seconds > BUDGET_SECONDS:
            violations.append(f"{seconds:.1f} s for {source!r}")
        if len(violations) > 20:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(json.dumps({"tally": tally, "violations": violations, "peak_mb": peak // 1024}) + "\n")
    return 1 if violations else 0


def chunk(seed: int, count: int) -> dict[str, Any]:
    """Run a child; one that dies is a violation of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--child", "--seed", str(seed), "--count", str(count)],
        capture_output=True, check=False,
    )  # fmt: skip
    lines = done.stdout.decode(errors="replace").splitlines()
    if not lines:
        tail = done.stderr.decode(errors="replace")[-300:]
        return {"tally": {}, "violations": [f"seed {seed}: the child died ({done.returncode}) after {tail!r}"], "peak_mb": 0}
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def run(count: int, seed: int, jobs: int) -> tuple[Counter[str], list[str], int]:
    """(how each ended, violations, most memory in MiB)"""
    parts = [(seed * 1_000_003 + index, min(CHUNK, count - index * CHUNK)) for index in range(-(-count // CHUNK))]
    tally: Counter[str] = Counter()
    violations: list[str] = []
    peak = 0
    with ThreadPoolExecutor(jobs) as pool:
        for told in pool.map(lambda part: chunk(*part), parts):
            tally.update(told["tally"])
            violations += told["violations"]
            peak = max(peak, told["peak_mb"])
    return tally, violations, peak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.seed, options.count)
    started = time.perf_counter()
    tally, violations, peak = run(options.count, options.seed, options.jobs)
    for violation in violations:
        sys.stdout.write(f"violation: {violation}\n")
    ends = ", ".join(f"{number:,} {kind}" for kind, number in sorted(tally.items()))
    seconds = time.perf_counter() - started
    total = f"{sum(tally.values()):,} expressions in {seconds:.0f} s"
    sys.stdout.write(f"{total}: {ends}; {len(violations)} violations; at most {peak} MiB\n")
    return 1 if violations or sum(tally.values()) < options.count else 0


if __name__ == "__main__":
    sys.exit(main())
