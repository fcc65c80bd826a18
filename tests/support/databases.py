"""A fresh database and broker for a stack: of the same sort as this run of the tests, and of nobody else."""

from __future__ import annotations

import os
import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "aegis_faults"
DEAD_BROKER = "redis://127.0.0.1:9/0"  # the discard port: nobody answers


@dataclass(frozen=True, slots=True)
class Store:
    """Where a stack keeps its things. `redis_url` "" = the ORM broker."""

    database_url: str
    redis_url: str

    @property
    def is_postgres(self) -> bool:
        return self.database_url.startswith("postgres")


@contextmanager
def fresh_store(folder: Path, *, like: Store | None = None) -> Iterator[Store]:
    """SQLite and the ORM broker in `folder`; or, in a run on PostgreSQL, a database of its own, dropped at the end.

    Args:
        like: what to copy, which nobody may be connected to; None = a database without tables.
    """
    if not _runs_on_postgres():
        file = folder / "stack.sqlite3"
        if like is not None:
            _copy_sqlite(_file(like), file)
        yield Store(f"sqlite:///{file}", "")
        return
    name = f"{PREFIX}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
    redis_url = redis_of_this_process()
    template = f' TEMPLATE "{urlsplit(like.database_url).path[1:]}"' if like is not None else ""
    _on_server(f'CREATE DATABASE "{name}"{template}')
    try:
        yield Store(_with_path(os.environ["AEGIS_DATABASE_URL"], name), redis_url)
    finally:
        _on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        if redis_url:
            empty_broker(Store("", redis_url))


def empty_broker(store: Store) -> None:
    """Lose every message the queue holds, as a broker without persistence does when it dies."""
    if store.redis_url:
        import redis

        with redis.Redis.from_url(store.redis_url) as client:
            client.flushdb()
    elif store.is_postgres:
        import psycopg

        with psycopg.connect(store.database_url, autocommit=True) as connection:
            connection.execute("DELETE FROM django_q_ormq")
    else:
        with sqlite3.connect(_file(store), timeout=30) as connection:
            connection.execute("DELETE FROM django_q_ormq")


def _file(store: Store) -> str:
    return urlsplit(store.database_url).path.removeprefix("/")


def _copy_sqlite(source: str, target: Path) -> None:
    """With what still stands in its write-ahead log."""
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)


def _runs_on_postgres() -> bool:
    from django.db import connection

    return connection.vendor == "postgresql"


def redis_of_this_process() -> str:
    """A database of Redis for this process alone: counted down from the last one, by xdist process."""
    configured = os.environ.get("AEGIS_REDIS_URL", "")
    if not configured:
        return ""
    worker = re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"
    return _with_path(configured, str(15 - int(worker) % 4))


def _with_path(url: str, path: str) -> str:
    return urlsplit(url)._replace(path=f"/{path}").geturl()


def _on_server(statement: str) -> None:
    import psycopg

    with psycopg.connect(_with_path(os.environ["AEGIS_DATABASE_URL"], "postgres"), autocommit=True) as connection:
        connection.execute(statement)
