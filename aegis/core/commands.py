"""The words after `manage.py aegis`: each app registers its own at start-up (`AppConfig.ready`)."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a subcommand writes. `out` is for results (pipes, files), `err` for progress and faults."""

    out: TextIO
    err: TextIO

    def line(self, text: str = "") -> None:
        self.out.write(text + "\n")

    def note(self, text: str = "") -> None:
        self.err.write(text + "\n")


AddArguments = Callable[[ArgumentParser], None]
# Gets the parsed options and the terminal; returns the exit code (0 good, 1 the answer is bad, 2 wrong use).
Handle = Callable[[dict[str, Any], Terminal], int]


@dataclass(frozen=True, slots=True)
class Subcommand:
    name: str
    help: str
    add_arguments: AddArguments
    handle: Handle


_subcommands: dict[str, Subcommand] = {}


def register(name: str, help: str, add_arguments: AddArguments, handle: Handle) -> None:
    """Add `manage.py aegis <name>`.

    Raises:
        ValueError: another app has taken the name.
    """
    known = _subcommands.get(name)
    if known is not None and known.handle is not handle:
        raise ValueError(f"manage.py aegis {name} is registered twice")
    _subcommands[name] = Subcommand(name, help, add_arguments, handle)


def all_subcommands() -> list[Subcommand]:
    return [_subcommands[name] for name in sorted(_subcommands)]
