"""Whatever happens to the queue costs latency only: another key, rubbish, a Redis that comes and goes (HAZARDS F12 to F17)."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import oracle, storm
from tests.support import databases
from tests.support.databases import Store
from tests.support.sink import Sink
from tests.support.stack import Stack, stack

RUNS = 20
RUBBISH = ("", "not signed", "gAR9:1abc:" + "x" * 40, "x" * 10_000_000)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def orders(count: int) -> list[storm.Order]:
    return [storm.Order(f"{number:03d}", "plain", twice=False) for number in range(count)]


def enqueue(store: Store, messages: tuple[str, ...]) -> None:
    """Put something into the queue by hand, before what waits there already."""
    if store.redis_url:
        import redis

        with redis.Redis.from_url(store.redis_url) as client:
            client.lpush("django_q:aegis:q", *messages)
        return
    rows = "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('aegis', {0}, '2020-01-01 00:00:00')"
    if store.is_postgres:
        import psycopg

        with psycopg.connect(store.database_url, autocommit=True) as connection:
            connection.cursor().executemany(rows.format("%s"), [(message,) for message in messages])
    else:
        import sqlite3

        with sqlite3.connect(store.database_url.removeprefix("sqlite:///"), timeout=30) as connection:
            connection.executemany(rows.format("?"), [(message,) for message in messages])


def wait_for(what: str, log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while what not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, f"{what!r} is not in the log:\n{log.read_text(errors='replace')[-3000:]}"
        time.sleep(0.05)


def test_work_queued_under_a_former_key_and_behind_rubbish_is_done(tmp_path: Path) -> None:
    new = secrets.token_urlsafe(50)
    todo = orders(RUNS)
    with Sink() as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url) as house:
        former = (house.folder / "data" / "secret_key").read_text().strip()
        web = house.web()
        web.start()
        house.wait_for_web()
        asking = storm.Submitter(house.client("rita"), todo)
        asking.finish()
        web.stop()
        enqueue(house.store, RUBBISH)

        rotated = {"AEGIS_SECRET_KEY": new, "AEGIS_SECRET_KEY_FALLBACKS": former}
        web.env, worker = {**web.env, **rotated}, house.worker("worker", **rotated, AEGIS_CANARY_SECONDS="0.3")
        web.start()
        worker.start()
        house.wait_for_web()
        storm.wait_for_rest(house, house.client("rita"), RUNS, seconds=60)
        wait_for("message_dropped", worker.log)
        _canaries_arrive(house)
        worker.stop()
        facts = house.look()
        dropped = worker.log.read_text(errors="replace").count("message_dropped")

    # Each once, and the nudges of the former key: one, or as many as rang at the same instant.
    assert len(RUBBISH) < dropped < len(RUBBISH) + RUNS
    assert oracle.violations(todo, asking.answers, facts, sink, worker_kills=0) == []


@pytest.mark.postgres
def test_redis_comes_and_goes_and_nobody_minds(tmp_path: Path) -> None:
    port = _free_port()
    todo = orders(4 * RUNS)
    environment = {"AEGIS_REDIS_URL": f"redis://127.0.0.1:{port}/0", "AEGIS_CANARY_SECONDS": "0.3"}
    with Sink() as sink, stack(tmp_path, AEGIS_TEST_SINK=sink.url, **environment) as house:
        web, worker = house.web(), house.worker("worker")
        web.start()
        worker.start()
        house.wait_for_web()
        asking = storm.Submitter(house.client("rita"), todo)

        def work(rounds: int) -> None:
            asking.release(RUNS)
            storm.wait_for_rest(house, house.client("rita"), rounds * RUNS, seconds=60)

        work(1)  # it was never there
        with _redis(port, tmp_path):
            _canaries_arrive(house)
            work(2)
            asking.release(RUNS // 2)
            databases.empty_broker(Store("", environment["AEGIS_REDIS_URL"]))
            asking.release(RUNS - RUNS // 2)
            storm.wait_for_rest(house, house.client("rita"), 3 * RUNS, seconds=60)
        work(4)  # it was killed, with whatever it held
        with _redis(port, tmp_path):
            _canaries_arrive(house)
        asking.finish()
        assert worker.is_running
        worker.stop()
        facts = house.look()

    assert "restarting it" not in worker.log.read_text(errors="replace"), "a silent queue is not the worker's fault"
    assert oracle.violations(todo, asking.answers, facts, sink, worker_kills=0) == []


def _canaries_arrive(house: Stack) -> None:
    """The queue works: a canary sent from now on comes through."""
    begun, deadline = time.time(), time.monotonic() + 30
    while not any(beat.stat().st_mtime > begun for beat in (house.folder / "data").glob("worker-*.beat")):
        assert time.monotonic() < deadline, f"no canary came through the queue\n{house.logs()}"
        time.sleep(0.05)


@contextmanager
def _redis(port: int, folder: Path) -> Iterator[None]:
    """A Redis that keeps nothing, killed at the end."""
    argv = [
        "redis-server",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
