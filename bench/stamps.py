"""When something was begun, told by a datagram to whoever measures: the monotonic clock that all processes here share."""

from __future__ import annotations

import socket
import time

PAUSE_SECONDS = (0.02, 0.25)  # between decisions, so that they meet every phase of whatever polls
PATIENCE_SECONDS = 30.0


def stamp(name: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(f"{name} {time.monotonic_ns()}".encode(), ("127.0.0.1", port))


class Ears:
    """The measuring side."""

    def __init__(self, port: int, patience_seconds: float) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self._socket.settimeout(patience_seconds)

    def hear(self) -> tuple[str, int]:
        """Name and nanoseconds of the next stamp.

        Raises:
            TimeoutError: none came.
        """
        name, moment = self._socket.recv(200).decode().split()
        return name, int(moment)
