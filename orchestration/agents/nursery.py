"""The process that makes the processes of isolated agents: `python -m orchestration.agents.nursery FD MODULES`, without Django.

It imports the agent modules once and forks a child per call: some milliseconds instead of an interpreter's start. It is single-
threaded, holds no connection to any database and no secret of AEGIS, and knows only what the worker sends over its socket:

    per call, one message with two descriptors: the *channel* (the child reads its request there and writes its answer) and the
    *leash*. When the worker lets go of the leash, the call's processes are killed; when they are gone, what became of the
    child is written to the leash and it is closed.

When the worker dies, its end of the socket closes: everything is killed and this process ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from typing import Final, NoReturn

from aegis.core import canonical
from aegis.core.strangers import described
from orchestration.agents import replies
from orchestration.agents.protocol import AgentRequest, CallFailed
from orchestration.agents.python import ask

WARM_UP_SECONDS: Final = 120  # for importing all modules
WATCH_SECONDS: Final = 0.2  # between looks at how many processes a call has
STRAY_TRIES: Final = 200  # a millisecond each
MAX_PROCESSES: Final = 64  # of one call
MAX_OPEN_FILES: Final = 256
MAX_USER_PROCESSES: Final = 4096  # of this user in all, seen from an agent; a brake behind the watch (root has none)

START: Final = struct.Struct(">I")  # megabytes of memory
LENGTH: Final = struct.Struct(">I")  # of the frame that follows
END: Final = struct.Struct(">cB")  # how a child ended, and a number
EXITED: Final = b"e"  # by itself, with this code
KILLED: Final = b"k"  # by this signal
CROWDED: Final = b"c"  # it made too many processes
UNBORN: Final = b"u"  # the system made no process

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


@dataclass(slots=True)
class _Call:
    pid: int
    leash: socket.socket
    is_crowded: bool = False


class Nursery:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._calls: dict[int, _Call] = {}  # by pid
        self._by_leash: dict[int, int] = {}  # descriptor -> pid
        self._watched_at = 0.0
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll.register(self._woken, select.POLLIN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)

    def run(self) -> None:
        """Until the worker is gone."""
        while True:
            for descriptor, _ in self._poll.poll(WATCH_SECONDS * 1000 if self._calls else None):
                if descriptor == self._control.fileno():
                    if not self._begin():
                        self._kill_all()
                        return
                elif descriptor == self._woken:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                elif descriptor in self._by_leash:
                    _kill(self._by_leash[descriptor])
                    self._poll.unregister(descriptor)  # it stays readable; the end of the child is what comes next
            self._reap()
            self._watch()

    def _begin(self) -> bool:
        """Take one call. False if the worker is gone."""
        message, descriptors, _, _ = socket.recv_fds(self._control, START.size, 2)
        if len(message) < START.size or len(descriptors) != 2:
            return False
        channel, leash = (socket.socket(fileno=descriptor) for descriptor in descriptors)
        try:
            pid = os.fork()
        except OSError:
            _tell(leash, UNBORN, 0)
            channel.close()
            return True
        if pid == 0:
            self._be_child(channel, leash, *START.unpack(message))
        channel.close()
        self._calls[pid] = _Call(pid, leash)
        self._by_leash[leash.fileno()] = pid
        self._poll.register(leash, select.POLLIN)
        return True

    def _be_child(self, channel: socket.socket, leash: socket.socket, memory_mb: int) -> NoReturn:
        try:
            os.setsid()  # a process group of its own: what it starts is killed with it
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in self._calls.values():
                other.leash.close()
            leash.close()
            self._control.close()
            _limit(memory_mb)
            serve(channel)
        finally:
            os._exit(1)

    def _reap(self) -> None:
        """Take leave of children that ended, and of what they left behind."""
        while True:
            try:
                # Only a look: while the dead child is not taken away, its number is nobody else's and its group can be killed.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                self._clear_strays()
                return
            _kill(ended.si_pid)
            os.waitpid(ended.si_pid, 0)
            call = self._calls.pop(ended.si_pid, None)
            if call is None:
                continue
            del self._by_leash[call.leash.fileno()]
            with contextlib.suppress(KeyError):
                self._poll.unregister(call.leash)
            self._clear_strays()
            how = CROWDED if call.is_crowded else EXITED if ended.si_code == os.CLD_EXITED else KILLED
            _tell(call.leash, how, ended.si_status)

    def _clear_strays(self) -> None:
        """Kill children that are no call's: they left their group and lost their parent, so they came to us, their reaper."""
        for _ in range(STRAY_TRIES):  # one that the kernel cannot end now (a dead disk) must not hold up the others
            strays = [pid for pid in _children(os.getpid()) if pid not in self._calls]
            if not strays:
                return
            for pid in strays:
                _kill(pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.001)

    def _watch(self) -> None:
        if time.monotonic() - self._watched_at < WATCH_SECONDS:
            return
        self._watched_at = time.monotonic()
        for call in self._calls.values():
            if not call.is_crowded and _is_crowded(call.pid):
                call.is_crowded = True
                _kill(call.pid)

    def _kill_all(self) -> None:
        for pid in self._calls:
            _kill(pid)
        self._calls.clear()
        self._clear_strays()


def serve(channel: socket.socket) -> NoReturn:
    """In the child: one request, one answer."""
    document = canonical.parse(_read_frame(channel), max_bytes=2 * canonical.MAX_PAYLOAD_BYTES)
    request = AgentRequest(**document["request"])
    try:
        reply = ask(document["callable"], request)
    except BaseException as error:  # KeyboardInterrupt and what an author derived from BaseException
        reply = replies.failed("agent_error", described(error))
    if isinstance(reply, CallFailed):
        answer = {"reply": "failed", "code": reply.code, "detail": reply.detail}
    else:
        answer = replies.to_document(reply)
    raw = canonical.dump(answer)
    channel.sendall(LENGTH.pack(len(raw)) + raw)
    os._exit(0)


def _read_frame(channel: socket.socket) -> bytes:
    parts = b""
    while len(parts) < LENGTH.size or len(parts) < LENGTH.size + LENGTH.unpack(parts[: LENGTH.size])[0]:
        part = channel.recv(65_536)
        if not part:
            os._exit(1)
        parts += part
    return parts[LENGTH.size :]


def _limit(memory_mb: int) -> None:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + memory_mb * 1024 * 1024
    for kind, value in (
        (resource.RLIMIT_AS, most), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_NPROC, MAX_USER_PROCESSES),
    ):  # fmt: skip
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")  # when memory runs out, the kernel takes an agent rather than a worker


def _kill(pid: int) -> None:
    """A child of ours and its process group. The child may be too young to have a group."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _is_crowded(pid: int) -> bool:
    found = [pid]
    for parent in found:  # grows while it is walked
        found.extend(_children(parent))
        if len(found) > MAX_PROCESSES:
            return True
    return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children") as file:
                found.extend(map(int, file.read().split()))
    return found


def _tell(leash: socket.socket, how: bytes, number: int) -> None:
    with contextlib.suppress(OSError):
        leash.send(END.pack(how, number & 0xFF))
    leash.close()


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main(descriptor: str, modules: str) -> None:
    signal.alarm(WARM_UP_SECONDS)  # a module that never ends to load must not stay behind when the worker is gone
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    control = socket.socket(fileno=int(descriptor))
    control.set_inheritable(False)
    for name in json.loads(modules):
        # What fails here failed in the worker too, where the system check tells; its agents are not registered.
        with contextlib.suppress(Exception):
            import_module(name)
    gc.freeze()  # a collection in a child would copy every page it looks at
    signal.alarm(0)
    Nursery(control).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
