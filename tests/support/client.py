"""An API client as its users write it: retries what got no answer under the same Idempotency-Key, and keeps its history."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

RETRY_PAUSE_SECONDS = 0.1
BUSY = 503  # "come again under the same key": the only 5xx a client retries


class NoAnswer(Exception):
    """Nobody answered in time, however often it was tried."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that was answered. Times are monotonic seconds; `tries` counts those that got no answer, too."""

    method: str
    path: str
    key: str
    started: float
    ended: float
    tries: int
    answer: Answer


@dataclass
class Client:
    """One person's client. Threads may share it: each has a connection of its own."""

    port: int
    token: str
    timeout_seconds: float = 10.0
    patience_seconds: float = 60.0
    history: list[Entry] = field(default_factory=list)
    _local: threading.local = field(default_factory=threading.local)

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, body: Any, *, key: str = "") -> Answer:
        return self.send("POST", path, body, key=key)

    def send(self, method: str, path: str, body: Any = None, *, key: str = "") -> Answer:
        """
        Raises:
            NoAnswer: not within `patience_seconds`.
        """
        started, tries = time.monotonic(), 0
        while time.monotonic() - started < self.patience_seconds:
            tries += 1
            try:
                answer = self.once(method, path, body, key=key)
            except (OSError, http.client.HTTPException):
                answer = None
            if answer is not None and answer.status != BUSY:
                self.history.append(Entry(method, path, key, started, time.monotonic(), tries, answer))
                return answer
            time.sleep(RETRY_PAUSE_SECONDS)
        raise NoAnswer(f"{method} {path} got no answer in {self.patience_seconds:g} s ({tries} tries)")

    def once(self, method: str, path: str, body: Any = None, *, key: str = "") -> Answer:
        """One try.

        Raises:
            OSError, HTTPException: no answer, or half of one.
        """
        connection = self._connection()
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        raw = None
        if body is not None:
            raw, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            connection.request(method, f"/api/v1/{path}", raw, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        return Answer(response.status, json.loads(content) if content else None)

    def runs(self) -> Iterator[dict[str, Any]]:
        """Every run the person may see, newest first."""
        before = ""
        while True:
            page = self.get(f"runs?before={before}" if before else "runs").body
            yield from page["runs"]
            before = page["next"]
            if not before:
                return

    def _connection(self) -> http.client.HTTPConnection:
        found = getattr(self._local, "connection", None)
        if found is None:
            found = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_seconds)
            self._local.connection = found
        return found
