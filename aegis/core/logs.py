"""What a line of the log looks like, and how errors are written to it: what kind, and where it broke, never in their own words.

Lines are text for people, or one JSON object each for machines (`AEGIS_LOG_FORMAT`); ours and those of libraries have the same
keys. What is said while a run's call is made names the run, whoever says it (`of_run`).

An error quotes what it was about: a value that cannot be read, a row that breaks a rule. Whoever reads logs has no right to
that; people with the right read it on the page of the run, where it is masked for all others (docs/adr/0024).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars

from aegis.core.errors import AegisError

FORMS: Final = ("text", "json")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure(form: str, level: str) -> dict[str, Any]:
    """Set structlog up, which our own code logs with; what is returned sets up the standard library, for the others.

    Args:
        form: one of `FORMS`.
        level: the least that is written, a name of the standard library's.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=processors(form),
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    formatter = {"()": JsonFormatter} if form == "json" else {"()": Formatter, "format": _LINE}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "django": {"handlers": ["stderr"], "level": level.upper(), "propagate": False},
            "django.request": {"level": "ERROR"},  # a refusal is an answer; only faults of ours are worth a line
        },
    }


def processors(form: str) -> list[Any]:
    """What structlog does to an entry, the last of it a line.

    Tracebacks come without the errors' own words. Where `rich` is installed structlog would take it: it writes every local
    variable to the log, and needs up to a second for one fault.
    """
    common = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.dev.set_exc_info,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "text":
        return [*common, structlog.dev.ConsoleRenderer(exception_formatter=write_exception)]
    return [
        *common,
        structlog.processors.ExceptionRenderer(lambda info: where(info[1])),
        _add_process,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def of_run(run: object, step: str, trace: str) -> AbstractContextManager[None]:
    """What this thread logs meanwhile names run, step and trace, in the lines of agents, handlers and libraries, too."""
    return bound_contextvars(run=str(run), step=step, trace=trace)


def kind_of(error: BaseException) -> str:
    """Its type, and its code where it has one: "IntegrityError (23505)", "Invalid (invalid)"."""
    names = ("code",) if isinstance(error, AegisError) else ("sqlstate", "sqlite_errorname")
    code = next((found for name in names if (found := getattr(error, name, None))), "")
    return f"{type(error).__qualname__} ({code})" if code else type(error).__qualname__


def where(error: BaseException) -> str:
    """The tracebacks of an error and of those it came from, the first one first."""
    parts = []
    for one in reversed([*_chain(error)]):
        parts += [*traceback.format_tb(one.__traceback__), f"{kind_of(one)}\n"]
    return "".join(parts).rstrip("\n")


def write_exception(out: TextIO, exc_info: ExcInfo) -> None:
    """structlog's exception formatter."""
    out.write(where(exc_info[1]))


class Formatter(logging.Formatter):
    """For libraries, which log through the standard library."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging calls it so
        return where(ei[1]) if ei and ei[1] is not None else ""


class JsonFormatter(Formatter):
    """The same lines for libraries as our own: `event`, `level`, `timestamp`, `process`, `logger`, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            **get_contextvars(),
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            "process": record.process,
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=repr)


_LINE: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


def _add_process(_logger: object, _name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    entry["process"] = os.getpid()
    return entry


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
