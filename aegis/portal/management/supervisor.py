"""Crash-only supervision of web and worker: each in a process group of its own, restarted with backoff, never left behind.

Knows processes and signals; no Django. What proves that a worker still takes work from the queue (the canary) is handed in.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

TICK_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 30.0
STEADY_SECONDS = 60.0  # a child that lived this long is forgiven its earlier deaths

Say = Callable[[str], None]


@dataclass
class Child:
    """One supervised program.

    Attributes:
        argv: the command line, asked for anew at every start.
        env: variables beside this process's own.
    """

    name: str
    argv: Callable[[], Sequence[str]]
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0  # monotonic seconds
    deaths: int = 0
    start_after: float = 0.0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """In a session of its own: a Ctrl-C in the terminal reaches the supervisor only, and `end` can end the whole group."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  our own command line, no shell
            list(self.argv()),
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # calls one function that was looked up at import; no thread runs here
        )

    def terminate(self) -> None:
        """Ask politely, and only the leader: django-q2 hangs when the whole group gets the signal (HAZARDS T10)."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Kill what is left of the group, also when the leader is dead and left orphans, and reap the leader."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # nobody left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def schedule_restart(self) -> float:
        """Note a death; returns the seconds until the next start: 0.5, 1, 2 ... at most `MAX_BACKOFF_SECONDS`."""
        now = time.monotonic()
        self.deaths = 1 if now - self.started_at > STEADY_SECONDS else self.deaths + 1
        delay = min(MAX_BACKOFF_SECONDS, 0.5 * float(2 ** min(self.deaths - 1, 10)))
        self.process, self.start_after = None, now + delay
        return delay


class Supervisor:
    """Runs its children until it is told to stop. Use from the main thread: it takes over SIGTERM and SIGINT."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        say: Say,
        stop_seconds: float = 8.0,
        each_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            say: prints one line for the person at the terminal, who may have left.
            stop_seconds: from SIGTERM to SIGKILL; below the ten seconds that init systems and CI allow.
            each_tick: called every `TICK_SECONDS`; must return quickly.
        """
        self.children = list(children)
        self.say = say
        self.stop_seconds = stop_seconds
        self.each_tick = each_tick
        self.stop_signals = 0

    def run(self) -> None:
        """Start all, keep all running, stop all. Returns after a signal, when no process of any group is left.

        Raises:
            OSError: one could not be started in the first place.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            for child in self.children:
                child.start()
            while not self.stop_signals:
                time.sleep(TICK_SECONDS)
                for child in self.children:
                    self._keep(child)
                self.each_tick()
        finally:
            self.stop()

    def restart(self, child: Child, *, why: str, grace_seconds: float = 2.0) -> None:
        """End a child that runs but does not work, and start it again at once."""
        self._tell(f"{child.name}: {why}; restarting it")
        child.terminate()
        self._wait([child], grace_seconds)
        child.end()
        self._start(child)

    def stop(self) -> None:
        """SIGTERM to each leader, SIGKILL to each group at the deadline or at a second signal."""
        for child in self.children:
            child.terminate()
        if not self._wait(self.children, self.stop_seconds):
            slow = ", ".join(child.name for child in self.children if child.is_running)
            self._tell(f"{slow}: not stopped in time, killed")
        for child in self.children:
            child.end()

    def _keep(self, child: Child) -> None:
        if child.is_running or self.stop_signals:
            return
        if child.process is not None:
            code = child.process.returncode
            child.end()  # a dead leader may have left its group behind
            self._schedule(child, _how(code))
        elif time.monotonic() >= child.start_after:
            self._start(child)

    def _start(self, child: Child) -> None:
        try:
            child.start()
        except OSError as error:  # no process or memory to be had now, a file that is being replaced
            self._schedule(child, f"not started ({error.strerror})")

    def _schedule(self, child: Child, what: str) -> None:
        self._tell(f"{child.name}: {what}; starting again in {child.schedule_restart():g} s")

    def _tell(self, line: str) -> None:
        # A terminal or pipe that is gone is no reason to stop, least of all before everybody is ended.
        with contextlib.suppress(OSError, ValueError):
            self.say(line)

    def _wait(self, children: Sequence[Child], seconds: float) -> bool:
        """Wait for the leaders. False if one still ran at the deadline (or somebody pressed Ctrl-C again)."""
        deadline, signals = time.monotonic() + seconds, self.stop_signals
        while any(child.is_running for child in children):
            if time.monotonic() >= deadline or self.stop_signals > max(signals, 1):
                return False
            time.sleep(0.02)
        return True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop_signals += 1


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _prctl() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Callable[[int, int], int] = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return function


_PRCTL = _prctl()
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    # A supervisor that is killed outright cannot stop anybody: the kernel then sends the leaders SIGTERM for it.
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)
