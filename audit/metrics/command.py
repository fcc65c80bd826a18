"""`manage.py aegis metrics ...`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from audit import following, sealer
from audit.metrics import projection


def register() -> None:
    commands.register("metrics", "Count the journal anew, or say how far the counting is.", add_arguments, handle)


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    verbs.add_parser("rebuild", help="empty the metrics and count the whole journal again")
    verbs.add_parser("lag", help="how far the counting is behind; exit code 1 if it is late")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    if options["verb"] == "rebuild":
        sealer.seal()
        following.rebuild(projection.NAME)
        # A worker may count at the same time: then each event is counted by whoever comes first, once.
        counted = following.catch_up(projection.NAME)
        terminal.line(f"{counted:,} events counted here; {sealer.size():,} are in the journal.")
        return 0
    behind = following.lag(projection.NAME)
    terminal.line(f"{behind.events:,} events behind, the oldest {behind.seconds:.0f} s old.")
    return int(behind.is_late)
