"""Where the CPU time of a worker goes: microseconds per step by part, one worker process draining a backlog.

python -m bench.parts [RUNS]      (AEGIS_DATABASE_URL names a database that `bench.aegis_worker found` made ready)

Each part is a function whose thread time is taken, without the time of the parts it calls; what is left is the driver's own.
Taking it costs about half a microsecond per call, which is in the figures.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

import django

#: part -> the functions and methods that do it
PARTS = {
    "planner, steps, events": ["orchestration.engine.turn:take"],
    "fold": ["orchestration.engine.fold:fold"],
    "expressions (CEL)": ["aegis.core.expressions:Expression.value", "aegis.core.expressions:bind"],
    "contract": ["orchestration.contracts.checker:Checker.faults"],
    "verdict": ["orchestration.authority.verdicts:decide"],
    "guards": ["orchestration.engine.steps.guarded:is_held", "orchestration.engine.steps.guarded:answered"],
    "line": ["audit.chain:seal"],
    "canonical JSON": [
        f"aegis.core.canonical:{name}" for name in ("dump_line", "dump_checked", "check_value", "dump", "load", "parse")
    ],
    "hash, commitment, salt": ["audit.chain:leaf_hash", "audit.chain:commitment"],
    "control state": ["orchestration.engine.state:dump", "orchestration.engine.state:load"],
    "rows as JSON": ["aegis.core.bulk:Rows.param"],
    "SQL, client side": ["django.db.backends.utils:CursorWrapper.execute"],
    "begin, commit": [
        "django.db.backends.base.base:BaseDatabaseWrapper.commit",
        "django.db.backends.base.base:BaseDatabaseWrapper.set_autocommit",
    ],
    "claim, load": ["orchestration.engine.lease:claim", "orchestration.engine.hand:take"],
    "commit, framework": ["orchestration.engine.commit:commit"],
    "agent call, pool": ["orchestration.engine.calls:make", "orchestration.engine.calls:Pool.start"],
    "driver": ["orchestration.engine.driver:Driver.drive"],
}  # fmt: skip


class Clock:
    """Exclusive thread time by part."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._open = threading.local()

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def work(*arguments: Any, **named: Any) -> Any:
            stack = self._open.__dict__.setdefault("stack", [])
            inner = [0.0]
            stack.append(inner)
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                whole = time.thread_time() - began
                stack.pop()
                if stack:
                    stack[-1][0] += whole
                self.spent[part] += whole - inner[0]
                self.calls[part] += 1

        return work

    def attach(self, part: str, place: str) -> None:
        """Put the clock round a function in every module that imported it, or round a method."""
        module_name, _, name = place.partition(":")
        owner: Any = import_module(module_name)
        *path, name = name.split(".")
        for step in path:
            owner = getattr(owner, step)
        real = owner.__dict__[name]
        timed = self.timed(part, real)
        setattr(owner, name, timed)
        if isinstance(owner, ModuleType):
            for module in list(sys.modules.values()):
                if getattr(module, "__dict__", {}).get(name) is real:
                    setattr(module, name, timed)


def main(runs: int) -> None:
    django.setup()
    from bench import costs, workload

    workload.submit(40)
    costs.drain()
    workload.submit(runs)
    began = time.process_time()
    costs.drain()
    bare = time.process_time() - began
    clock = Clock()
    for part, places in PARTS.items():
        for place in places:
            clock.attach(part, place)
    workload.submit(runs)
    for counter in (clock.spent, clock.calls):
        counter.clear()
    costs.drain()
    steps = runs * workload.STEPS
    found = {part: round(clock.spent[part] / steps * 1e6, 1) for part in PARTS}
    print(f"{'a step, without the clock':28}{bare / steps * 1e6:8.1f} us of CPU in the worker")
    for part, spent in sorted(found.items(), key=lambda pair: -pair[1]):
        print(f"{part:28}{spent:8.1f} us {clock.calls[part] / steps:8.2f} calls")
    print(json.dumps({"bare": round(bare / steps * 1e6, 1), **found}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
