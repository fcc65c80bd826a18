"""The same as `bench.resume_aegis` with dbos: a workflow waits in `recv`, a client sends, a step tells that it was begun.

python -m bench.dbos_recv worker URL PORT           serves until its input closes
python -m bench.dbos_recv client URL PORT     for each line "N": starts N workflows, then as bench.resume_aegis
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid

from bench.dbos_queue import QUEUE, VERSION
from bench.stamps import PATIENCE_SECONDS, PAUSE_SECONDS, Ears, stamp

WORKFLOW, TOPIC = "bench_resume", "decision"
SETTLE_SECONDS = 2.0  # until the workflows just started wait in `recv`


def worker(url: str, port: int) -> None:
    from dbos import DBOS, DBOSConfig

    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        "executor_id": "bench-resume",
        "application_version": VERSION,
        "log_level": "ERROR",
    }
    DBOS(config=config)

    @DBOS.step()
    def begun(name: str) -> None:
        stamp(name, port)

    @DBOS.workflow(name=WORKFLOW)
    def run(name: str) -> None:
        if DBOS.recv(TOPIC, timeout_seconds=3600) == "approve":
            begun(name)

    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=0.05)
    print("ready", flush=True)
    sys.stdin.read()
    DBOS.destroy(workflow_completion_timeout_sec=0)


def client(url: str, port: int) -> None:
    from dbos import DBOSClient

    ears = Ears(port, PATIENCE_SECONDS)
    sender = DBOSClient(system_database_url=url)

    def started() -> str:
        name = uuid.uuid4().hex
        options = {"queue_name": QUEUE, "workflow_name": WORKFLOW, "app_version": VERSION, "workflow_id": name}
        sender.enqueue(options, name)  # type: ignore[arg-type]
        return name

    def decide(name: str) -> tuple[float, float]:
        called = time.monotonic_ns()
        sender.send(name, "approve", TOPIC)
        committed = time.monotonic_ns()
        found, begun = ears.hear()
        if found != name:
            raise ValueError(f"{found} began, not {name}")
        return (begun - committed) / 1e6, (begun - called) / 1e6

    decide(started())  # warm
    print("ready", flush=True)
    for line in sys.stdin:
        waiting = [started() for _ in range(int(line))]
        time.sleep(SETTLE_SECONDS)
        figures = []
        for name in waiting:
            time.sleep(random.uniform(*PAUSE_SECONDS))
            figures.append(decide(name))
        print(json.dumps({"committed": [one for one, _ in figures], "called": [one for _, one in figures]}), flush=True)


def main(role: str, url: str, port: str) -> None:
    {"worker": worker, "client": client}[role](url, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
