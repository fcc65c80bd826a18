"""The harness's side of the nursery: starts, kills, freezes and wakes forked processes of the product."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

ROOT = Path(__file__).resolve().parents[2]
TASK_SECONDS = 120.0
KILL_SECONDS = 20.0


@dataclass
class Process:
    """One forked process and its group."""

    pid: int
    role: str
    log: Path
    nursery: Nursery
    started_at: float
    status: int | None = None  # exit code, or minus the signal; None while it lives

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait for the leader."""
        self.signal(signal.SIGKILL)
        assert self.wait(KILL_SECONDS) is not None, f"{self.role} {self.pid} survived SIGKILL"

    def end(self, grace_seconds: float = 3.0) -> int | None:
        """SIGTERM to the leader, SIGKILL to what is left of its group. The leader's status."""
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            self.wait(grace_seconds)
        self.kill()
        return self.status

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, seconds: float) -> int | None:
        """The status as soon as it has ended, or None after `seconds`."""
        if self.status is None and _has_ended(self.pid, seconds):
            self.status = self.nursery.reap(self.pid)
        return self.status

    @property
    def is_running(self) -> bool:
        return self.wait(0) is None

    def is_frozen(self) -> bool:
        """Has it stopped itself (or been stopped)?"""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def wait_until_frozen(self, seconds: float) -> None:
        """
        Raises:
            TimeoutError: it never came to the point it was to freeze at.
        """
        deadline = time.monotonic() + seconds
        while not self.is_frozen():
            if time.monotonic() > deadline or not self.is_running:
                raise TimeoutError(f"{self.role} never froze\n{self.log.read_text()[-3000:]}")
            time.sleep(0.005)

    def where(self) -> str:
        """Where each of its threads is: the end of its log, after it was asked."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)
        time.sleep(0.2)
        return self.log.read_text(errors="replace")[-4000:]

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)


class Nursery:
    """`with Nursery(folder, env) as nursery:` ends everything that was started from it."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.processes: list[Process] = []
        self.env = dict(env)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._program: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with (self.folder / "nursery.log").open("ab") as log:
            self._program = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.nursery"],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._read()  # ready
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started from here, at once."""
        assert self._program is not None
        for process in self.processes:
            if process.status is None:
                process.signal(signal.SIGKILL)
        os.killpg(self._program.pid, signal.SIGKILL)  # its children die with it
        self._program.wait()

    def start(self, role: str, **env: str) -> Process:
        """Fork a process. `env` is added to the nursery's own."""
        log = self.folder / f"{role}.log"
        answer = self._ask({"do": "start", "role": role, "env": env, "log": str(log)})
        process = Process(answer["pid"], role, log, self, time.monotonic())
        self.processes = [other for other in self.processes if other.status is None] + [process]
        return process

    def task(self, name: str, **arguments: Any) -> Any:
        """Have "module:function" called in a fork; its JSON answer.

        Raises:
            AssertionError: it failed; with the log.
        """
        out = self.folder / f"task-{next(self._numbers)}.json"
        process = self.start(
            "task", AEGIS_TEST_TASK=name, AEGIS_TEST_ARGUMENTS=json.dumps(arguments), AEGIS_TEST_OUT=str(out),
            AEGIS_CRASH_AT="", AEGIS_PLANT="",
        )  # fmt: skip
        assert process.wait(TASK_SECONDS) == 0, f"{name} ended with {process.status}\n{process.log.read_text()[-6000:]}"
        answer = json.loads(out.read_text())
        out.unlink()
        return answer

    def end_all(self, *, but: str) -> None:
        """Kill every process of another role than this one."""
        for process in self.processes:
            if process.role != but and process.status is None:
                process.kill()

    def reap(self, pid: int) -> int:
        status = self._ask({"do": "reap", "pid": pid})["status"]
        assert status is not None, f"{pid} has not ended"
        return int(status)

    def logs(self, characters: int = 3000) -> str:
        """The end of each log."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-characters:]}" for path in self.folder.glob("*.log")
        )

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        assert self._program is not None
        with self._lock:
            stdin = cast(IO[str], self._program.stdin)
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
            return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._program is not None
        line = cast(IO[str], self._program.stdout).readline()
        if not line:
            raise AssertionError(f"the nursery died\n{(self.folder / 'nursery.log').read_text()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _has_ended(pid: int, seconds: float) -> bool:
    """Whether the process ends within `seconds`. Its number stays its own until the nursery reaps it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
