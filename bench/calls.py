"""How well one worker waits: a thousand calls of a second each, in flight at once, beside a bare asyncio client.

python -m bench.calls [postgresql|sqlite] [--calls N] [--seconds S] [--rounds N] [--json FILE]      (make bench-calls)

In each round the contenders work one after the other against the same agent (a process of its own):

* bare: asyncio streams, all requests at once, each answer parsed; nothing is signed, checked or kept;
* connector: AEGIS's HTTP connector alone, from as many threads as calls;
* engine: one worker process drains that many runs, submitted before, of one HTTP step each. Per run it commits the intent
  before the call and the outcome after it, and completes the run.

The clock runs from the arrival of the first call at the agent to the last answer read (bare, connector) or the last outcome
committed (engine). httpx.AsyncClient, the other bare client there is, is left out: its pool needs 20 s for this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.engine import Figures, Process, once, postgresql, sqlite

WORKFLOW = "bench-call"
SECRET = "AEGIS_AGENT_SECRET_BENCH"
INPUT = {"id": "x" * 32, "x": 0}


def documents(port: int) -> list[dict[str, Any]]:
    from bench.workload import DESK, NUMBER, PERSON, TEXT, _object, document

    origin = f"http://127.0.0.1:{port}"
    connector = {"http": {"url": f"{origin}/ask", "secret": SECRET, "allow": [origin]}}
    step = {"id": "ask", "agent": "bench-thinker", "output": "bench-verdict@1", "timeout": "60s"}
    spec = {"input": "bench-request@1", "business_key": "input.id", "fallback": {"queue": "bench-people"}, "steps": [step]}
    return [
        document("ReviewQueue", "bench-people", {"groups": [DESK], "service_time": "4h", "owner": DESK}),
        document("Contract", "bench-request@1", {"schema": _object({"id": TEXT, "x": NUMBER})}),
        document("Contract", "bench-verdict@1", {"schema": _object({"verdict": TEXT})}),
        document("Agent", "bench-thinker", {"owner": PERSON, "roles": [], "connector": connector}),
        document("Workflow", WORKFLOW, spec, owner=DESK),
    ]


# ---- in processes of their own -------------------------------------------------------------------------------------------


def found(port: str) -> Figures:
    from django.core.management import call_command

    from bench import workload

    call_command("migrate", interactive=False, verbosity=0)
    workload.documents, workload.WORKFLOW = lambda: documents(int(port)), WORKFLOW
    workload.found()
    return {}


def submit(count: str) -> Figures:
    from bench import workload

    workload.WORKFLOW = WORKFLOW
    workload.submit(int(count))
    return {}


def engine() -> Figures:
    from orchestration.engine.driver import Driver

    Driver().drive()  # what was submitted to warm it
    before = _begin()
    Driver().drive()
    return _ended(before)


def connector(port: str, count: str) -> Figures:
    from datetime import timedelta

    from orchestration.agents import calls
    from orchestration.agents.protocol import AgentRequest, Done
    from orchestration.workflows.definition import AgentVersion

    connection = documents(int(port))[3]["spec"]["connector"]
    agent = AgentVersion("id", "bench-thinker", "d", "http", "", {}, (), "", connection)
    good: list[bool] = []

    def one(number: int) -> None:
        request = AgentRequest("run", "ask", 1, 1, f"run/ask/{number}", INPUT)
        good.append(isinstance(calls.call(agent, request, fence=1, timeout=timedelta(seconds=60)), Done))

    one(0)
    before = _begin()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {**_ended(before), "good": sum(good) - 1}


def bare(port: str, count: str) -> Figures:
    body = json.dumps({"input": INPUT}).encode()
    head = f"POST /ask HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    request = head.encode() + body

    async def one() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(request)
        found = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in found.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        answer = json.loads(await reader.readexactly(length))
        writer.close()
        return bool(answer["reply"] == "done")

    async def all_of_them() -> int:
        return sum(await asyncio.gather(*[one() for _ in range(int(count))]))

    before = _begin()
    good = asyncio.run(all_of_them())
    return {**_ended(before), "good": good}


def completed() -> Figures:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT status, count(*) FROM orchestration_run GROUP BY status")
        return dict(cursor.fetchall())


def _begin() -> tuple[float, float]:
    print("ready", flush=True)
    sys.stdin.readline()
    return _rss_mb(), time.process_time()


def _ended(before: tuple[float, float]) -> Figures:
    return {
        "ended": time.monotonic(),
        "cpu_seconds": time.process_time() - before[1],
        "rss_before_mb": before[0],
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


# ---- the rounds ----------------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, vendor: str, calls: int, seconds: float, stack: ExitStack) -> None:
        self.calls = calls
        self.agent = Process.start("bench.slow_agent", str(seconds))
        stack.callback(self.agent.popen.kill)
        self.port = self.agent.line()
        data = stack.enter_context(tempfile.TemporaryDirectory())
        made = {"postgresql": postgresql, "sqlite": sqlite}[vendor]()
        url = stack.enter_context(made)["aegis"]
        self.environ = {
            "DJANGO_SETTINGS_MODULE": "aegis.settings",
            "AEGIS_DATABASE_URL": url,
            "AEGIS_DATA_DIR": data,
            "AEGIS_SECRET_KEY": "bench",
            "AEGIS_CALLS_IN_FLIGHT": str(calls),
            "AEGIS_REDIS_URL": "",
            SECRET: "whsec_" + "YmVuY2g" * 8,
        }
        once("bench.calls", "found", self.port, **self.environ)

    def measure(self, *arguments: str) -> Figures:
        process = Process.start("bench.calls", *arguments, **self.environ).until_ready()
        try:
            if arguments[0] == "engine":
                once("bench.calls", "submit", str(self.calls), **self.environ)
            self._tell()
            process.say()
            figures = process.answer()
        finally:
            process.end()
        told = self._tell()
        if told["answered"] != self.calls or figures.pop("good", self.calls) != self.calls:
            raise SystemExit(f"{arguments[0]}: {told['answered']} of {self.calls} calls were answered, {figures}")
        return {**figures, "seconds": figures["ended"] - told["arrived"], "last_answer": told["left"] - told["arrived"]}

    def round(self) -> Figures:
        once("bench.calls", "submit", "20", **self.environ)
        figures = {
            "bare": self.measure("bare", self.port, str(self.calls)),
            "connector": self.measure("connector", self.port, str(self.calls)),
            "engine": self.measure("engine"),
        }
        if set(states := once("bench.calls", "completed", **self.environ)) != {"completed"}:
            raise SystemExit(f"not every run completed: {states}")
        for name, one in figures.items():
            print(
                f"{name:10} {one['seconds']:5.2f} s (x{one['seconds'] / figures['bare']['seconds']:.2f}), last answer sent "
                f"after {one['last_answer']:.2f} s, cpu {one['cpu_seconds']:.2f} s, memory {one['rss_before_mb']:.0f} -> "
                f"{one['rss_mb']:.0f} MB",
                flush=True,
            )
        return figures

    def _tell(self) -> Figures:
        self.agent.say()
        return self.agent.answer()


def compare(vendor: str, calls: int, seconds: float, rounds: int) -> Figures:
    with ExitStack() as stack:
        bench = Bench(vendor, calls, seconds, stack)
        done = [bench.round() for _ in range(rounds)]
    ratios = [one["engine"]["seconds"] / one["bare"]["seconds"] for one in done]
    print(
        f"{vendor}: {calls} calls of {seconds:g} s, engine / bare: median x{statistics.median(ratios):.2f} of {rounds} rounds"
    )
    return {"vendor": vendor, "calls": calls, "seconds": seconds, "rounds": done, "ratio": statistics.median(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vendor", nargs="?", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = compare(given.vendor, given.calls, given.seconds, given.rounds)
    if given.json:
        given.json.write_text(json.dumps({"python": platform.python_version(), **figures}, indent=1))


if __name__ == "__main__":
    verbs = {"found": found, "submit": submit, "engine": engine, "connector": connector, "bare": bare, "completed": completed}
    if len(sys.argv) > 1 and sys.argv[1] in verbs:
        if sys.argv[1] != "bare":
            import django

            django.setup()
        print(json.dumps(verbs[sys.argv[1]](*sys.argv[2:])), flush=True)
    else:
        main()
