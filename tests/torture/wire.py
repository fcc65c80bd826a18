"""A wire to PostgreSQL that swallows answers after COMMIT: the transaction stands, who asked for it never hears so (F07).

Understands as much of protocol 3 as it needs: message borders, CommandComplete and its tag. Clients connect without TLS.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

_SSL_REQUEST: Final = 80877103
_GSS_REQUEST: Final = 80877104
_WRITES: Final = (b"INSERT", b"UPDATE", b"DELETE")
_BUFFER = 65536


class Wire:
    """`with Wire(server_url, seed=1, share=0.1) as wire:` listens on a free port until the end of the block."""

    def __init__(self, server_url: str, *, seed: int, share: float) -> None:
        """
        Args:
            share: of the commits of transactions that wrote rows, how many are cut off right after.
        """
        parts = urlsplit(server_url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._user = parts.username or "postgres"
        self.share = share
        self.swallowed = 0
        self.commits = 0
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        """For `arena(database_url=...)`: "{name}" is left to fill in."""
        return f"postgresql://{self._user}@127.0.0.1:{self._listener.getsockname()[1]}/{{name}}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            first = _first_packet(client)
            server = socket.create_connection(self._target)
        except (OSError, EOFError):
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.sendall(first)
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        try:
            self._relay(server, client)
        except (OSError, EOFError):
            pass
        finally:
            _hang_up(client, server)

    def _relay(self, server: socket.socket, client: socket.socket) -> None:
        """Pass answers on, message by message, until one is swallowed."""
        pending = bytearray()
        has_written = False
        while data := server.recv(_BUFFER):
            pending += data
            passed = 0
            while len(pending) - passed >= 5:
                (length,) = struct.unpack_from("!I", pending, passed + 1)
                end = passed + 1 + length
                if len(pending) < end:
                    break
                if pending[passed] == ord("C"):
                    tag = bytes(pending[passed + 5 : end - 1])
                    has_written = has_written or (tag.startswith(_WRITES) and not tag.endswith(b" 0"))
                    if tag == b"COMMIT" and has_written and self._swallows():
                        client.sendall(pending[:passed])
                        return
                    has_written = has_written and tag not in (b"COMMIT", b"ROLLBACK")
                passed = end
            client.sendall(pending[:passed])
            del pending[:passed]

    def _swallows(self) -> bool:
        with self._lock:
            self.commits += 1
            if self._dice.random() >= self.share:
                return False
            self.swallowed += 1
            return True


def _first_packet(client: socket.socket) -> bytes:
    """The start-up packet; requests for encryption before it are answered with no."""
    while True:
        head = _exactly(client, 8)
        length, code = struct.unpack("!II", head)
        if code in (_SSL_REQUEST, _GSS_REQUEST):
            client.sendall(b"N")
            continue
        return head + _exactly(client, length - 8)


def _exactly(client: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = client.recv(count - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_BUFFER):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _hang_up(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
