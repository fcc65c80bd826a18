"""One installation under torture: a database, a sink, a nursery, clients; and how it is brought to rest and judged."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.client import NoAnswer
from tests.torture import ground, judge
from tests.torture.cradle import Nursery, Process
from tests.torture.families import MESSAGE
from tests.torture.ground import Plot, Server
from tests.torture.history import History, Person
from tests.torture.shapes import FAMILIES, Order
from tests.torture.sinkhole import Sinkhole

SENT_SHARE = 0.1  # of the messages that are not sent yet, each time: some come before the run waits, some late
REST_SECONDS = 60.0  # nothing may be stuck for longer


@dataclass
class Arena:
    """Made by `arena()`, which ends everything."""

    folder: Path
    plot: Plot
    redis_url: str
    sink: Sinkhole
    nursery: Nursery
    port: int
    other_port: int = 0  # of a second web process, once there is one
    history: History = field(default_factory=History)
    orders: list[Order] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)  # orders whose message was taken
    withdrawn: set[str] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)
    strict: bool = False
    only: str = ""  # the one order whose rest is waited for; "" = all
    told: set[judge.Violation] = field(default_factory=set)
    longest_rest: float = 0.0

    def person(self, name: str, port: int = 0, **options: Any) -> Person:
        return Person(name, port or self.port, self.plot.tokens[name], self.history, **options)

    def resettle(self, **variables: str) -> None:
        """End every process and go on with another environment, as after a restart of the whole machine."""
        self.nursery.close()
        self.nursery = Nursery(self.folder, {**self.nursery.env, **variables}).__enter__()

    def web(self, port: int = 0, **env: str) -> Process:
        """Start a web process and wait until it listens."""
        process = self.nursery.start("web", AEGIS_TEST_PORT=str(port or self.port), **env)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.is_running:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port or self.port)) == 0:
                    return process
            time.sleep(0.01)
        raise TimeoutError(f"web does not listen\n{self.nursery.logs()}")

    def worker(self, role: str = "sweep", **env: str) -> Process:
        return self.nursery.start(role, **env)

    def submit(self, orders: Sequence[Order], *, threads: int = 4, port: int = 0) -> Submitter:
        """Submit in the background. `.finish()` waits until every order was answered."""
        self.orders += orders
        return Submitter(self.person("rita", port), orders, threads)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database directly."""
        if self.plot.server.is_postgres:
            import psycopg

            with psycopg.connect(self.plot.url, autocommit=True) as connection:
                cursor = connection.execute(sql.encode())
                return cursor.fetchall() if cursor.description else []
        import sqlite3

        with sqlite3.connect(urlsplit(self.plot.url).path.removeprefix("/"), timeout=30) as rows:
            return rows.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        """Change the database behind the product's back."""
        if self.plot.server.is_postgres:
            self.rows(sql)
            return
        import sqlite3

        with sqlite3.connect(urlsplit(self.plot.url).path.removeprefix("/"), timeout=30) as rows:
            rows.execute(sql)

    def moving(self) -> list[tuple[Any, ...]]:
        """Runs at which something should still happen by itself or by an approver."""
        rest = ", ".join(f"'{status}'" for status in judge.RESTS)
        only = f" AND business_key = '{self.only}'" if self.only else ""
        before_people = (
            "SELECT 1 FROM orchestration_run child WHERE child.parent_id = run.id AND child.status = 'waiting_review'"
        )
        return self.rows(
            "SELECT business_key, status, step, seq, fence, wake, seen, lease_until, claims_since_commit"
            f" FROM orchestration_run run WHERE (status NOT IN ({rest})"
            f" AND NOT (status = 'waiting_children' AND EXISTS ({before_people}))"
            f" OR lease_until IS NOT NULL OR wake > seen){only}"
        )

    def rest(self, seconds: float = REST_SECONDS) -> float:
        """Wait until nothing moves. Returns the seconds it took.

        Raises:
            Stuck: with what still moves.
        """
        started = time.monotonic()
        while moving := self.moving():
            taken = time.monotonic() - started
            if taken > seconds:
                raise Stuck(moving, self.nursery.logs())
            time.sleep(0.03)
        taken = time.monotonic() - started
        self.longest_rest = max(self.longest_rest, taken)
        return taken

    def violations(self) -> list[judge.Violation]:
        """Every broken promise that was not told before."""
        facts = self.nursery.task("tests.torture.facts:tell")
        case = judge.Case(
            self.orders,
            self.history,
            facts,
            self.sink.books(),
            withdrawn=frozenset(self.withdrawn),
            doomed=frozenset(self.doomed),
            strict=self.strict,
        )
        found = [violation for violation in judge.violations(case) if violation not in self.told]
        self.told.update(found)
        return found


class Stuck(AssertionError):
    """Something did not come to rest in time."""

    def __init__(self, moving: Sequence[tuple[Any, ...]], logs: str) -> None:
        super().__init__(f"{len(moving)} runs still move, such as {moving[:3]}\n{logs}")
        self.moving = moving


class Submitter:
    """Submits orders from several threads, some twice at once, and repeats what got no answer."""

    def __init__(self, client: Person, orders: Sequence[Order], threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="submit")
        self._futures: list[Future[Any]] = [
            self._pool.submit(client.post, "runs", order.submission, key=order.key)
            for order in orders
            for _ in range(2 if order.twice else 1)
        ]

    @property
    def is_done(self) -> bool:
        return all(future.done() for future in self._futures)

    def finish(self) -> None:
        """
        Raises:
            NoAnswer: an order was never answered.
        """
        self._pool.shutdown(wait=True)
        for future in self._futures:
            future.result()


class Approvers:
    """Lea and leo decide whatever is open, both at once, mostly approving; rita sends the messages that runs wait for, some of
    them early and some twice. Until told to stop."""

    def __init__(self, arena: Arena, seed: int, *, rejects: float = 0.15, every: float = 0.1) -> None:
        self._arena, self._rejects, self._every = arena, rejects, every
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(name, random.Random(f"{seed}{name}")), daemon=True)
            for name in ("lea", "leo")
        ]
        self._threads.append(threading.Thread(target=self._send, args=(random.Random(f"{seed}rita"),), daemon=True))

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=20)

    def _work(self, name: str, dice: random.Random) -> None:
        person = self._arena.person(name, timeout_seconds=5)
        while not self._stop.wait(self._every):
            try:
                self._decide_all(person, dice)
            except NoAnswer:
                continue

    def _send(self, dice: random.Random) -> None:
        person = self._arena.person("rita", timeout_seconds=5)
        while not self._stop.wait(self._every):
            for order in list(self._arena.orders):
                is_due = order.shape in FAMILIES and order.id not in self._arena.sent and dice.random() < SENT_SHARE
                if is_due and not self._stop.is_set():
                    self._send_one(person, order.id, again=dice.random() < 0.2)

    def _send_one(self, person: Person, about: str, *, again: bool) -> None:
        letter = {"name": MESSAGE, "key": about, "payload": {"id": about, "kind": "news"}}
        for key in [f"news-{about}", *([f"more-{about}"] if again else [])]:
            answer = person.try_once("POST", "messages", letter, key=key)
            if answer is not None and answer.status in (200, 201):
                self._arena.sent.add(about)

    def _decide_all(self, person: Person, dice: random.Random) -> None:
        listed = person.try_once("GET", "requests")
        for request in listed.body["requests"] if listed and listed.status == 200 else ():
            detail = person.try_once("GET", f"requests/{request['id']}")
            if detail is None or detail.status != 200 or self._stop.is_set():
                continue
            verdict = "reject" if dice.random() < self._rejects else "approve"
            vote = {"verdict": verdict, "digest": detail.body["digest"], "reason": f"{person.name} says so"}
            person.try_once("POST", f"requests/{request['id']}/decisions", vote)


@contextmanager
def arena(
    server: Server,
    folder: Path,
    *,
    seed: int = 0,
    latency: tuple[float, float] = (0.0, 0.01),
    database_url: str = "",
    **variables: str,
) -> Iterator[Arena]:
    """A founded installation without product processes.

    Args:
        latency: of the sink, seconds from and to.
        database_url: what the product connects to instead (a proxy before the database); "{name}" is the database's name.
        variables: environment of the product beside `ground.PROFILE`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ground.plot(server, folder) as plot, Sinkhole(folder, latency=latency, seed=seed) as sink:
        url = database_url.format(name=urlsplit(plot.url).path.lstrip("/")) if database_url else plot.url
        env = ground.environment(url, server.redis_url, folder, {"AEGIS_TEST_SINK": sink.url, **variables})
        house = Arena(folder, plot, server.redis_url, sink, Nursery(folder, env).__enter__(), free_port())
        try:
            yield house
        finally:
            house.nursery.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
