"""django-q2's cluster, taught to stop in order: leader, then the guard, then each worker process with its runs given back.

Service managers send SIGTERM to every process at once. django-q2's guard dies of it while it sleeps on an event, and the leader
then waits for ever for the guard to hear that event (HAZARDS T10). Here the leader alone takes the signal, and takes it once: a
second one would find the first holding the event's lock. All others only note it; what ends them is the order of their guard.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Event
from types import FrameType

from django_q import cluster


class Cluster(cluster.Cluster):  # type: ignore[misc]  # django-q2 has no types
    """The leader. It does nothing but wait for its guard, and tell it when to stop."""

    def __init__(self) -> None:
        self._is_told_to_stop = False
        super().__init__()  # takes SIGTERM and SIGINT

    def run(self) -> None:
        """Work until SIGTERM or SIGINT.

        Raises:
            RuntimeError: the guard died by itself; whatever it left behind is for the supervisor to end.
        """
        self.stop_event, self.start_event = Event(), Event()
        self.sentinel = cluster.get_mp_context().Process(
            target=Sentinel, args=(self.stop_event, self.start_event, self.cluster_id)
        )
        self.sentinel.start()
        self.sentinel.join()
        if not self._is_told_to_stop:
            raise RuntimeError(f"the guard of the worker ended with code {self.sentinel.exitcode}")

    def sig_handler(self, signum: int, frame: FrameType | None) -> None:
        # A child that was forked, but has not yet set its own handler, inherits this one.
        if self._is_told_to_stop or os.getpid() != self.pid:
            return
        self._is_told_to_stop = True
        self.stop_event.set()


class Sentinel(cluster.Sentinel):  # type: ignore[misc]
    """The guard: starts the others again when they die, and stops them in order."""

    def spawn_cluster(self) -> None:
        # Before the first fork: pusher, monitor and workers inherit it. A handler, not SIG_IGN: programs that agents start must
        # not inherit deafness.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _note)
        super().spawn_cluster()

    def stop(self) -> None:
        # At once, while the pusher still waits for a message: giving runs back is what takes time.
        for process in self.pool:
            with suppress(ProcessLookupError, TypeError):
                os.kill(process.pid, signal.SIGTERM)
        super().stop()


def on_sigterm(tell: Callable[[], None]) -> None:
    """In a worker process, its main thread: what the guard's order does. `tell` must be reentrant and quick."""
    signal.signal(signal.SIGTERM, lambda *_: tell())


def _note(number: int, frame: FrameType | None) -> None:
    """The guard says when."""
