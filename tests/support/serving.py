"""A real `manage.py serve` for tests: own data folder, own database, own port; knows every process that belongs to it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.support.databases import Store, empty_broker, redis_of_this_process

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120.0


class Serving:
    """One running AEGIS.

    Attributes:
        env: its environment; give it to `manage` or to a process that shall see the same data.
    """

    def __init__(self, data_dir: Path, *arguments: str, env: dict[str, str]) -> None:
        self.data_dir = data_dir
        self.arguments = arguments
        self.env = env
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_file = data_dir / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Serving:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(self.port), *self.arguments],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def wait_ready(self, seconds: float = READY_SECONDS) -> Serving:
        self.wait_until(lambda: "AEGIS is ready" in self.log, "it says that it is ready", seconds)
        return self

    def manage(self, *arguments: str, check: bool = True) -> str:
        """Output of a `manage.py` command against the same data."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *arguments], env=self.env, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"manage.py {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def processes(self) -> dict[int, str]:
        """pid -> command line of everything that runs with this data folder, wherever it hangs in the process tree."""
        return processes_of(self.data_dir)

    def group(self, name: str) -> dict[int, str]:
        """The processes of "web" or "worker"; the leader is the one whose pid is the group's id."""
        words = {"web": ("granian",), "worker": ("qcluster", "manage.py sweep")}[name]
        return {pid: line for pid, line in self.processes().items() if any(word in line for word in words)}

    def leader(self, name: str) -> int:
        return next(pid for pid in self.group(name) if os.getpgid(pid) == pid)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {seconds} s: {what}\n--- log ---\n{self.log}\n--- processes ---\n{self.processes()}"
                )
            if self.process is not None and self.process.poll() not in (None, 0, -9):
                raise AssertionError(f"serve ended with {self.process.returncode}\n--- log ---\n{self.log}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 15) -> int:
        """Signal the supervisor and wait for it; returns its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill_all(self) -> None:
        signal_all(self.data_dir, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)


def processes_of(data_dir: Path) -> dict[int, str]:
    """pid -> command line of all that runs with this data folder: what a service manager, or a power cut, would meet."""
    marker = f"AEGIS_DATA_DIR={data_dir}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found


def signal_all(data_dir: Path, number: int) -> int:
    """Signal each of them, as systemd does by default. Returns how many there were."""
    pids = processes_of(data_dir)
    for pid in pids:
        with _gone_is_fine():
            os.kill(pid, number)
    return len(pids)


@contextmanager
def serving(data_dir: Path, *arguments: str, **env: str) -> Iterator[Serving]:
    """A `Serving`, not yet started, on a fresh database of the kind under test; nothing of it is left afterwards.

    Args:
        env: further settings, for instance AEGIS_STALL_SECONDS="3".
    """
    with fresh_database() as url:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AEGIS_", "DJANGO_", "PYTEST_"))}
        redis_url = redis_of_this_process()
        settings = {"AEGIS_DATABASE_URL": url, "AEGIS_REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}
        mine = {"AEGIS_DATA_DIR": str(data_dir), **settings, **env}
        portal = Serving(data_dir, *arguments, env={**inherited, **mine})
        try:
            yield portal
        finally:
            portal.kill_all()
            if redis_url:
                empty_broker(Store("", redis_url))


@contextmanager
def fresh_database() -> Iterator[str]:
    """URL of an empty database on the server under test; on SQLite the file in the data folder."""
    url = os.environ.get("AEGIS_DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield "sqlite:///"
        return
    import psycopg

    name = f"aegis_serving_{secrets.token_hex(4)}"
    admin = urlunsplit(urlsplit(url)._replace(path="/postgres"))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return
