"""Logs of a service as files in one folder: `<folder>/<environment>/<service>/*.log`. Nothing outside of it is ever read.

Names are checked, folders and files are opened step by step without following links, and size and number of files are bounded.
What is found is told as lines that matter and signals that they carry.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aegis.core.errors import AegisError, Fault

SAMPLES: Final = Path(__file__).resolve().parent / "logs"
MAX_FILES: Final = 20
MAX_BYTES: Final = 1024 * 1024  # of one file; of a longer one the end is read
MAX_LINES: Final = 40  # told of all files together
MAX_LINE: Final = 300

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}\.log\Z")
_TROUBLE: Final = re.compile(r"\b(ERROR|FATAL|CRITICAL|WARN(?:ING)?|panic|Traceback|Exception|Killed|refused|failed)\b")

#: What a line is a sign of. A line counts for the first that matches.
SIGNALS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("out_of_memory", re.compile(r"OutOfMemory|out of memory|oom-kill|Cannot allocate memory|heap space", re.I)),
    ("disk_full", re.compile(r"No space left on device|disk (?:is )?full|ENOSPC", re.I)),
    ("bad_release", re.compile(r"NoSuchMethod|ImportError|undefined symbol|schema version|unknown column|since release", re.I)),
    (
        "overload",
        re.compile(r"too many (?:connections|requests)|queue is full|backlog|rejected: busy|thread pool exhausted", re.I),
    ),
    ("dependency", re.compile(r"connection refused|upstream timed out|no route to host|temporary failure in name", re.I)),
)


class LogsRefused(AegisError):
    """These logs are not read: a name or a link leads elsewhere, or a file is no text."""

    code, title, http_status = "logs_refused", "These logs may not be read", 403


@dataclass(frozen=True, slots=True)
class Evidence:
    """Attributes:
    files: (name, bytes read) in order.
    lines: "file: text" of the last lines that tell of trouble, oldest first.
    signals: signal -> how many lines carry it.
    """

    files: tuple[tuple[str, int], ...]
    lines: tuple[str, ...]
    signals: dict[str, int]


def folder() -> Path:
    """Where logs lie: AEGIS_OPS_LOGS, or the samples."""
    named = os.environ.get("AEGIS_OPS_LOGS")
    return Path(named) if named else SAMPLES


def gather(environment: str, service: str, *, root: Path | None = None) -> Evidence:
    """What the logs of a service tell. A service without logs has empty evidence.

    Raises:
        LogsRefused: a name that is none, a link on the way, a file that is no regular file or no text, or too many files.
    """
    files: list[tuple[str, int]] = []
    found: list[str] = []
    signals: dict[str, int] = {}
    for name, content in _contents(root or folder(), environment, service):
        files.append((name, len(content)))
        for line in _text(name, content).splitlines():
            signal = next((one for one, pattern in SIGNALS if pattern.search(line)), "")
            if signal:
                signals[signal] = signals.get(signal, 0) + 1
            if signal or _TROUBLE.search(line):
                found.append(f"{name}: {line.strip()}"[:MAX_LINE])
    return Evidence(tuple(files), tuple(found[-MAX_LINES:]), dict(sorted(signals.items())))


def _contents(root: Path, environment: str, service: str) -> Iterator[tuple[str, bytes]]:
    for name in (environment, service):
        if not _NAME.match(name):
            raise _refused(f"{name[:60]!r} is no name of an environment or a service")
    with ExitStack() as stack:
        try:
            top = stack.enter_context(_opened(root, None))
            middle = stack.enter_context(_opened(environment, top))
            below = stack.enter_context(_opened(service, middle))
        except FileNotFoundError:
            return
        names = sorted(name for name in os.listdir(below) if _FILE.match(name))
        if len(names) > MAX_FILES:
            raise _refused(f"{service} has {len(names)} log files; at most {MAX_FILES} are read")
        for name in names:
            yield name, _read(name, below)


@contextmanager
def _opened(name: str | Path, parent: int | None) -> Iterator[int]:
    """A folder below another one. A link would be followed nowhere: it is refused."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | (os.O_NOFOLLOW if parent is not None else 0), dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refused(f"{name} is no folder of logs ({error.strerror})") from None
    try:
        yield handle
    finally:
        os.close(handle)


def _read(name: str, parent: int) -> bytes:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError as error:
        raise _refused(f"{name} cannot be read ({error.strerror})") from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refused(f"{name} is no file")
        if status.st_size > MAX_BYTES:
            file.seek(-MAX_BYTES, os.SEEK_END)
            file.readline()  # the rest of a line that began before
        return file.read(MAX_BYTES)


def _text(name: str, content: bytes) -> str:
    if b"\0" in content:
        raise _refused(f"{name} is no text")
    return content.decode("utf-8", errors="replace")


def _refused(what: str) -> LogsRefused:
    return LogsRefused(what, faults=[Fault("", what)])
