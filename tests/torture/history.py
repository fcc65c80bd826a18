"""The client's history: every request, answered or not, with start and end; what promises its answers made."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.support.client import Answer, Client, NoAnswer

RETRY_PAUSE_SECONDS = 0.05
COME_AGAIN = (429, 503)  # the only refusals a client repeats, under the same key


@dataclass(frozen=True, slots=True)
class Request:
    """One try. `status` 0: nobody answered, so it may or may not have been carried out. Times are monotonic seconds."""

    person: str
    method: str
    path: str
    key: str
    started: float
    ended: float
    status: int
    sent: Any = None
    body: Any = None


@dataclass
class History:
    requests: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def matching(self, method: str, path: str) -> list[Request]:
        """Requests whose path begins with `path`."""
        with self._lock:
            return [request for request in self.requests if request.method == method and request.path.startswith(path)]

    def save(self, file: Path) -> None:
        file.write_text("".join(json.dumps(asdict(request)) + "\n" for request in self.requests))


class Person(Client):
    """A client that writes everything down and repeats what got no answer, under the same key."""

    def __init__(self, name: str, port: int, token: str, history: History, **options: Any) -> None:
        super().__init__(port, token, **options)
        self.name = name
        self.book = history

    def send(self, method: str, path: str, body: Any = None, *, key: str = "") -> Answer:
        deadline, answer = time.monotonic() + self.patience_seconds, None
        while time.monotonic() < deadline:
            answer = self.try_once(method, path, body, key=key)
            if answer is not None and answer.status not in COME_AGAIN:
                return answer
            time.sleep(RETRY_PAUSE_SECONDS)
        last = f"the last one was {answer.status} {answer.body}" if answer else "nobody answered the last try"
        raise NoAnswer(f"{method} {path} got no answer in {self.patience_seconds:g} s; {last}")

    def try_once(self, method: str, path: str, body: Any = None, *, key: str = "") -> Answer | None:
        """One try; None if nobody answered."""
        started = time.monotonic()
        try:
            answer = self.once(method, path, body, key=key)
        except (OSError, http.client.HTTPException, ValueError):
            answer = None
        if answer is not None and answer.body is None:  # the head of an answer whose sender was killed
            answer = None
        status = answer.status if answer else 0
        kept = answer.body if answer and isinstance(answer.body, dict) and method == "POST" else None
        self.book.add(Request(self.name, method, path, key, started, time.monotonic(), status, body, kept))
        return answer


def submissions(history: History) -> dict[str, list[Request]]:
    """Idempotency-Key -> its tries."""
    found: dict[str, list[Request]] = {}
    for request in history.matching("POST", "runs"):
        found.setdefault(request.key, []).append(request)
    return found


def votes(history: History) -> dict[str, list[Request]]:
    """Request id -> the tries to decide it."""
    found: dict[str, list[Request]] = {}
    for request in history.matching("POST", "requests/"):
        found.setdefault(request.path.split("/")[1], []).append(request)
    return found


def accepted(tries: Sequence[Request]) -> list[Request]:
    return [request for request in tries if 200 <= request.status < 300]
