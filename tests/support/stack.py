"""The real thing for fault tests: web and worker as processes, on a database, a port and a data folder of their own.

Each program runs in a process group of its own, so that it can be killed with everything it forked, and only it.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import founding
from tests.support.client import Client
from tests.support.databases import Store, fresh_store

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120.0  # two stacks may start at once on a busy machine
COMMAND_SECONDS = 120.0
APPLICATION = "aegis.wsgi:application"
PROFILE = {"AEGIS_LEASE_SECONDS": "2", "AEGIS_SWEEP_SECONDS": "0.3", "AEGIS_AGENT_MODULES": "tests.faults.agents"}

_PRCTL = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None
_PR_SET_PDEATHSIG = 1


@dataclass
class Program:
    """One program of a stack. Start it from the main thread: it dies with the thread that started it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    kills: int = 0

    def start(self) -> None:
        self.started_at = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                cwd=ROOT,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def kill(self) -> None:
        """SIGKILL to the whole group, at once and without warning."""
        if self.process is not None:
            _signal_group(self.process, signal.SIGKILL)
            self.process.wait()
            self.process, self.kills = None, self.kills + 1

    def stop(self, *, grace_seconds: float = 8.0) -> None:
        """SIGTERM to the leader; whatever is left of the group after the grace is killed."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal_group(self.process, signal.SIGKILL)
            self.process.wait()
            self.process = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Stack:
    """A founded installation and its programs. Made by `stack()`, which ends them."""

    folder: Path
    store: Store
    port: int
    env: Mapping[str, str]
    tokens: dict[str, str] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)

    def client(self, person: str, **options: Any) -> Client:
        return Client(self.port, self.tokens[person], **options)

    def web(self, application: str = APPLICATION) -> Program:
        """Granian as `serve` runs it. Not started yet."""
        from aegis.portal.management.children import web_child

        argv = [application if part == APPLICATION else part for part in web_child("127.0.0.1", self.port).argv()]
        assert application in argv
        return self._program("web", argv, {"PYTHONPATH": str(ROOT)})

    def worker(self, command: str = "qcluster", **variables: str) -> Program:
        """The cluster as `serve` runs it; "worker", with its supervisor; or "sweep", without a queue. Not started yet.

        Args:
            variables: of its environment alone.
        """
        return self._program("worker", self._manage(command, "--skip-checks"), variables)

    def serve(self) -> Program:
        """Both under the product's own supervisor. Not started yet."""
        return self._program("serve", self._manage("serve", "--port", str(self.port)))

    def wait_for_web(self, seconds: float = READY_SECONDS) -> None:
        """
        Raises:
            TimeoutError: with the end of the logs.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.answers():
                return
            time.sleep(0.05)
        raise TimeoutError(f"web does not answer\n{self.logs()}")

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def look(self) -> dict[str, Any]:
        """What the database says (`tests.support.look`)."""
        facts: dict[str, Any] = json.loads(self.run("-m", "tests.support.look").stdout)
        return facts

    def verify(self) -> tuple[bool, str]:
        """`manage.py aegis journal verify`: whether it passed, and what it said."""
        done = self.run("manage.py", "aegis", "journal", "verify", check=False)
        return done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str, check: bool = True, seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """Python with the stack's environment, to its end.

        Raises:
            AssertionError: `check`, and it failed; with its output.
        """
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=dict(self.env),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done

    def logs(self, characters: int = 3000) -> str:
        """The end of each program's log."""
        found = {program.log: program.log.read_text(errors="replace") for program in self.programs if program.log.exists()}
        return "\n".join(f"--- {path.name}\n{text[-characters:]}" for path, text in found.items())

    def _manage(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "manage.py"), *arguments]

    def _program(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Program:
        log = self.folder / f"{name}-{len(self.programs)}.log"
        program = Program(name, argv, {**self.env, **(env or {})}, log)
        self.programs.append(program)
        return program


@contextmanager
def stack(folder: Path, **variables: str) -> Iterator[Stack]:
    """A stack founded for fault tests, without programs; those that were started are ended at the end.

    Args:
        variables: environment beside the fault profile (lease 2 s, sweep 0.3 s).
    """
    original = _founded()
    with empty_stack(folder, like=original, **{**PROFILE, **variables}) as made:
        made.tokens = dict(original.tokens)
        yield made


@contextmanager
def empty_stack(folder: Path, *, like: Stack | None = None, **variables: str) -> Iterator[Stack]:
    """A database, a port and a data folder, with the product's own settings but for `variables`.

    Args:
        like: whose database and data folder to copy, without programs; None = no tables and nothing in the folder.
    """
    if like is not None:
        shutil.copytree(like.folder / "data", folder / "data")
    with fresh_store(folder, like=like and like.store) as store:
        made = Stack(folder, store, _free_port(), _environment(folder, store, variables))
        try:
            yield made
        finally:
            for program in made.programs:
                program.stop(grace_seconds=3)


@cache
def _founded() -> Stack:
    """What the stacks of this process are copies of: to migrate and found each anew takes longer than most of their tests.

    It is sealed under the key in its data folder, which is copied along.
    """
    ending = ExitStack()
    atexit.register(ending.close)
    folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="aegis-founded-")))
    made = ending.enter_context(empty_stack(folder, **PROFILE))
    founded = json.loads(made.run("-m", "tests.support.founding", str(founding.MANIFESTS)).stdout)
    made.tokens = founded["tokens"]
    return made


def _environment(folder: Path, store: Store, variables: Mapping[str, str]) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AEGIS_", "DJANGO_", "PYTEST_", "COV_"))}
    return {
        **plain,
        "DJANGO_SETTINGS_MODULE": "aegis.settings",
        "AEGIS_DATA_DIR": str(folder / "data"),
        "AEGIS_DATABASE_URL": store.database_url,
        "AEGIS_REDIS_URL": store.redis_url,
        **variables,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # nobody left
        os.killpg(process.pid, number)


def _die_with_parent() -> None:
    # Tests that are killed outright cannot end anybody: the kernel does it for them.
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
