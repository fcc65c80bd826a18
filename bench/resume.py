"""From a committed decision to the next step at work: AEGIS beside dbos `recv`, in turns within one run.

    python bench/resume.py [--decisions 200] [--turns 4] [--only NAME ...]

Contenders, each a worker process and a deciding process of its own, one run at a time, everything idle between decisions:

    embedded            AEGIS on SQLite, no server; the bell of this machine
    postgres            AEGIS on PostgreSQL without Redis; the same bell
    redis               AEGIS on PostgreSQL and Redis; django-q2's queue is the bell
    dbos                dbos `recv` on the same PostgreSQL (LISTEN/NOTIFY)
    dbos-sqlite         dbos `recv` on SQLite

AEGIS_DATABASE_URL and AEGIS_REDIS_URL name the servers (a Redis database of its own: it is emptied); contenders without their
server, or without dbos, are left out by name. BENCH_DBOS_PYTHON: the interpreter of an environment made from
requirements/bench.in, if dbos is not in this one. Only figures of one run are to be compared (SPEED.md).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = os.environ.get("AEGIS_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/aegis")
REDIS = os.environ.get("AEGIS_REDIS_URL", "redis://127.0.0.1:6379/14")
DBOS_PYTHON = os.environ.get("BENCH_DBOS_PYTHON", sys.executable)
GOALS = {"redis": (15, 50), "embedded": (60, 250)}  # ms, p50 and p95


@dataclass
class Contender:
    """One way to be woken, with its processes at work."""

    name: str
    client: subprocess.Popen[str]
    committed: list[list[float]] = field(default_factory=list)  # ms by turn
    called: list[list[float]] = field(default_factory=list)

    def turn(self, decisions: int) -> None:
        """
        Raises:
            RuntimeError: its deciding process ended.
        """
        assert self.client.stdin is not None
        assert self.client.stdout is not None
        self.client.stdin.write(f"{decisions}\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: the deciding process ended with {self.client.wait()}")
        figures = json.loads(line)
        self.committed.append(figures["committed"])
        self.called.append(figures["called"])


@contextmanager
def postgres_database() -> Iterator[str]:
    import psycopg

    name = f"aegis_resume_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(urlunsplit(urlsplit(POSTGRES)._replace(path="/postgres")), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{name}"))
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def process(argv: Sequence[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """In a group of its own, ended with it; what it prints besides answers goes to the log."""
    with log.open("ab") as errors:
        made = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield made
    finally:
        made.terminate()
        with suppress(subprocess.TimeoutExpired):
            made.wait(8)
        with suppress(ProcessLookupError):
            os.killpg(made.pid, signal.SIGKILL)
        made.wait()


def aegis(name: str, stack: ExitStack, folder: Path, decisions: int) -> Contender:
    """A founded installation with a worker of the product's own command."""
    database = f"sqlite:///{folder}/aegis.sqlite3" if name == "embedded" else stack.enter_context(postgres_database())
    environment = {
        **_plain(),
        "DJANGO_SETTINGS_MODULE": "aegis.settings",
        "AEGIS_DATA_DIR": str(folder / "data"),
        "AEGIS_DATABASE_URL": database,
        "AEGIS_AGENT_MODULES": "bench.resume_work",
        "BENCH_STAMP_PORT": str(_free_port()),
        "PYTHONPATH": str(ROOT),
    }
    if name == "redis":
        import redis

        redis.Redis.from_url(REDIS).flushdb()
        environment["AEGIS_REDIS_URL"] = REDIS
    subprocess.run([sys.executable, "-m", "bench.resume_work"], cwd=ROOT, env=environment, check=True)
    log = folder / "log"
    stack.enter_context(process([sys.executable, "manage.py", "worker"], environment, log))
    client = [sys.executable, "-m", "bench.resume_aegis", str(decisions)]
    return Contender(name, _ready(stack.enter_context(process(client, environment, log)), log))


def dbos(name: str, stack: ExitStack, folder: Path, decisions: int) -> Contender:
    database = f"sqlite:///{folder}/dbos.sqlite3" if name == "dbos-sqlite" else stack.enter_context(postgres_database())
    environment, log = {**_plain(), "PYTHONPATH": str(ROOT)}, folder / "log"
    command, rest = [DBOS_PYTHON, "-m", "bench.dbos_recv"], [database, str(_free_port())]
    _ready(stack.enter_context(process([*command, "worker", *rest], environment, log)), log)
    return Contender(name, _ready(stack.enter_context(process([*command, "client", *rest], environment, log)), log))


CONTENDERS: dict[str, Callable[[str, ExitStack, Path, int], Contender]] = {
    "embedded": aegis,
    "postgres": aegis,
    "redis": aegis,
    "dbos": dbos,
    "dbos-sqlite": dbos,
}


def missing(name: str) -> str:
    """Why a contender cannot take part; "" if it can."""
    if name in ("postgres", "redis", "dbos"):
        try:
            with postgres_database():
                pass
        except Exception as error:
            return f"no PostgreSQL ({type(error).__name__})"
    if name == "redis":
        try:
            import redis

            redis.Redis.from_url(REDIS, socket_timeout=1).ping()
        except Exception as error:
            return f"no Redis ({type(error).__name__})"
    if (
        name.startswith("dbos")
        and subprocess.run([DBOS_PYTHON, "-c", "import dbos"], capture_output=True, check=False).returncode
    ):
        return "dbos is not installed: see BENCH_DBOS_PYTHON"
    return ""


def report(contenders: Sequence[Contender]) -> None:
    """p50 and p95 over all decisions, in milliseconds; the range of the turns' p50 says how far to trust them."""
    columns = ("contender", "decisions", "p50", "p95", "max", "p50 by turn", "p50 with the vote", "goal")
    rows = [columns]
    for one in contenders:
        every = sorted(chain.from_iterable(one.committed))
        turns = [statistics.median(turn) for turn in one.committed]
        p50, p95 = statistics.median(every), every[max(0, int(len(every) * 0.95) - 1)]
        goal = GOALS.get(one.name)
        verdict = f"{goal[0]} / {goal[1]} {'met' if p50 <= goal[0] and p95 <= goal[1] else 'MISSED'}" if goal else ""
        figures = (p50, p95, every[-1])
        spread, voted = f"{min(turns):.1f} .. {max(turns):.1f}", statistics.median(chain.from_iterable(one.called))
        rows.append((one.name, str(len(every)), *(f"{figure:.1f}" for figure in figures), spread, f"{voted:.1f}", verdict))
    print("\nmilliseconds from the committed decision to the next step at work")
    for row in rows:
        print(f"{row[0]:<13}{row[1]:>10}{row[2]:>8}{row[3]:>8}{row[4]:>8}{row[5]:>16}{row[6]:>19}  {row[7]}")


def _ready(made: subprocess.Popen[str], log: Path) -> subprocess.Popen[str]:
    assert made.stdout is not None
    if made.stdout.readline().strip() != "ready":
        raise RuntimeError(f"not ready: {made.args}\n{log.read_text()[-3000:]}")
    return made


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AEGIS_", "DJANGO_"))}


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=200, help="of each contender")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--only", nargs="*", choices=list(CONTENDERS), default=list(CONTENDERS))
    options = parser.parse_args()

    each = max(1, options.decisions // options.turns)
    with tempfile.TemporaryDirectory(prefix="aegis-resume-") as folder, ExitStack() as stack:
        contenders = []
        for name in options.only:
            if why := missing(name):
                print(f"{name:<14}left out: {why}")
                continue
            place = Path(folder) / name
            place.mkdir()
            contenders.append(CONTENDERS[name](name, stack, place, each * options.turns))
        time.sleep(2)  # workers that were started last settle
        for number in range(options.turns):
            for one in contenders[number % max(1, len(contenders)) :] + contenders[: number % max(1, len(contenders))]:
                one.turn(each)
        report(contenders)


if __name__ == "__main__":
    main()
