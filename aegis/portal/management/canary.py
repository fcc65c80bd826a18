"""A canary through the queue: does the local worker still take work?

A wedged django-q2 cluster looks alive: its processes run and its pusher still claims rows, into a queue nobody reads any more
(kill -9 of an idle pool process is enough). So a task goes the whole way and touches a file; a file that grows old while tasks
were sent means the worker is wedged. A broker that does not answer is not the worker's fault and never restarts it: its sweep
goes on without a broker.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.db import DatabaseError, connection

from aegis.core import clock, wake

START_SECONDS = 30.0


class Canary:
    def __init__(self, beat_file: Path, *, send_every: float, stalled_after: float, broker_may_be_away: bool = True) -> None:
        """
        Args:
            broker_may_be_away: the queue lives apart from the database, so a canary that cannot be sent says nothing of the
                worker. With the queue in the database it may well be the worker that blocks it.
            beat_file: touched by each canary that arrives in a worker of this machine.
            send_every, stalled_after: seconds. With several hosts on one broker each host gets its share of all canaries, so
                `stalled_after` must be many times `send_every`.
        """
        self.beat_file = beat_file
        self.send_every = send_every
        self.stalled_after = stalled_after
        self.broker_may_be_away = broker_may_be_away
        self._next_send = 0.0
        self.broker_answers = True
        self.excuse()

    def excuse(self) -> None:
        """Start counting anew: the worker was just started, or the broker was away."""
        self._last_beat, self._since, self._has_arrived = self._beat(), clock.monotonic(), False

    def send_if_due(self) -> None:
        moment = clock.monotonic()
        if moment < self._next_send:
            return
        self._next_send = moment + self.send_every
        self.broker_answers = _send()
        if not self.broker_answers and self.broker_may_be_away:
            self.excuse()

    @property
    def is_stalled(self) -> bool:
        """No canary for `stalled_after`; a worker that has not taken its first one yet gets at least `START_SECONDS`.

        To be asked often. What counts is when a beat was noticed, never the file's time: the clock of the wall may be set.
        """
        beat = self._beat()
        if beat != self._last_beat:
            self._last_beat, self._since, self._has_arrived = beat, clock.monotonic(), True
        patience = self.stalled_after if self._has_arrived else max(self.stalled_after, START_SECONDS)
        return clock.monotonic() - self._since > patience

    def _beat(self) -> int:
        try:
            return self.beat_file.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


def _send() -> bool:
    try:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:  # the supervisor must not stand still behind a long writer
                cursor.execute("PRAGMA busy_timeout=1000")
        return wake.send_canary()
    except DatabaseError:
        return False
    finally:
        connection.close()


def beat_file_of(data_dir: Path) -> Path:
    return data_dir / f"worker-{os.getpid()}.beat"
