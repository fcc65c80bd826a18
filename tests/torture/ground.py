"""Founded databases by the dozen: one is migrated and founded per program, the others are copies of it (some 0.1 s each)."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from tests.support import founding
from tests.torture import shapes

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "aegis_torture"
FOUNDING_SECONDS = 180.0

#: Not the installation's own: copies of a founded database must open what the original sealed.
SECRET_KEY = "torture-" + "x" * 60

PROFILE: Mapping[str, str] = {
    "AEGIS_LEASE_SECONDS": "0.5",
    "AEGIS_SWEEP_SECONDS": "0.1",
    "AEGIS_AGENT_MODULES": "tests.faults.agents",
    "AEGIS_SECRET_KEY": SECRET_KEY,
    "AEGIS_LOG_LEVEL": "ERROR",
}


@dataclass(frozen=True, slots=True)
class Server:
    """Where databases are made: PostgreSQL, or with url "" SQLite files. `redis_url` "" = without Redis."""

    url: str = ""
    redis_url: str = ""

    @property
    def is_postgres(self) -> bool:
        return bool(self.url)

    @property
    def kind(self) -> str:
        return "postgres" if self.is_postgres else "sqlite"


@dataclass(frozen=True, slots=True)
class Plot:
    """One founded database. `tokens`: person -> API token."""

    server: Server
    url: str
    tokens: Mapping[str, str]


@contextmanager
def plot(server: Server, folder: Path) -> Iterator[Plot]:
    """A copy of the founded database, removed at the end."""
    original = _founded(server)
    if not server.is_postgres:
        file = folder / "torture.sqlite3"
        shutil.copyfile(original.url, file)
        yield Plot(server, f"sqlite:///{file}", original.tokens)
        return
    name = _name()
    on_server(server, f'CREATE DATABASE "{name}" TEMPLATE "{original.url}"')
    try:
        yield Plot(server, with_path(server.url, name), original.tokens)
    finally:
        on_server(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def environment(url: str, redis_url: str, folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What programs of the product see: nothing of this machine's own settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AEGIS_", "DJANGO_", "PYTEST_", "COV_"))}
    return {
        **plain,
        "DJANGO_SETTINGS_MODULE": "aegis.settings",
        "AEGIS_DATA_DIR": str(folder / "data"),
        "AEGIS_DATABASE_URL": url,
        "AEGIS_REDIS_URL": redis_url,
        **PROFILE,
        **variables,
    }


def with_path(url: str, path: str) -> str:
    return urlsplit(url)._replace(path=f"/{path}").geturl()


def on_server(server: Server, statement: str) -> None:
    import psycopg

    with psycopg.connect(with_path(server.url, "postgres"), autocommit=True) as connection:
        connection.execute(statement)


@cache
def _founded(server: Server) -> Plot:
    """The original, with every shape of workflow published. `url` is a file, or the name of a database."""
    folder = Path(tempfile.mkdtemp(prefix="aegis-torture-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file, name = folder / "founded.sqlite3", _name()
    if server.is_postgres:
        on_server(server, f'CREATE DATABASE "{name}"')
        atexit.register(on_server, server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    url = with_path(server.url, name) if server.is_postgres else f"sqlite:///{file}"
    (folder / "configuration.yaml").write_text(
        (founding.MANIFESTS / "configuration.yaml").read_text() + "\n---\n" + shapes.manifests()
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.groundwork", str(folder)],
        cwd=ROOT,
        env=environment(url, "", folder, {}),
        capture_output=True,
        text=True,
        timeout=FOUNDING_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return Plot(server, name if server.is_postgres else str(file), json.loads(done.stdout)["tokens"])


def _name() -> str:
    return f"{PREFIX}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
