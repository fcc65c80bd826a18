"""Connections kept open for the next call to the same origin under the same allow list. One store per process.

What it costs does not grow with the calls in flight: each call has a connection of its own, and only idle ones are known here.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Final

from aegis.core import clock
from orchestration.agents.addresses import Allowance
from orchestration.agents.exchange import Connection

Key = tuple[str, Allowance]

IDLE_SECONDS: Final = 15.0
MAX_IDLE: Final = 256  # in all


class _Idle:
    """Two dictionaries and a lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[Key, Connection, float]] = OrderedDict()  # oldest first
        self._by_key: dict[Key, list[int]] = {}
        self._number = 0

    def take(self, key: Key) -> Connection | None:
        while True:
            with self._lock:
                numbers = self._by_key.get(key)
                if not numbers:
                    return None
                _, connection, since = self._remove(numbers[-1])
            if clock.monotonic() - since < IDLE_SECONDS and connection.is_quiet():
                return connection
            connection.close()

    def keep(self, key: Key, connection: Connection) -> None:
        dropped = []
        with self._lock:
            self._number += 1
            self._kept[self._number] = (key, connection, clock.monotonic())
            self._by_key.setdefault(key, []).append(self._number)
            expired = clock.monotonic() - IDLE_SECONDS
            while len(self._kept) > MAX_IDLE or next(iter(self._kept.values()))[2] < expired:
                dropped.append(self._remove(next(iter(self._kept)))[1])
        for old in dropped:
            old.close()

    def _remove(self, number: int) -> tuple[Key, Connection, float]:
        entry = self._kept.pop(number)
        numbers = self._by_key[entry[0]]
        numbers.remove(number)
        if not numbers:
            del self._by_key[entry[0]]
        return entry


_kept = _Idle()


def take(key: Key) -> Connection | None:
    """A quiet connection for this origin and allow list, or None. Whoever takes it has it alone."""
    return _kept.take(key)


def keep(key: Key, connection: Connection) -> None:
    """Keep a connection that is ready for the next request."""
    _kept.keep(key, connection)


def _forget() -> None:
    """In a forked child: the connections are the parent's."""
    global _kept
    _kept = _Idle()


os.register_at_fork(after_in_child=_forget)
