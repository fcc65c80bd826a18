"""Run a shipped test suite against one build of it, in a process of its own with limits, and get its JUnit report.

What is run is named, never given by path: suites and builds are folders below `suites/`. The process has an empty environment,
a scratch folder as its working directory, limits of processor time, memory, files and output, and is killed with its group.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from aegis.core.errors import AegisError, Fault, NotFound

from .junit import MAX_BYTES

SUITES: Final = Path(__file__).resolve().parent / "suites"
RUNNER: Final = Path(__file__).resolve().parent / "suite_runner.py"
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


class SuiteFailed(AegisError):
    """The suite gave no report: it hung, crashed or wrote too much. Nothing can be said about the build."""

    code, title, http_status = "suite_failed", "The test suite gave no report", 502


def run_suite(
    suite: str, build: str, *, seconds: float = 30, cpu_seconds: int = 10, memory_mb: int = 512, root: Path = SUITES
) -> bytes:
    """The report of all tests of a suite against one build.

    Raises:
        NotFound: there is no such suite or build.
        SuiteFailed: no report within the limits.
    """
    folder = _known(root, suite, "suite")
    tested = _known(folder, build, f"build of {suite}")
    with tempfile.TemporaryDirectory(prefix="qa-release-") as scratch:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, our program, and folders that were looked up
            [sys.executable, "-I", "-B", str(RUNNER), str(folder), str(tested), str(cpu_seconds), str(memory_mb)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        try:
            report = _read(process, time.monotonic() + seconds, seconds)
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            raise _failed(f"{suite} {build}: it did not end") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout:
                process.stdout.close()
    if code != 0:
        raise _failed(f"{suite} {build}: {_how_it_ended(code, cpu_seconds)}")
    return report


def _known(folder: Path, name: str, what: str) -> Path:
    """The folder of this name directly below another one; names that could lead elsewhere are unknown."""
    below = folder / name if isinstance(name, str) and _NAME.match(name) else None
    if below is None or below.is_symlink() or not below.is_dir():
        known = sorted(one.name for one in folder.iterdir() if one.is_dir() and _NAME.match(one.name))
        raise NotFound(f"There is no {what} {name!r}; known are {', '.join(known)}")
    return below


def _read(process: subprocess.Popen[bytes], deadline: float, seconds: float) -> bytes:
    """All it writes, until it closes its end."""
    assert process.stdout is not None
    received = bytearray()
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    while True:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise _failed(f"no report within {seconds:g} s; its processes were killed")
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            return bytes(received)
        received += chunk
        if len(received) > MAX_BYTES:
            raise _failed(f"its report is larger than {MAX_BYTES:,} bytes")


def _how_it_ended(code: int, cpu_seconds: int) -> str:
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return f"it was stopped at its limit ({cpu_seconds} s of processor time)"
    return f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code} and no report"


def _failed(what: str) -> SuiteFailed:
    return SuiteFailed(what, faults=[Fault("", what)])
