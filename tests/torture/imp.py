"""An imp at the broker: takes messages away, repeats them, holds them back, shuffles them, empties everything (F09 to F12).

It acts on the real queue from outside: the list in Redis, or the table of the embedded queue.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.torture.arena import Arena


class Imp:
    def __init__(self, arena: Arena, seed: int) -> None:
        self.dice = random.Random(f"imp{seed}")
        self.repeated = 0
        self._arena = arena
        self._key = b""
        if arena.redis_url:
            import redis

            self._redis: Any = redis.Redis.from_url(arena.redis_url)
            self._redis.flushdb()

    def wipe(self) -> None:
        """Lose everything, as a broker without persistence does when it dies."""
        if self._arena.redis_url:
            self._redis.flushdb()
        elif self.waiting():  # else every look would stand in the workers' way to the one writer's lock
            self._arena.execute("DELETE FROM django_q_ormq")

    def take_all(self) -> list[bytes]:
        """Every message that waits; none is left."""
        if not self._arena.redis_url:
            return [row[0].encode() for row in self._take_rows()]
        queues = self._queues()
        if not queues:
            return []
        self._key = queues[0]
        taken: list[bytes] = self._redis.lpop(self._key, 10_000) or []
        return taken

    def _queues(self) -> list[bytes]:
        return [key for key in self._redis.scan_iter() if self._redis.type(key) == b"list"]

    def put(self, messages: Sequence[bytes]) -> None:
        """Back into the queue, in this order."""
        if not messages:
            return
        if self._arena.redis_url:
            self._redis.rpush(self._key, *messages)
        elif self._arena.plot.server.is_postgres:
            import psycopg

            with psycopg.connect(self._arena.plot.url) as connection:
                connection.cursor().executemany(
                    "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('aegis', %s, now())",
                    [(message.decode(),) for message in messages],
                )
        else:
            import sqlite3

            with sqlite3.connect(urlsplit(self._arena.plot.url).path.removeprefix("/"), timeout=30) as rows:
                rows.executemany(
                    "INSERT INTO django_q_ormq (key, payload, lock) VALUES ('aegis', ?, datetime('now'))",
                    [(message.decode(),) for message in messages],
                )

    def repeat(self, message: bytes, times: int) -> None:
        self.put([message] * times)
        self.repeated += times

    def waiting(self) -> int:
        """Messages that wait."""
        if self._arena.redis_url:
            return sum(int(self._redis.llen(key)) for key in self._queues())
        return int(self._arena.rows("SELECT count(*) FROM django_q_ormq")[0][0])

    def _take_rows(self) -> list[tuple[Any, ...]]:
        rows = self._arena.rows("SELECT payload, id FROM django_q_ormq ORDER BY id")
        if rows:
            self._arena.execute(f"DELETE FROM django_q_ormq WHERE id <= {rows[-1][1]}")
        return rows
