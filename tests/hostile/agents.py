"""Python agents that misbehave in every way we could think of (HAZARDS F18, F19). Imported where isolated agents run."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from orchestration.agents.protocol import Abstain, AgentRequest, Done, PythonAgent, python_agent

#: Kind of misbehaviour -> the name it is registered under.
KINDS: dict[str, str] = {}

#: What a browser would run if a page printed it as it is.
PAYLOAD = "<script>document.title='owned'</script><img src=x onerror=alert(1)>{{7*7}}</pre>"


def kind(name: str) -> Callable[[Callable[[AgentRequest], Any]], Callable[[AgentRequest], Any]]:
    def register(behave: Callable[[AgentRequest], Any]) -> Callable[[AgentRequest], Any]:
        KINDS[name] = f"hostile.{name.replace(' ', '-')}"
        python_agent(KINDS[name])(behave)
        return behave

    return register


def answering(name: str, make: Callable[[], Any]) -> None:
    kind(name)(lambda _: make())


def channel() -> socket.socket:
    """The socket to the worker, found as a stranger would: among the open descriptors."""
    for descriptor in range(3, 200):
        try:
            found = socket.socket(fileno=os.dup(descriptor))
            found.getpeername()
        except OSError:
            continue
        return found
    raise AssertionError("no channel")


def raw(data: bytes) -> None:
    """Write past the protocol, straight to the worker."""
    channel().sendall(data)
    os._exit(0)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Liar(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


class Quiet(BaseException):
    """Not an Exception."""


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


# --- answers that are none ---
answering("none", lambda: None)
answering("text", lambda: "hello")
answering("class", lambda: Done)
answering("nan", lambda: Done(float("nan")))
answering("infinity", lambda: Done({"a": float("inf")}))
answering("set", lambda: Done({"a": {1}}))
answering("bytes", lambda: Done(b"x"))
answering("liar", lambda: Done(Liar(a=1)))
answering("big integer", lambda: Done(2**60))
answering("nul", lambda: Done({"a": "x\x00y"}))
answering("surrogate", lambda: Done("\ud800"))
answering("deep", lambda: Done(deep(10_000)))
answering("100 MB", lambda: Done("x" * 100_000_000))
answering("million keys", lambda: Done({str(n): n for n in range(1_000_000)}))
answering("confidence", lambda: Done({}, confidence=float("nan")))
answering("sources", lambda: Done({}, sources=("x" * 1_000,)))
answering("usage", lambda: Done({}, usage={"tokens": -1}))
answering("abstain nul", lambda: Abstain("a\x00"))
answering("payload in rationale", lambda: Done({"text": PAYLOAD}, rationale=PAYLOAD, sources=(PAYLOAD,), model=PAYLOAD[:100]))
answering("payload in reason", lambda: Abstain(PAYLOAD))


# --- exceptions ---
@kind("raises")
def _(_: AgentRequest) -> Any:
    raise ValueError(PAYLOAD)


@kind("raises without text")
def _(_: AgentRequest) -> Any:
    raise Unspeakable


@kind("raises no exception")
def _(_: AgentRequest) -> Any:
    raise Quiet


@kind("interrupt")
def _(_: AgentRequest) -> Any:
    raise KeyboardInterrupt


@kind("exit")
def _(_: AgentRequest) -> Any:
    sys.exit(0)


def _again(request: AgentRequest) -> Any:
    return _again(request)


kind("recursion")(_again)


# --- ends ---
@kind("_exit 0")
def _(_: AgentRequest) -> Any:
    os._exit(0)


@kind("_exit 3")
def _(_: AgentRequest) -> Any:
    os._exit(3)


@kind("kills itself")
def _(_: AgentRequest) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


@kind("kills its group")
def _(_: AgentRequest) -> Any:
    os.killpg(0, signal.SIGKILL)


@kind("segfault")
def _(_: AgentRequest) -> Any:
    ctypes.string_at(0)


@kind("abort")
def _(_: AgentRequest) -> Any:
    os.abort()


@kind("stops itself")
def _(_: AgentRequest) -> Any:
    os.kill(os.getpid(), signal.SIGSTOP)


@kind("kills the nursery")
def _(_: AgentRequest) -> Any:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


# --- hangs ---
@kind("sleeps")
def _(_: AgentRequest) -> Any:
    time.sleep(60)


@kind("loops")
def _(_: AgentRequest) -> Any:
    while True:
        pass


@kind("blocks in C")
def _(_: AgentRequest) -> Any:
    ctypes.PyDLL(None).sleep(60)  # with the interpreter's lock held


@kind("ignores signals")
def _(_: AgentRequest) -> Any:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    while True:
        time.sleep(60)


@kind("deadlock")
def _(_: AgentRequest) -> Any:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@kind("waits for a thread")
def _(_: AgentRequest) -> Any:
    thread = threading.Thread(target=time.sleep, args=(60,))
    thread.start()
    thread.join()


# --- children ---
@kind("child that sleeps")
def _(_: AgentRequest) -> Any:
    subprocess.run(["sleep", "60"], check=False)


@kind("grandchildren that sleep")
def _(_: AgentRequest) -> Any:
    subprocess.run(["sh", "-c", "sh -c 'sleep 60 & sleep 60' & wait"], check=False)


@kind("leaves its session")
def _(_: AgentRequest) -> Any:
    subprocess.Popen(["sleep", "61"], start_new_session=True)
    time.sleep(60)


@kind("daemon stays behind")
def _(_: AgentRequest) -> Any:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(62)
        os._exit(0)
    return Done({"left": "a daemon"})


@kind("fork bomb")
def _(_: AgentRequest) -> Any:
    while True:
        os.fork()


@kind("thread bomb")
def _(_: AgentRequest) -> Any:
    while True:
        threading.Thread(target=time.sleep, args=(60,)).start()


# --- resources ---
@kind("eats memory")
def _(_: AgentRequest) -> Any:
    kept = []
    while True:
        kept.append(bytearray(10_000_000))


@kind("no descriptors left")
def _(_: AgentRequest) -> Any:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    return subprocess.run(["true"], check=True)


@kind("opens files")
def _(_: AgentRequest) -> Any:
    kept = []
    while True:
        kept.append(open("/dev/null"))  # noqa: SIM115


@kind("prints for ever")
def _(_: AgentRequest) -> Any:
    while True:
        sys.stdout.write("x" * 1_000_000)
        sys.stderr.write("y" * 1_000_000)


# --- past the protocol ---
def framed(name: str, body: bytes, length: int | None = None) -> None:
    kind(name)(lambda _: raw(struct.pack(">I", len(body) if length is None else length) + body))


kind("raw garbage")(lambda _: raw(os.urandom(4) + b"garbage"))
framed("raw length lies", b"{}", 1000)
framed("raw 4 GB promised", b"{}", 2**32 - 1)
framed("raw nothing", b"")
framed("raw no JSON", b"{,}")
framed("raw duplicate keys", b'{"reply":"done","output":1,"output":2}')
framed("raw 1e400", b'{"reply":"done","output":1e400}')
framed("raw not UTF-8", b"\xff\xfe")
framed("raw call", b'{"reply":"call"}')
framed("raw failure with no detail", b'{"reply":"failed","code":["x"]}')
framed("raw pickle", b"cos\nsystem\n(S'id'\ntR")


@kind("raw 100 MB")
def _(_: AgentRequest) -> Any:
    raw(struct.pack(">I", 300_000) + b"[" * 100_000_000)


@kind("raw drip")
def _(_: AgentRequest) -> Any:
    sock = channel()
    for byte in struct.pack(">I", 300) + b" " * 300:
        sock.send(bytes([byte]))
        time.sleep(0.25)


@kind("closes the channel")
def _(_: AgentRequest) -> Any:
    os.closerange(3, 200)
    time.sleep(60)


@kind("does not read")
def _(_: AgentRequest) -> Any:
    gc.collect()
    channel().shutdown(socket.SHUT_RD)
    time.sleep(60)


def good(request: AgentRequest) -> Any:
    return Done({"echo": request.input, "limit": request.settings.get("limit"), "pid": os.getpid()})


def about(_: AgentRequest) -> Any:
    """What a child can see of where it runs."""
    return Done(
        {
            "environment": dict(os.environ),
            "modules": sorted({name.split(".")[0] for name in sys.modules}),
            "descriptors": sorted(
                os.readlink(f"/proc/self/fd/{name}").split(":")[0] for name in os.listdir("/proc/self/fd")[:-1]
            ),
            "session": os.getsid(0) == os.getpid(),
        }
    )


_good: PythonAgent = python_agent("hostile-not.good")(good)
_about: PythonAgent = python_agent("hostile-not.about")(about)
