"""A real web process while it is flooded, while a writer holds the lock, and while the disk is full (HAZARDS F08, F20, S19)."""

from __future__ import annotations

import resource
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support import founding
from tests.support.client import Answer, Client
from tests.support.report import say
from tests.support.sink import Sink
from tests.support.stack import Program, stack

pytestmark = pytest.mark.faults

FLOODERS = 6
REQUESTS = 25  # of each flooder
LIMIT = 1_000  # one client alone fills 800
MAX_GROWN_MIB = 300  # what a flood may add to the memory of the web process; bodies of 16 MiB in work become objects


def submission(number: str) -> dict[str, Any]:
    return {"workflow": founding.WORKFLOW, "input": {"id": number, "kind": "plain"}}


def batch(name: str, count: int) -> dict[str, Any]:
    items = [{"input": {"id": f"{name}-{number}", "kind": "plain"}} for number in range(count)]
    return {"workflow": founding.WORKFLOW, "items": items}


def memory_mib(program: Program) -> float:
    """The most that the processes of a program's group ever held in memory."""
    assert program.process is not None
    peaks = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(stat[2]) == program.process.pid:
                status = (entry / "status").read_text()
                peaks.append(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
        except (OSError, IndexError, ValueError):
            continue  # ended meanwhile
    return sum(peaks)


def at_once(work: list[Callable[[], Any]]) -> list[Any]:
    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(one) for one in work]]


def test_a_flood_is_held_back_while_reads_and_others_go_on(tmp_path: Path) -> None:
    with stack(tmp_path, AEGIS_BACKLOG_LIMIT=str(LIMIT)) as house:
        web = house.web()
        web.start()
        house.wait_for_web()
        rita = house.client("rita", timeout_seconds=30.0)
        assert rita.get("runs").status == 200
        before = memory_mib(web)
        answers: list[Answer] = []
        reads: list[int] = []

        def flood(name: str) -> None:
            client = house.client("rita", timeout_seconds=30.0)
            padding = "x" * 3_000_000
            for number in range(REQUESTS):
                if number % 5 == 0:  # a large body now and then, refused by the contract if it is read at all
                    body = {"workflow": founding.WORKFLOW, "items": [{"input": {"id": padding}}]}
                    answers.append(client.once("POST", "runs/batch", body))
                else:
                    answers.append(client.once("POST", "runs/batch", batch(f"{name}-{number}", 100)))

        def read() -> None:
            client = house.client("lea", timeout_seconds=30.0)
            for _ in range(REQUESTS):
                reads.append(client.once("GET", "requests").status)

        at_once([*(lambda name=f"F{n}": flood(name) for n in range(FLOODERS)), read])  # type: ignore[misc]
        grown = memory_mib(web) - before
        other = house.client("otto").once("POST", "runs", submission("other"))
        facts = house.look()

    codes = Counter((answer.status, answer.body.get("code", "")) for answer in answers)
    say(f"flood: {dict(codes)}; the web process grew by {grown:.0f} MiB")
    assert {status for status, _ in codes} <= {201, 413, 422, 429}
    assert sum(count for (status, _), count in codes.items() if status == 429) > len(answers) / 4
    assert set(reads) == {200}
    assert len(facts["runs"]) == 100 * codes[(201, "")] <= LIMIT * 0.8
    assert facts["events"]["access.denied"] <= 4, "one event for each reason, not for each request"
    assert other.status == 404, "whom the workflow is hidden from learns nothing of its load"
    assert grown < MAX_GROWN_MIB


@pytest.mark.sqlite
def test_a_writer_that_holds_the_lock_makes_nobody_see_a_database_error(tmp_path: Path) -> None:
    with stack(tmp_path) as house:
        web = house.web()
        web.start()
        house.wait_for_web()
        path = urlsplit(house.store.database_url).path.removeprefix("/")
        stop = threading.Event()

        def hold() -> None:
            while not stop.is_set():
                holder = sqlite3.connect(path, timeout=30, isolation_level=None)
                holder.execute("BEGIN IMMEDIATE")
                stop.wait(2)
                holder.rollback()
                holder.close()
                stop.wait(0.3)

        def post(name: str) -> list[Answer]:
            client = house.client("rita", timeout_seconds=60.0)
            return [client.once("POST", "runs", submission(f"{name}-{n}"), key=f"{name}-{n}") for n in range(3)]

        holding = threading.Thread(target=hold)
        holding.start()
        try:
            answers = [answer for some in at_once([lambda name=f"L{n}": post(name) for n in range(4)]) for answer in some]  # type: ignore[misc]
        finally:
            stop.set()
            holding.join()
        runs = len(house.look()["runs"])
        logs = house.logs(100_000)

    codes = Counter(answer.status for answer in answers)
    say(f"lock held 2 of every 2.3 s: {dict(codes)}")
    assert set(codes) <= {201, 503}
    assert codes[201] == runs > 0
    assert "Traceback" not in logs


class Disk:
    """What a program may write, taken away and given back: no file of its processes may grow beyond where it stands.

    RLIMIT_FSIZE, because it needs no rights and no file system of its own: a write beyond it fails as one to a full disk does.
    """

    def __init__(self, programs: list[Program]) -> None:
        self.programs = programs

    def fill(self, folder: Path) -> None:
        largest = max(path.stat().st_size for path in folder.glob("stack.sqlite3*"))
        self._limit(largest)

    def empty(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self._processes():
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def _processes(self) -> Iterator[int]:
        groups = {program.process.pid for program in self.programs if program.process}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) in groups:
                        yield int(entry.name)
                except (OSError, IndexError, ValueError):
                    continue


@pytest.mark.sqlite
def test_a_full_disk_stops_visibly_loses_nothing_and_goes_on_by_itself(tmp_path: Path) -> None:
    with Sink() as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url) as house:
        web, worker = house.web(), house.worker()
        web.start()
        worker.start()
        house.wait_for_web()
        client: Client = house.client("rita")
        disk, promised, refused = Disk([web, worker]), [], Counter[int]()
        for cycle in range(2):
            assert client.post("runs", submission(f"before-{cycle}"), key=f"before-{cycle}").status == 201
            promised.append(f"before-{cycle}")
            disk.fill(tmp_path)
            for number in range(60):
                name = f"full-{cycle}-{number}"
                answer = client.once("POST", "runs/batch", batch(name, 20), key=name)
                refused[answer.status] += 1
                if answer.status == 201:
                    promised += [result["run"]["business_key"] for result in answer.body["results"]]
                else:
                    break
            assert answer.status == 503, answer
            assert client.once("GET", "runs").status == 200
            disk.empty()
            again = client.post("runs/batch", batch(name, 20), key=name)  # the same key: whatever became of it
            assert again.status in (200, 201)
            promised += [result["run"]["business_key"] for result in again.body["results"]]
        deadline = time.monotonic() + 120
        while moving := [run for run in client.runs() if run["status"] == "running"]:
            assert time.monotonic() < deadline, f"{len(moving)} runs do not go on\n{house.logs()}"
            time.sleep(0.3)
        worker.stop()
        facts = house.look()
        is_whole, report = house.verify()

    say(f"full twice: {dict(refused)}; {len(promised)} runs promised")
    assert sorted(run["order"] for run in facts["runs"]) == sorted(promised)
    assert is_whole, report
