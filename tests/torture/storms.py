"""The storms: each puts an installation under work, lets one kind of fault happen again and again, and brings it to rest.

What must hold afterwards is the same for all: `judge`. A storm takes a seed and a count of faults; `deadline` ends it early.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aegis.core.faults import CRASH_POINTS
from tests.support.client import NoAnswer
from tests.torture import crashes, ground, seeds
from tests.torture.arena import Approvers, Arena, Submitter, arena
from tests.torture.cradle import Process
from tests.torture.ground import Server
from tests.torture.imp import Imp
from tests.torture.shapes import ALL, Order, orders
from tests.torture.wire import Wire

KEEP = 16  # runs that should be under way whenever something happens
STOP_SECONDS = 10.0  # within which a group that is told to stop has stopped


@dataclass
class Result:
    """What a storm came to."""

    fault: str
    database: str
    seed: int
    count: int = 0
    runs: int = 0
    longest_rest: float = 0.0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)


@dataclass
class Storm:
    """What a storm is given.

    Attributes:
        count: faults that are to happen.
        deadline: monotonic; no new fault after it.
    """

    server: Server
    folder: Path
    seed: int
    count: int
    deadline: float = float("inf")

    @property
    def dice(self) -> random.Random:
        return random.Random(self.seed)

    def faults(self, limit: int = 0) -> Iterator[int]:
        """0, 1, ... as long as there is time."""
        for number in range(limit or self.count):
            if time.monotonic() > self.deadline:
                return
            yield number


class Feed:
    """Keeps an installation at work."""

    def __init__(self, house: Arena, dice: random.Random) -> None:
        self._house, self._drawn = house, orders(dice, f"{len(house.orders)}-")
        self._asking: list[Submitter] = []

    def top_up(self, keep: int = KEEP) -> None:
        """See that about `keep` runs are under way; does not wait for the answers."""
        if self._asking and not self._asking[-1].is_done:
            return
        missing = keep - len(self._house.moving())
        if missing > keep // 3:
            self._asking.append(self._house.submit([next(self._drawn) for _ in range(missing)]))

    def finish(self) -> None:
        for asking in self._asking:
            asking.finish()


def at_points(storm: Storm) -> Result:
    """F01, F04: SIGKILL at every named point, `count` times each."""
    dice = storm.dice
    with _house(storm) as (house, result):
        house.strict = True
        for _ in storm.faults():
            for point in CRASH_POINTS:
                crashes.kill_at(house, point, dice.randint(1, crashes.MAX_PASS), dice)
                result.count += 1
    return result


def at_random(storm: Storm) -> Result:
    """F03: SIGKILL of one of three workers or the web process at a random moment under load."""
    return _killing(storm, "sweep", 3)


def hosts(storm: Storm) -> Result:
    """F03 on two worker hosts: two clusters on one queue, killed whole at random moments."""
    return _killing(storm, "cluster", 2)


def _killing(storm: Storm, role: str, hands: int) -> Result:
    dice = storm.dice
    with _house(storm, web=False) as (house, result), Approvers(house, storm.seed):
        web, workers = house.web(), [house.worker(role) for _ in range(hands)]
        feed = Feed(house, dice)
        for _ in storm.faults():
            feed.top_up()
            time.sleep(dice.uniform(0.02, 0.35) * (1 if role == "sweep" else 4))
            if dice.random() < 0.2:
                web.kill()
                web = house.web()
            else:
                which = dice.randrange(hands)
                workers[which].kill()
                workers[which] = house.worker(role)
            result.count += 1
        feed.finish()
        house.rest()
    return result


def swallowed(storm: Storm) -> Result:
    """F07: the commit succeeded and its answer is lost, for web and workers alike (PostgreSQL)."""
    dice = storm.dice
    with (
        Wire(storm.server.url, seed=storm.seed, share=0.06) as wire,
        _house(storm, database_url=wire.url) as (house, result),
        Approvers(house, storm.seed),
        _kept_alive(house, 2),
    ):
        feed = Feed(house, dice)
        while wire.swallowed < storm.count and time.monotonic() < storm.deadline:
            feed.top_up()
            time.sleep(0.1)
        wire.share = 0
        result.count, result.notes["commits"] = wire.swallowed, wire.commits
        feed.finish()
        house.rest()
    return result


def disconnected(storm: Storm) -> Result:
    """F06: `pg_terminate_backend` of a random connection (PostgreSQL)."""
    dice = storm.dice
    with _house(storm) as (house, result), Approvers(house, storm.seed), _kept_alive(house, 2):
        feed = Feed(house, dice)
        for _ in storm.faults():
            feed.top_up()
            time.sleep(dice.uniform(0.02, 0.2))
            ended = house.rows(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) AS one"
            )
            result.count += len(ended)
        feed.finish()
        house.rest()
    return result


def frozen(storm: Storm) -> Result:
    """F14: a worker sleeps past its lease (SIGSTOP), is taken over, and comes back (SIGCONT)."""
    dice = storm.dice
    lease = float(ground.PROFILE["AEGIS_LEASE_SECONDS"])
    with _house(storm, AEGIS_TEST_PAUSE="0.5", AEGIS_RUNS_IN_HAND="8") as (house, result), Approvers(house, storm.seed):
        workers = [house.worker() for _ in range(3)]
        feed = Feed(house, dice)
        asleep: dict[int, float] = {}
        for _ in storm.faults():
            feed.top_up(KEEP * 2)
            which = dice.choice(_awake_and_busy(house, workers, asleep))
            workers[which].signal(signal.SIGSTOP)
            asleep[which] = time.monotonic() + lease * dice.uniform(1.2, 2.5)
            result.count += 1
            while len(asleep) > 1 or any(until < time.monotonic() for until in asleep.values()):
                time.sleep(0.01)
                for number in [number for number, until in asleep.items() if until < time.monotonic()]:
                    workers[number].thaw()
                    del asleep[number]
        for worker in workers:
            worker.thaw()
        feed.finish()
        house.rest()
        lost = house.rows("SELECT count(*) FROM audit_event WHERE type IN ('step.lost', 'effect.lost', 'effect.unknown')")
        result.notes["taken over"] = lost[0][0]
    return result


def _awake_and_busy(house: Arena, workers: Sequence[Process], asleep: Mapping[int, float]) -> list[int]:
    """Which workers are awake; those that hold runs, if there are any within a second."""
    awake = [number for number in range(len(workers)) if number not in asleep]
    for _ in range(50):
        rows = house.rows("SELECT lease_by FROM orchestration_run WHERE lease_until IS NOT NULL")
        holders = {row[0].partition("-")[0] for row in rows}
        if busy := [number for number in awake if str(workers[number].pid) in holders]:
            return busy
        time.sleep(0.02)
    return awake


def wiped(storm: Storm) -> Result:
    """F11, F12: everything the broker holds is lost, and every message around it, too."""
    dice = storm.dice
    with _house(storm) as (house, result), Approvers(house, storm.seed), _kept_alive(house, 1, "cluster"):
        imp, feed = Imp(house, storm.seed), Feed(house, dice)
        for _ in storm.faults():
            feed.top_up(KEEP * 2)
            until = time.monotonic() + dice.uniform(0.2, 0.8)
            while time.monotonic() < until:
                imp.wipe()
                time.sleep(0.005)
            result.count += 1
        feed.finish()
        house.rest()
    return result


def repeated(storm: Storm) -> Result:
    """F09, F10: messages repeated up to five times, held back for many leases, and put back in another order."""
    dice = storm.dice
    with _house(storm) as (house, result), Approvers(house, storm.seed):
        imp, feed = Imp(house, storm.seed), Feed(house, dice)
        house.nursery.task("tests.torture.tasks:ring")
        kept = imp.take_all()
        assert kept, "nobody rang"
        with _kept_alive(house, 1, "cluster"):
            while imp.repeated < storm.count and time.monotonic() < storm.deadline:
                feed.top_up()
                kept += imp.take_all()  # held back
                dice.shuffle(kept)
                while imp.waiting() < 60 and imp.repeated < storm.count:
                    imp.repeat(dice.choice(kept), dice.randint(2, 5))
                kept = kept[-20:]
                time.sleep(0.02)
            feed.finish()
            house.rest()
        result.count = imp.repeated
    return result


def rotated(storm: Storm) -> Result:
    """F13: SECRET_KEY changes while work is queued; what was signed with the old key is lost or read, never harmful."""
    dice = storm.dice
    with _house(storm, web=False) as (house, result):
        imp = Imp(house, storm.seed)
        for number in storm.faults():
            house.web()
            feed = Feed(house, dice)
            feed.top_up()
            feed.finish()
            house.nursery.task("tests.torture.tasks:ring")
            queued = imp.waiting()
            assert queued, "nothing was queued when the key changed"
            result.notes["messages queued"] = result.notes.get("messages queued", 0) + queued
            old = house.nursery.env["AEGIS_SECRET_KEY"]
            fallbacks = old if number % 2 else ""  # with and without reading what the old key signed
            house.resettle(AEGIS_SECRET_KEY=f"rotated-{number}-" + "y" * 50, AEGIS_SECRET_KEY_FALLBACKS=fallbacks)
            with _kept_alive(house, 1, "cluster"):
                time.sleep(dice.uniform(0.3, 1.0))
            result.count += 1
        house.web()
        with _kept_alive(house, 1, "cluster"), Approvers(house, storm.seed):
            house.rest()
    return result


def poisoned(storm: Storm) -> Result:
    """F16: one run kills every worker that takes it; `count` others must not suffer, and it must be set aside."""
    dice = storm.dice
    with _house(storm, AEGIS_LEASE_SECONDS="2") as (house, result):  # a busy machine must not look like a death
        house.strict = True
        todo = [Order(f"{number:04d}", "plain", ALL[0].name) for number in range(storm.count)]
        todo.insert(dice.randrange(len(todo) // 2), Order("poison", "poison", ALL[0].name))
        house.submit(todo).finish()
        with _kept_alive(house, 2) as keeper:
            house.rest(120)
            result.notes["workers killed"] = keeper.deaths
        result.count = 1
    return result


def stopped(storm: Storm) -> Result:
    """F31: SIGTERM to every process of a worker at once, in the middle of its work."""
    dice = storm.dice
    with _house(storm) as (house, result), Approvers(house, storm.seed):
        feed, longest = Feed(house, dice), 0.0
        for _ in storm.faults():
            feed.top_up()
            worker = house.worker("cluster")
            time.sleep(dice.uniform(0.3, 1.2))
            started = time.monotonic()
            worker.signal(signal.SIGTERM)
            status = worker.wait(STOP_SECONDS)
            longest = max(longest, time.monotonic() - started)
            worker.kill()
            if status is None:
                result.violations.append(f"stops: not within {STOP_SECONDS:g} s")
            result.count += 1
        result.notes["longest stop, s"] = round(longest, 2)
        with crashes.one_worker(house):
            feed.finish()
            house.rest()
    return result


@dataclass
class _Keeper:
    deaths: int = 0


@contextmanager
def _kept_alive(house: Arena, hands: int, role: str = "sweep") -> Iterator[_Keeper]:
    """Workers that are started again when they die."""
    keeper, stop = _Keeper(), threading.Event()
    workers: list[Process] = [house.worker(role) for _ in range(hands)]

    def keep() -> None:
        while not stop.wait(0.02):
            for number, worker in enumerate(workers):
                if not worker.is_running:
                    keeper.deaths += 1
                    worker.kill()  # what its group left behind
                    workers[number] = house.worker(role)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        stop.set()
        thread.join()
        for worker in workers:
            worker.kill()


@contextmanager
def _house(storm: Storm, *, web: bool = True, database_url: str = "", **variables: str) -> Iterator[tuple[Arena, Result]]:
    """An installation for this storm; judged at the end of the block. What never came to rest is a violation, too."""
    result = Result("", storm.server.kind, storm.seed)
    started = time.monotonic()
    with arena(storm.server, storm.folder, seed=storm.seed, database_url=database_url, **variables) as house:
        try:
            if web:
                house.web()
            yield house, result
        except (AssertionError, TimeoutError, NoAnswer) as error:
            result.violations.append(f"{type(error).__name__}: {str(error)[:2000]}")
        result.runs = len(house.orders)
        result.longest_rest = round(house.longest_rest, 2)
        result.violations += [str(violation) for violation in house.violations()]
        house.history.save(storm.folder / "history.jsonl")
    result.seconds = round(time.monotonic() - started, 1)


STORMS: Final[Mapping[str, Callable[[Storm], Result]]] = {
    "crash points": at_points,
    "random kills": at_random,
    "two hosts": hosts,
    "lost answers": swallowed,
    "lost connections": disconnected,
    "freezes": frozen,
    "broker wipes": wiped,
    "repeated messages": repeated,
    "key rotations": rotated,
    "poison": poisoned,
    "group stops": stopped,
}

#: Those that need what only PostgreSQL has.
ON_POSTGRES: Final = ("lost answers", "lost connections", "two hosts")


def run(name: str, storm: Storm) -> Result:
    """Let one storm happen. A seed that found something is kept for the tests of every change."""
    result = STORMS[name](storm)
    result.fault = name
    if result.violations:
        seeds.remember(name, storm.seed, result.violations[0])
    return result
