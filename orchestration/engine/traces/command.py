"""`manage.py aegis traces ...`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from approvals.pages import words
from audit import exporters, following
from orchestration.engine.traces import exporter


def register() -> None:
    commands.register("traces", "How far the sending of spans is, or leave out what cannot be sent.", add_arguments, handle)


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    verbs.add_parser("lag", help="how far the sending is behind; exit code 1 if it is late")
    verbs.add_parser("skip", help="go to the end of the journal, and send nothing of what waits")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    if not exporter.is_wanted():
        terminal.line("No spans are sent: AEGIS_OTLP_ENDPOINT is not set.")
        return 0
    if options["verb"] == "skip":
        terminal.line(f"{exporters.skip(exporter.NAME):,} events left out.")
        return 0
    behind = following.lag(exporter.NAME)
    terminal.line(f"{behind.events:,} events behind, the oldest {behind.seconds:.0f} s old.")
    for one in exporters.refusals():
        if one.name == exporter.NAME and one.count:
            terminal.line(f"{words.plural(one.count, 'span')} left out, which the collector refuses; the last one: {one.last}.")
    return int(behind.is_late)
