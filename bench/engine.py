"""How fast the engine is: five governed inline steps per run, beside the raw limit of the database and beside dbos.

python -m bench.engine [postgresql|sqlite] [--runs N] [--rounds N] [--json FILE]      (make bench)

In each round the contenders work one after the other on the same server (or disk): the raw limit (two connections, one insert
and one update per commit), AEGIS (a backlog drained by two worker processes, 20 runs in hand each), dbos (a queue drained by
two processes, enqueued inside the clock). Machines are noisy: only the ratios within a round count, and of these the median.

Every process is connected and warm before its clock starts. A run of AEGIS makes six steps and counts as five. Submitting its
backlog (200 runs per transaction) is outside the clock; the ratio with it inside is shown too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.workload import EVENTS, STEPS

ROOT = Path(__file__).resolve().parents[1]
SERVER = os.environ.get("BENCH_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
WORKERS = 2
WAIT_SECONDS = 60.0  # for a process that does not answer; then the measurement is void

Figures = dict[str, Any]


@dataclass(slots=True)
class Process:
    """A worker that says "ready", waits for a line, works, and answers with a line of JSON."""

    popen: subprocess.Popen[str]

    @classmethod
    def start(cls, module: str, *arguments: str, **environ: str) -> Process:
        return cls(
            subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )

    def line(self) -> str:
        assert self.popen.stdout is not None
        text = self.popen.stdout.readline()
        if not text:
            raise SystemExit(f"{self.popen.args} ended with {self.popen.wait(WAIT_SECONDS)}")
        return text.strip()

    def until_ready(self) -> Process:
        while self.line() != "ready":
            pass
        return self

    def say(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("go\n")
        self.popen.stdin.flush()

    def answer(self) -> Figures:
        figures: Figures = json.loads(self.line())
        return figures

    def end(self) -> None:
        try:
            self.popen.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.communicate()


def once(module: str, *arguments: str, **environ: str) -> Figures:
    process = Process.start(module, *arguments, **environ)
    try:
        return process.answer()
    finally:
        process.end()


def together(processes: list[Process]) -> list[Figures]:
    """Start all at once; their answers."""
    try:
        for process in processes:
            process.until_ready()
        for process in processes:
            process.say()
        return [process.answer() for process in processes]
    finally:
        for process in processes:
            process.end()


def seconds(answers: list[Figures]) -> float:
    """From the first start to the last commit."""
    return float(max(one["ended"] for one in answers) - min(one["began"] for one in answers))


@dataclass(slots=True)
class Bench:
    """One database of each contender on one server or disk."""

    vendor: str
    urls: dict[str, str]
    runs: int
    rounds: list[Figures] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "aegis.settings",
            "AEGIS_DATABASE_URL": self.urls["aegis"],
            "AEGIS_DATA_DIR": self.urls["data"],
            "AEGIS_SECRET_KEY": "bench",
            "AEGIS_AGENT_MODULES": "bench.workload",
            "AEGIS_RUNS_IN_HAND": "20",
            "AEGIS_REDIS_URL": "",
        }

    def prepare(self) -> None:
        from bench import raw_limit

        raw_limit.prepare(self.urls["raw"])
        once("bench.aegis_worker", "found", **self.environ)

    def raw(self) -> Figures:
        """The raw limit: as many commits as the other contenders make steps."""
        commits = self.runs * STEPS // WORKERS
        url = self.urls["raw"]
        answers = together([Process.start("bench.raw_limit", url, str(commits)) for _ in range(WORKERS)])
        return {"rate": commits * WORKERS / seconds(answers)}

    def aegis(self) -> Figures:
        """Two workers, warm by a few runs of their own; then the backlog."""
        once("bench.aegis_worker", "submit", "20", **self.environ)
        workers = [Process.start("bench.aegis_worker", "drain", **self.environ).until_ready() for _ in range(WORKERS)]
        submitted = once("bench.aegis_worker", "submit", str(self.runs), **self.environ)
        wal = wal_position(self.urls["aegis"])
        server = backend_seconds(self.urls["aegis"])
        try:
            for worker in workers:
                worker.say()
            answers = [worker.answer() for worker in workers]
            spent = backend_seconds(self.urls["aegis"]) - server
            written = wal_bytes(self.urls["aegis"], wal, self.runs)
        finally:
            for worker in workers:
                worker.end()
        took, steps = seconds(answers), self.runs * STEPS
        state = once("bench.aegis_worker", "done", **self.environ)
        if state["completed"] != state["runs"]:
            raise SystemExit(f"only {state['completed']} of {state['runs']} runs completed")
        return {
            "rate": steps / took,
            "rate_with_submission": steps / (took + submitted["ended"] - submitted["began"]),
            "worker_us_per_step": sum(one["cpu_seconds"] for one in answers) / steps * 1e6,
            "server_us_per_step": spent / steps * 1e6,
            "wal_bytes_per_run": written,
            "events_per_run": state["events_per_run"],
        }

    def dbos(self) -> Figures:
        runs = max(40, self.runs // self.slower)
        url = self.urls["dbos"]
        workers = []
        for number in range(WORKERS):  # one after the other: the first makes the tables
            workers.append(Process.start("bench.dbos_queue", "worker", url, str(number)).until_ready())
        try:
            client = Process.start("bench.dbos_queue", "client", url, str(runs)).until_ready()
            wal = wal_position(url)
            server = backend_seconds(url)
            for worker in workers:
                worker.say()
            client.say()
            answer = client.answer()
            spent = backend_seconds(url) - server
            written = wal_bytes(url, wal, runs)
            client.end()
            for worker in workers:
                worker.say()
            cpu = sum(worker.answer()["cpu_seconds"] for worker in workers)
        finally:
            for worker in workers:
                worker.end()
        return {
            "rate": runs * STEPS / (answer["ended"] - answer["began"]),
            "worker_us_per_step": cpu / (runs * STEPS) * 1e6,
            "server_us_per_step": spent / (runs * STEPS) * 1e6,
            "wal_bytes_per_run": written,
        }

    @property
    def slower(self) -> int:
        """dbos gets fewer workflows, so that each contender works for about as long."""
        return 5 if self.vendor == "postgresql" else 8

    def round(self) -> None:
        figures = {name: getattr(self, name)() for name in ("raw", "aegis", "dbos")}
        self.rounds.append(figures)
        print("  ".join(f"{name} {one['rate']:,.0f}" for name, one in figures.items()), "steps/s", flush=True)


def query(url: str, sql: str, *parameters: object) -> Any:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql, parameters).fetchone()  # type: ignore[arg-type]
        return row[0] if row else None


def wal_position(url: str) -> str:
    """Where the server's log stands; "" on SQLite."""
    return str(query(url, "SELECT pg_current_wal_flush_lsn()")) if url.startswith("postgresql") else ""


def wal_bytes(url: str, since: str, runs: int) -> float | None:
    """Bytes per run of WAL records about this database since then (full page images included, commit records not).

    None where the server does not tell: without pg_walinspect, without a superuser, or when a busy neighbour's log has already
    pushed ours out.
    """
    if not since:
        return None
    sql = (
        "SELECT coalesce(sum(record_length), 0) FROM pg_get_wal_records_info(%s::pg_lsn, pg_current_wal_flush_lsn())"
        " WHERE block_ref LIKE '%%/' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '/%%'"
    )
    try:
        return float(query(url, sql, since)) / runs
    except Exception as error:
        print("no WAL figure:", error)
        return None


def backend_seconds(url: str) -> float:
    """CPU seconds of the server's processes for this database; 0 when they are not on this machine (or there are none)."""
    if not url.startswith("postgresql"):
        return 0.0
    import psycopg

    ticks, spent = os.sysconf("SC_CLK_TCK"), 0
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    for (pid,) in rows:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        spent += int(fields[11]) + int(fields[12])
    return spent / ticks


@contextmanager
def postgresql() -> Iterator[dict[str, str]]:
    """A database for each contender, dropped at the end."""
    import psycopg

    parts = urlsplit(SERVER)
    names = {name: f"aegis_bench_{name}_{os.getpid()}" for name in ("raw", "aegis", "dbos")}
    urls = {name: parts._replace(path=f"/{database}").geturl() for name, database in names.items()}
    with psycopg.connect(SERVER, autocommit=True) as server, tempfile.TemporaryDirectory() as folder:
        try:
            for name, database in names.items():
                server.execute(f'CREATE DATABASE "{database}"')  # type: ignore[call-overload]
                with suppress(psycopg.Error), psycopg.connect(urls[name], autocommit=True) as fresh:
                    fresh.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")  # not allowed, or not there: no WAL figure
            yield {**urls, "data": folder}
        finally:
            for database in names.values():
                server.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')  # type: ignore[call-overload]


@contextmanager
def sqlite() -> Iterator[dict[str, str]]:
    """A file for each contender, in one folder of the build."""
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        yield {**{name: f"sqlite:///{folder}/{name}.sqlite3" for name in ("raw", "aegis", "dbos")}, "data": folder}


VENDORS: dict[str, Callable[[], Any]] = {"postgresql": postgresql, "sqlite": sqlite}


def facts(vendor: str) -> Figures:
    """What the figures depend on."""
    found = {"python": platform.python_version(), "cores": os.cpu_count(), "commit": commit()}
    for package in ("django", "psycopg", "dbos", "orjson", "cel-expr-python", "jsonschema-rs"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    if vendor == "postgresql":
        for setting in ("server_version", "fsync", "synchronous_commit", "full_page_writes", "commit_delay", "shared_buffers"):
            found[setting] = query(SERVER, f"SHOW {setting}")
    else:
        import sqlite3

        found |= {"sqlite": sqlite3.sqlite_version, "synchronous": "FULL (WAL)"}
    return found


def commit() -> str:
    if (ROOT / "COMMIT").exists():
        return (ROOT / "COMMIT").read_text().strip()
    try:
        text = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return text.stdout.strip()


def median(rounds: list[Figures], contender: str, figure: str, over: str = "") -> float | None:
    """The median over the rounds of a figure, or of its ratio to the rate of another contender in the same round."""
    told = [one for one in rounds if one[contender].get(figure) is not None]
    values = [one[contender][figure] / (one[over]["rate"] if over else 1) for one in told]
    return statistics.median(values) if values else None


def summary(rounds: list[Figures]) -> Figures:
    return {
        "steps_per_second": {name: median(rounds, name, "rate") for name in ("raw", "aegis", "dbos")},
        "x_dbos": median(rounds, "aegis", "rate", "dbos"),
        "x_dbos_with_submission": median(rounds, "aegis", "rate_with_submission", "dbos"),
        "x_raw": median(rounds, "aegis", "rate", "raw"),
        "worker_us_per_step": median(rounds, "aegis", "worker_us_per_step"),
        "server_us_per_step": median(rounds, "aegis", "server_us_per_step"),
        "dbos_worker_us_per_step": median(rounds, "dbos", "worker_us_per_step"),
        "dbos_server_us_per_step": median(rounds, "dbos", "server_us_per_step"),
        "wal_bytes_per_run": median(rounds, "aegis", "wal_bytes_per_run"),
        "dbos_wal_bytes_per_run": median(rounds, "dbos", "wal_bytes_per_run"),
        "events_per_step": EVENTS / STEPS,
    }


def tell(vendor: str, result: Figures) -> None:
    print(f"\n{vendor}: " + ", ".join(f"{name} {value}" for name, value in result["facts"].items()))
    for name, value in result["summary"].items():
        if isinstance(value, dict):
            for contender, rate in value.items():
                print(f"  {name} {contender:24} {rate:>10,.0f}")
        else:
            print(f"  {name:40} {value:>10,.2f}" if value is not None else f"  {name:40}          -")
    for name, cost in result["costs"].items():
        print(
            f"  a run, {name:8}  write commits {cost['write_commits']:6.2f}   commits {cost['commits']:6.2f}"
            f"   statements {cost['statements']:6.1f}"
        )


def measure(vendor: str, *, runs: int, rounds: int) -> Figures:
    with ExitStack() as stack:
        bench = Bench(vendor, stack.enter_context(VENDORS[vendor]()), runs)
        bench.prepare()
        began = time.monotonic()
        for _ in range(rounds):
            bench.round()
        costs = once("bench.aegis_worker", "counts", **bench.environ)
        result = {"facts": facts(vendor), "summary": summary(bench.rounds), "costs": costs, "rounds": bench.rounds}
        result["seconds"] = round(time.monotonic() - began, 1)
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vendors", nargs="*", default=list(VENDORS), choices=[*VENDORS, []])
    parser.add_argument("--runs", type=int, default=600, help="of AEGIS per round; dbos gets a fraction")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench-engine.json")
    given = parser.parse_args()
    results = {}
    for vendor in given.vendors:
        results[vendor] = measure(vendor, runs=given.runs, rounds=given.rounds)
        tell(vendor, results[vendor])
    given.json.parent.mkdir(exist_ok=True)
    given.json.write_text(json.dumps(results, indent=1))
    print(f"\n{given.json}")


if __name__ == "__main__":
    main()
