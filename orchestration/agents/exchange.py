"""One HTTP/1.1 request and its answer on one connection, by h11, within limits of bytes, messages and time.

httpx was measured and left: its pool walks all connections for every request (1,000 calls at once: 8 s against 1.4 s), its
timeouts are per read (a drip of one byte a second never ends) and so is its patience with 1xx answers, and it decompresses
without a limit.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import h11

from orchestration.agents.addresses import Endpoint
from orchestration.agents.dialing import remaining

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_INFORMATIONAL: Final = 8  # answers 1xx before the answer
_CHUNK: Final = 16 * 1024


class Broken(Exception):
    """The other side did not speak HTTP/1.1, or hung up."""


class TooMuch(Exception):
    """The body is larger than asked for."""


class Stale(Exception):
    """A kept connection turned out to be closed before one byte of an answer came: the request may be sent on another one."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Sequence[tuple[bytes, bytes]]  # names in lower case
    body: bytes
    is_whole: bool  # False: the body was cut at the limit (answers other than 200)

    def values(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key == name]


class Connection:
    """A connection that may carry several requests, one after the other. For one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._received = 0
        self._is_used = False

    def post(
        self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes, *, max_bytes: int, kept_bytes: int, deadline: float
    ) -> Answer:
        """Send a request, read its answer.

        Args:
            max_bytes: of the body of a 200. More of it is refused.
            kept_bytes: of any other body; it is cut there.

        Raises:
            Broken, TooMuch, TimeoutError, Stale. The connection is of no more use then.
        """
        self._received = 0
        try:
            self._send(endpoint, headers, body, deadline)
            answer = self._read(max_bytes, kept_bytes, deadline)
        except h11.RemoteProtocolError as error:
            raise Broken(f"no proper HTTP answer: {error}") from None
        except TimeoutError:
            raise
        except (OSError, ssl.SSLError) as error:
            if self._is_used and not self._received:
                raise Stale from None
            raise Broken(f"the connection broke ({error.strerror or type(error).__name__})") from None
        self._is_used = True
        return answer

    def is_reusable(self) -> bool:
        """Make it ready for the next request. False if it must be closed; bytes nobody asked for are a reason."""
        parser = self._parser
        if parser.our_state is not h11.DONE or parser.their_state is not h11.DONE or parser.trailing_data[0]:
            return False
        parser.start_next_cycle()
        return True

    def is_quiet(self) -> bool:
        """False if the other side closed it meanwhile, or sent something unasked: an answer to a question still to come."""
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
            has_buffered = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
            return not has_buffered and not poll.poll(0)
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        self._socket.close()

    def _send(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes, deadline: float) -> None:
        request = h11.Request(
            method="POST",
            target=endpoint.target,
            headers=[("host", endpoint.authority), *headers.items(), ("content-length", str(len(body)))],
        )
        head = self._parser.send(request) or b""
        data = self._parser.send(h11.Data(data=body)) or b""
        end = self._parser.send(h11.EndOfMessage()) or b""
        self._socket.settimeout(remaining(deadline))
        try:
            self._socket.sendall(b"".join((head, data, end)))
        except (BrokenPipeError, ConnectionResetError):
            if self._is_used:
                raise
            # It hung up while we spoke: perhaps it answered before (413); what it said is waiting to be read.

    def _read(self, max_bytes: int, kept_bytes: int, deadline: float) -> Answer:
        response = self._read_head(deadline)
        limit = max_bytes if response.status_code == 200 else kept_bytes
        # What is chunked into single bytes costs many of framing and much time each; twice the limit is enough for the honest.
        most_received = self._received + 2 * limit + MAX_HEAD_BYTES
        parts: list[bytes] = []
        size = 0
        while True:
            event = self._next(deadline)
            if isinstance(event, h11.EndOfMessage):
                return Answer(response.status_code, list(response.headers), b"".join(parts), is_whole=True)
            if not isinstance(event, h11.Data):
                raise Broken("the answer broke off")
            parts.append(bytes(event.data))
            size += len(event.data)
            if size > limit or self._received > most_received:
                if response.status_code == 200:
                    raise TooMuch(f"the answer is larger than {limit:,} bytes")
                return Answer(response.status_code, list(response.headers), b"".join(parts)[:limit], is_whole=False)

    def _read_head(self, deadline: float) -> h11.Response:
        for _ in range(MAX_INFORMATIONAL + 1):
            event = self._next(deadline)
            if isinstance(event, h11.Response):
                if {b"content-length", b"transfer-encoding"} <= {name for name, _ in event.headers}:
                    raise Broken("the answer says its length twice, as a number and by chunks")
                return event
            if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                raise Broken("the answer broke off")
        raise Broken(f"more than {MAX_INFORMATIONAL} provisional answers")

    def _next(self, deadline: float) -> object:
        while True:
            event = self._parser.next_event()
            if event is h11.NEED_DATA:
                self._socket.settimeout(remaining(deadline))
                data = self._socket.recv(_CHUNK)
                self._received += len(data)
                if not data and not self._received:
                    raise ConnectionResetError(0, "closed without an answer")
                self._parser.receive_data(data)
                continue
            remaining(deadline)  # many small events come from one read
            return event
