"""The connector for Python callables in a process of their own: killed with all they started when the time is up.

A worker has one nursery (`nursery.py`), started with the first call; it forks a child per call. The child has limits of memory,
processes and open files, none of the worker's sockets, and of its environment only what `ENVIRONMENT` and the setting
AEGIS_AGENT_ENVIRONMENT name. It is a wall against mistakes (endless loops, crashes, leaks), not against malice: it runs as the
same user, sees the same files and the same network.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Final

from django.conf import settings

from aegis.core import canonical, clock
from aegis.core.errors import Malformed
from orchestration.agents import autoload, nursery, replies
from orchestration.agents.connectors import DEFAULT_MEMORY_MB
from orchestration.agents.dialing import remaining
from orchestration.agents.protocol import AgentRequest, CallFailed, Reply
from orchestration.workflows.definition import AgentVersion

ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
GONE_SECONDS: Final = 1.5  # for the processes of a call that was ended to be gone
_CHUNK: Final = 64 * 1024
_MAX_REQUEST_BYTES: Final = 2 * canonical.MAX_PAYLOAD_BYTES


class _Lost(Exception):
    """The process ended, or was ended, without an answer."""


def call(agent: AgentVersion, request: AgentRequest, *, fence: int, timeout: timedelta) -> Reply | CallFailed:
    """Ask an agent once, in a process of its own that is gone when this returns with a failure. Ends by `timeout`."""
    deadline = clock.monotonic() + timeout.total_seconds()
    asked = canonical.parse(replies.request_document(request, agent.settings, fence=fence), max_bytes=_MAX_REQUEST_BYTES)
    del asked["fence"]  # for those who act by themselves; a callable proposes
    asked["traceparent"] = request.traceparent
    body = canonical.dump({"callable": agent.callable, "request": asked})
    try:
        raw = _ask(body, agent.connection.get("memory_mb", DEFAULT_MEMORY_MB), deadline)
        return _read(raw)
    except TimeoutError:
        return replies.failed("timeout", f"no answer within {timeout.total_seconds():g} s; its processes were killed")
    except _Lost as error:
        return replies.failed("agent_error", str(error))
    except Malformed as error:
        return replies.failed("contract", str(error))
    except OSError as error:
        return replies.failed("agent_error", f"no process could be started ({error.strerror or type(error).__name__})")


def _read(raw: bytes) -> Reply | CallFailed:
    document = canonical.parse(raw, max_bytes=replies.MAX_REPLY_BYTES)
    if isinstance(document, dict) and document.get("reply") == "failed":
        detail = document.get("detail")
        code = "contract" if document.get("code") == "contract" else "agent_error"
        return replies.failed(code, detail if isinstance(detail, str) else "it failed without saying why")
    return replies.from_document(document)


def _ask(body: bytes, memory_mb: int, deadline: float) -> bytes:
    channel, theirs = socket.socketpair()
    leash, their_leash = socket.socketpair()
    is_done = False
    try:
        with theirs, their_leash:
            _nursery.bear(theirs, their_leash, memory_mb, deadline)
        answer = _converse(channel, leash, nursery.LENGTH.pack(len(body)) + body, deadline)
        is_done = True
        return answer
    finally:
        channel.close()
        if not is_done:
            _await_end(leash)
        leash.close()


def _converse(channel: socket.socket, leash: socket.socket, request: bytes, deadline: float) -> bytes:
    """Write the request, read one frame; whichever the child is ready for.

    Raises:
        _Lost, TimeoutError, Malformed: a frame that is too large.
    """
    channel.setblocking(False)
    poll = select.poll()
    poll.register(channel, select.POLLIN | select.POLLOUT)
    poll.register(leash, select.POLLIN)
    unsent, received = memoryview(request), bytearray()
    while True:
        ready = dict(poll.poll(remaining(deadline) * 1000))
        state = ready.get(channel.fileno(), 0)
        if state & select.POLLOUT and unsent:
            with contextlib.suppress(OSError):  # it does not read; what it says, or how it ended, is read below
                unsent = unsent[channel.send(unsent[:_CHUNK]) :]
            if not unsent:
                poll.modify(channel, select.POLLIN)
        if state & (select.POLLIN | select.POLLHUP | select.POLLERR):
            is_open = _receive(channel, received)
            if (frame := _frame(received)) is not None:
                return frame
            if not is_open:
                raise _Lost(_how_it_ended(leash))
        elif leash.fileno() in ready:
            raise _Lost(_how_it_ended(leash))


def _receive(channel: socket.socket, received: bytearray) -> bool:
    """Take what is there. False at the end."""
    try:
        data = channel.recv(_CHUNK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    received += data
    return bool(data)


def _frame(received: bytearray) -> bytes | None:
    """The first frame, if it is whole.

    Raises:
        Malformed: it says that it is larger than an answer may be.
    """
    if len(received) < nursery.LENGTH.size:
        return None
    (length,) = nursery.LENGTH.unpack(received[: nursery.LENGTH.size])
    if length > replies.MAX_REPLY_BYTES:
        raise Malformed(f"the answer is larger than {replies.MAX_REPLY_BYTES:,} bytes")
    end = nursery.LENGTH.size + length
    return bytes(received[nursery.LENGTH.size : end]) if len(received) >= end else None


def _how_it_ended(leash: socket.socket) -> str:
    leash.settimeout(0.5)
    try:
        how, number = nursery.END.unpack(leash.recv(nursery.END.size))
    except TimeoutError:
        return "it closed its end without an answer"
    except Exception:  # cut short: the nursery is gone
        return "the process that starts agents was lost"
    if how == nursery.KILLED:
        with contextlib.suppress(ValueError):
            return f"its process was killed by {signal.Signals(number).name}"
    return {
        nursery.EXITED: f"its process ended with code {number} and no answer",
        nursery.CROWDED: f"it made more than {nursery.MAX_PROCESSES} processes",
        nursery.UNBORN: "the system could not make another process",
    }.get(how, f"its process was killed by signal {number}")


def _await_end(leash: socket.socket) -> None:
    """Let the leash go, and wait until the nursery says that all is gone: whoever asks again finds no rest of this call."""
    with contextlib.suppress(OSError):
        leash.shutdown(socket.SHUT_WR)
        leash.settimeout(GONE_SECONDS)
        while leash.recv(nursery.END.size):
            pass


class _Nursery:
    """The nursery of this process, started when it is needed and again when it died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def bear(self, channel: socket.socket, leash: socket.socket, memory_mb: int, deadline: float) -> None:
        """Have a child made for one call.

        Raises:
            TimeoutError, OSError
        """
        for is_last in (False, True):
            with self._lock:
                control = self._running()
            try:
                _send(control, nursery.START.pack(memory_mb), [channel.fileno(), leash.fileno()], deadline)
                return
            except TimeoutError:
                raise
            except OSError:
                self._forget(control)
                if is_last:
                    raise

    def _running(self) -> socket.socket:
        if self._control is not None:
            return self._control
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", nursery.__name__, str(theirs.fileno()), json.dumps(autoload.configured())],
                pass_fds=[theirs.fileno()],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a signal to the worker's group lets calls in flight end in peace; we close the socket
            )
        control.setblocking(False)
        self._control = control
        return control

    def _forget(self, control: socket.socket) -> None:
        with self._lock:
            if self._control is not control:
                return
            control.close()
            self._control = None
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def forget_parent(self) -> None:
        """In a forked child: the nursery is the parent's, and must see the parent's end when that dies."""
        if self._control is not None:
            self._control.close()


def _send(control: socket.socket, message: bytes, descriptors: list[int], deadline: float) -> None:
    """One packet. Packets of several threads do not mix, so there is no lock to wait for while the nursery warms up."""
    poll = select.poll()
    poll.register(control, select.POLLOUT)
    while True:
        poll.poll(remaining(deadline) * 1000)
        with contextlib.suppress(BlockingIOError):
            socket.send_fds(control, [message], descriptors)
            return


def _environment() -> dict[str, str]:
    allowed = {*ENVIRONMENT, *settings.AGENT_ENVIRONMENT}
    passed = {name: value for name, value in os.environ.items() if name in allowed}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    # A forked child has one thread; libraries for numbers start a pool of them in the nursery unless told not to.
    return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **passed, "PYTHONPATH": path}


_nursery = _Nursery()


def _start_over() -> None:
    global _nursery
    _nursery.forget_parent()
    _nursery = _Nursery()


os.register_at_fork(after_in_child=_start_over)
