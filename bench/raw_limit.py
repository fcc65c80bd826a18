"""The raw limit: one insert and one update per commit on its own connection, nothing governed. A worker for `bench.engine`.

python -m bench.raw_limit URL COMMITS
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

BODY = "x" * 400
TABLES = (
    "CREATE TABLE IF NOT EXISTS raw_event (id {key}, run integer, body text)",
    "CREATE TABLE IF NOT EXISTS raw_run (id integer PRIMARY KEY, n integer)",
)


def on_postgresql(url: str) -> Callable[[int], None]:
    import psycopg

    connection = psycopg.connect(url)
    cursor = connection.cursor()

    def work(number: int) -> None:
        cursor.execute("INSERT INTO raw_event (run, body) VALUES (%s, %s)", (number, BODY))
        cursor.execute("UPDATE raw_run SET n = n + 1 WHERE id = %s", (number,))
        connection.commit()

    return work


def on_sqlite(url: str) -> Callable[[int], None]:
    from aegis.core.env import database

    path = urlsplit(url).path.removeprefix("/")
    options: Any = database(url, data_dir=None)["OPTIONS"]  # type: ignore[arg-type]
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.executescript(options["init_command"])  # as durable as AEGIS is

    def work(number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO raw_event (run, body) VALUES (?, ?)", (number, BODY))
        connection.execute("UPDATE raw_run SET n = n + 1 WHERE id = ?", (number,))
        connection.execute("COMMIT")

    return work


def prepare(url: str) -> None:
    """The two tables, with a row for each of 64 runs."""
    rows = [(number,) for number in range(64)]
    if url.startswith("sqlite"):
        with sqlite3.connect(urlsplit(url).path.removeprefix("/")) as connection:
            for table in TABLES:
                connection.execute(table.format(key="integer PRIMARY KEY"))
            connection.executemany("INSERT OR IGNORE INTO raw_run VALUES (?, 0)", rows)
        return
    import psycopg

    with psycopg.connect(url) as connection:
        for table in TABLES:
            connection.execute(table.format(key="bigserial PRIMARY KEY"))  # type: ignore[arg-type]
        connection.cursor().executemany("INSERT INTO raw_run VALUES (%s, 0) ON CONFLICT DO NOTHING", rows)


def main(url: str, commits: int) -> None:
    work = on_sqlite(url) if url.startswith("sqlite") else on_postgresql(url)
    mine = os.getpid() % 64
    work(mine)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.monotonic(), time.process_time()
    for number in range(commits):
        work((mine + number) % 64)
    print(json.dumps({"began": began, "ended": time.monotonic(), "cpu_seconds": time.process_time() - cpu}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
