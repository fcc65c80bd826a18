"""The effect sink: where remote effects of fault tests land. Outside the product, in the process of the tests.

It is the oracle of "nothing twice, nothing missing": it sees every arrival, also those whose answer a kill swallowed, and keeps
both histories at once: *naive* (every arrival counts) and *deduplicating* (the first arrival under a key counts).
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # workers call from many threads at once; the default of 5 would refuse some


class Receiver(BaseHTTPRequestHandler):
    """Takes effects and answers each with a receipt. Made for senders that are killed."""

    protocol_version = "HTTP/1.1"

    def receipt_for(self, key: str, fence: int, raw: bytes) -> str:
        """Note an arrival that is whole."""
        raise NotImplementedError

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        raw = self.rfile.read(size)
        if len(raw) < size:  # the worker was killed while it sent: nothing arrived
            self.close_connection = True
            return
        receipt = self.receipt_for(self.headers["Idempotency-Key"], int(self.headers["AEGIS-Fence"]), raw)
        answer = json.dumps({"receipt": receipt}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):  # the worker was killed while we answered
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: what arrived is the log."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One POST as it arrived. `at` is monotonic seconds."""

    key: str
    fence: int
    body: str  # sha256
    at: float


class Sink:
    """`with Sink() as sink:` serves on a free port until the end of the block."""

    def __init__(self, *, latency: tuple[float, float] = (0.0, 0.0), seed: int = 0) -> None:
        """
        Args:
            latency: seconds an arrival takes, drawn evenly; half before it counts and half before it is answered, so that a
                kill finds both sides of the moment.
        """
        self.arrivals: list[Arrival] = []
        self._latency = latency
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        assert self._server is not None, "with Sink() as sink: ..."
        return f"http://127.0.0.1:{self._server.server_port}/"

    def counts(self) -> Counter[str]:
        """Key -> arrivals: what a receiver that does not deduplicate would have done."""
        with self._lock:
            return Counter(arrival.key for arrival in self.arrivals)

    def applied(self) -> dict[str, str]:
        """Key -> body: what a receiver that deduplicates did."""
        applied: dict[str, str] = {}
        with self._lock:
            for arrival in self.arrivals:
                applied.setdefault(arrival.key, arrival.body)
        return applied

    def quarrels(self) -> list[str]:
        """Keys that came with more than one body."""
        bodies: dict[str, set[str]] = {}
        with self._lock:
            for arrival in self.arrivals:
                bodies.setdefault(arrival.key, set()).add(arrival.body)
        return [key for key, found in bodies.items() if len(found) > 1]

    def arrived_since(self, moment: float) -> bool:
        with self._lock:
            return any(arrival.at > moment for arrival in reversed(self.arrivals[-50:]))

    def _take(self, key: str, fence: int, raw: bytes) -> None:
        with self._lock:
            pause = self._random.uniform(*self._latency) / 2
        time.sleep(pause)
        with self._lock:
            self.arrivals.append(Arrival(key, fence, hashlib.sha256(raw).hexdigest(), time.monotonic()))
        time.sleep(pause)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(Receiver):
            def receipt_for(self, key: str, fence: int, raw: bytes) -> str:
                sink._take(key, fence, raw)
                return key

        return Handler
