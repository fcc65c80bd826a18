"""One worker process of AEGIS for `bench.engine`: ready, waits for a line, drives until nothing is left, tells its times.

python -m bench.aegis_worker drain|found|submit N|counts     (AEGIS_DATABASE_URL names the database)
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import django


def drained() -> dict[str, Any]:
    """Drive once, as a nudge would."""
    from django.db import connection

    from bench.costs import drain

    drain()  # nothing is there yet: connects, compiles, loads
    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.monotonic(), time.process_time()
    if path := os.environ.get("BENCH_CPROFILE"):
        import cProfile

        profile = cProfile.Profile()
        profile.runcall(drain)
        profile.dump_stats(f"{path}.{os.getpid()}")
    else:
        drain()
    return {"began": began, "ended": time.monotonic(), "cpu_seconds": time.process_time() - cpu}


def submit(count: int) -> dict[str, Any]:
    from bench import workload

    began = time.monotonic()
    workload.submit(count)
    return {"began": began, "ended": time.monotonic()}


def found() -> dict[str, Any]:
    from django.core.management import call_command

    from bench import workload

    call_command("migrate", interactive=False, verbosity=0)
    workload.found()
    return {}


def done() -> dict[str, Any]:
    """How many runs completed, and how many events there are for one."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orchestration_run WHERE status = 'completed'")
        completed = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM orchestration_run")
        runs = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM audit_event WHERE run_id IS NOT NULL")
        events = cursor.fetchone()[0]
    return {"completed": completed, "runs": runs, "events_per_run": events / max(1, runs)}


def counts() -> dict[str, Any]:
    from bench import costs

    return costs.measure()


def main(verb: str, *rest: str) -> None:
    django.setup()
    work = {"drain": drained, "found": found, "done": done, "counts": counts}
    result = submit(int(rest[0])) if verb == "submit" else work[verb]()
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
