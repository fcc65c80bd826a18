"""How errors are written to logs: what kind, and where it broke, but never in their own words.

An error quotes what it was about: a value that cannot be read, a row that breaks a rule. Whoever reads logs has no right to
that; people with the right read it on the page of the run, where it is masked for all others (docs/adr/0024).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, TextIO

from aegis.core.errors import AegisError

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
