"""The program that runs one suite: `python -I suite_runner.py SUITE BUILD CPU_SECONDS MEMORY_MB`, JUnit XML to stdout.

It limits itself before it imports anything of the suite. Standard library only, and nothing of AEGIS: it runs beside code that
is being judged.
"""

from __future__ import annotations

import io
import os
import re
import resource
import sys
import time
import traceback
import unittest
from pathlib import Path
from types import TracebackType
from typing import Any
from xml.sax.saxutils import escape, quoteattr

FILE_BYTES = 1024 * 1024
OPEN_FILES = 64
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Error = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class Recorder(unittest.TestResult):
    """Writes down what became of each test, as elements of a report."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: list[str] = []
        self._began = 0.0

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        self._began = time.monotonic()

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        self._add(test, "")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        self._add(test, f"<skipped message={_attribute(reason)}/>")

    def addFailure(self, test: unittest.TestCase, err: Error) -> None:  # noqa: N802
        self._add(test, _element("failure", err))

    def addError(self, test: unittest.TestCase, err: Error) -> None:  # noqa: N802
        self._add(test, _element("error", err))

    def addExpectedFailure(self, test: unittest.TestCase, err: Error) -> None:  # noqa: N802
        self._add(test, "")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        self._add(test, '<failure type="UnexpectedSuccess" message="it was expected to fail"/>')

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Error | None) -> None:  # noqa: N802
        if err is not None:
            self._add(subtest, _element("failure" if err[0] and issubclass(err[0], test.failureException) else "error", err))

    def _add(self, test: unittest.TestCase, inside: str) -> None:
        classname, _, name = test.id().rpartition(".")
        seconds = max(0.0, time.monotonic() - self._began) if self._began else 0.0
        self.cases.append(
            f"<testcase classname={_attribute(classname)} name={_attribute(name)} time={_attribute(f'{seconds:.3f}')}>"
            f"{inside}</testcase>"
        )


def _element(name: str, err: Error) -> str:
    kind, value, _ = err
    text = "".join(traceback.format_exception(*err))
    message = str(value).splitlines()[0] if str(value) else ""
    return (
        f"<{name} type={_attribute(kind.__name__ if kind else '')} message={_attribute(message[:500])}>"
        f"{escape(_clean(text[-6000:]))}</{name}>"
    )


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("?", text)


def limit(cpu_seconds: int, memory_mb: int) -> None:
    for what, most in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_mb * 1024 * 1024),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def run(suite: Path, build: Path) -> str:
    """Every `test_*.py` of the suite, against the modules of the build."""
    sys.path[:0] = [str(build), str(suite)]
    recorder = Recorder()
    started = time.monotonic()
    tests: Any = unittest.TestLoader().discover(str(suite), pattern="test_*.py", top_level_dir=str(suite))
    tests.run(recorder)
    seconds = f"{time.monotonic() - started:.3f}"
    cases = "".join(recorder.cases)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites><testsuite name={_attribute(suite.name)}'
        f" time={_attribute(seconds)}>{cases}</testsuite></testsuites>\n"
    )


def main() -> None:
    suite, build, cpu_seconds, memory_mb = sys.argv[1:5]
    limit(int(cpu_seconds), int(memory_mb))
    out = os.dup(1)  # what tests print is no part of the report
    sys.stdout = sys.stderr = io.StringIO()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    report = run(Path(suite), Path(build)).encode()
    while report:
        report = report[os.write(out, report) :]


if __name__ == "__main__":
    main()
