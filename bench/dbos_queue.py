"""dbos at its best setting: a queue drained by two processes, 8 workflows at a time in each, five steps per workflow.

python -m bench.dbos_queue worker URL NUMBER     serves the queue until its input closes
python -m bench.dbos_queue client URL WORKFLOWS  enqueues inside the clock, waits for the last one, tells both times
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

QUEUE, WORKFLOW, VERSION = "bench", "bench_run", "bench-1"
STEPS = 5
CONCURRENCY, POLL_SECONDS = 8, 0.05


def worker(url: str, number: str) -> None:
    from dbos import DBOS, DBOSConfig

    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        "executor_id": f"bench-{number}",
        "application_version": VERSION,
        "log_level": "ERROR",
    }
    DBOS(config=config)

    @DBOS.step()
    def step(x: int) -> dict[str, Any]:
        return {"x": x + 1, "reason": "one more"}

    @DBOS.workflow(name=WORKFLOW)
    def run(given: dict[str, Any]) -> dict[str, Any]:
        out = given
        for _ in range(STEPS):
            out = step(out["x"])
        return out

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=POLL_SECONDS)
    print("ready", flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    sys.stdin.readline()
    print(json.dumps({"cpu_seconds": time.process_time() - cpu}), flush=True)
    DBOS.destroy()


def client(url: str, workflows: int) -> None:
    import sqlalchemy
    from dbos import DBOSClient

    enqueuer = DBOSClient(system_database_url=url)

    def enqueue(count: int) -> None:
        for number in range(count):
            enqueuer.enqueue(
                {"queue_name": QUEUE, "workflow_name": WORKFLOW, "app_version": VERSION}, {"id": f"n-{number}", "x": 0}
            )

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    schema = "" if url.startswith("sqlite") else "dbos."
    look = sqlalchemy.text(
        f"SELECT count(*) FILTER (WHERE status = 'SUCCESS'), count(*), max(updated_at) FROM {schema}workflow_status"
    )

    def drained(before: int, count: int) -> float:
        """Epoch seconds of the last workflow's end."""
        while True:
            with engine.connect() as connection:
                succeeded, _, last = connection.execute(look).one()
            if succeeded >= before + count:
                return float(last) / 1000
            time.sleep(0.1)

    with engine.connect() as connection:
        before = connection.execute(look).one()[1]
    enqueue(8)  # warm
    drained(before, 8)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.time()
    enqueue(workflows)
    enqueued = time.time()
    ended = drained(before + 8, workflows)
    print(json.dumps({"began": began, "enqueued": enqueued, "ended": ended}), flush=True)


def main(role: str, url: str, number: str) -> None:
    if role == "worker":
        worker(url, number)
    else:
        client(url, int(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
