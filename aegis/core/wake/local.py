"""The bell of one machine: a Unix datagram socket per worker process, in a folder that only this user may enter. No Django.

django-q2's queue in the database cannot be woken, it is polled; so a ring goes straight to a worker process. It says "look" and
nothing else. It goes to one worker; a worker that has no room passes it on (`hops`), so that neither the whole herd wakes nor a
full worker swallows what an idle one could do.

Nothing here blocks or raises towards the ringer: a bell that is broken costs latency only.
"""

from __future__ import annotations

import errno
import os
import random
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOPS = 8  # workers one ring may try, each of them full
_SUFFIX = ".bell"
_MAX_PATH_BYTES = 100  # of a socket's address: 108 on Linux, 104 on macOS, with the final zero
_PROC_FD = Path("/proc/self/fd")


class Ear:
    """The socket of this process. One thread listens on it.

    Raises:
        OSError: from the constructor, where sockets cannot be made in this folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        # Never a name that was used before: what is found dead under a name may be removed without asking anybody.
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            with _reachable(folder) as base:
                self._socket.bind(f"{base}/{self.name}")
                os.chmod(f"{base}/{self.name}", 0o600)
        except OSError:
            self._socket.close()
            raise

    def wait(self, seconds: float) -> int | None:
        """Wait for a ring. Rings that came together are one.

        Returns:
            How often it may still be passed on, or None after `seconds` without one.
        """
        self._socket.settimeout(seconds)
        try:
            hops = _hops(self._socket.recv(16))
        except TimeoutError:
            return None
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                hops = max(hops, _hops(self._socket.recv(16)))
        return hops

    def take_down(self) -> None:
        """From any thread: no further ring comes here."""
        with suppress(OSError):
            (self._folder / self.name).unlink(missing_ok=True)

    def close(self) -> None:
        """From the listening thread: a descriptor closed under it could come back as somebody else's."""
        self.take_down()
        self._socket.close()


def ring(folder: Path, *, hops: int = HOPS, but: str = "") -> bool:
    """Wake one worker process of this machine. Never blocks.

    Args:
        but: the name of an ear that shall not be asked: the caller's own.

    Returns:
        Whether one heard it. False: there is none, and nothing but the sweep of the next one to start will find the work.
    """
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_SUFFIX) and name != but]
    except OSError:
        return False
    random.shuffle(names)
    message = str(hops).encode()
    is_full = False
    try:
        with _reachable(folder) as base, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for name in names:
                try:
                    sender.sendto(message, f"{base}/{name}")
                    return True
                except BlockingIOError:
                    is_full = True  # it has unread rings: it will look, or it is frozen; another one first
                except OSError as error:
                    if error.errno == errno.ECONNREFUSED:  # its process was killed
                        with suppress(OSError):
                            os.unlink(f"{base}/{name}")
    except OSError:
        return False
    return is_full


def is_reachable(folder: Path) -> bool:
    """Can a socket be addressed there? False for a path that is too long, on a system without /proc."""
    return _is_short(folder) or _PROC_FD.is_dir()


@contextmanager
def _reachable(folder: Path) -> Iterator[str]:
    """A path to the folder that is short enough for a socket's address."""
    if _is_short(folder):
        yield str(folder)
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"{_PROC_FD}/{number}"
    finally:
        os.close(number)


def _is_short(folder: Path) -> bool:
    longest = len(str(2**22)) + 1 + 8 + len(_SUFFIX)  # pid, dash, token
    return len(os.fsencode(folder)) + 1 + longest <= _MAX_PATH_BYTES


def _hops(message: bytes) -> int:
    """Anybody of this user may write to the socket: whatever it is, it only makes us look."""
    return min(HOPS, int(message)) if message.isdigit() else 0
