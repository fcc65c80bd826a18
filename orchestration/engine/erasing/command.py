"""`manage.py aegis retention`: what retention would empty now; with `--apply`, empty it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from orchestration.engine.erasing import retention


def register() -> None:
    commands.register(
        "retention", "Say what retention would empty now, and what holds keep; --apply: empty it.", _arguments, handle
    )


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--apply", action="store_true", help="empty it now; the sweep does so by itself")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    for one in retention.classes():
        if not one.days:
            terminal.line(f"{one.title}: kept for ever.")
            continue
        due = retention.due(one)
        more = " at least" if due.is_cut else ""
        terminal.line(
            f"{one.title}, {one.days:,} days: {due.payloads:,} payloads of {due.things:,} are due{more};"
            f" holds keep {due.held:,} past their time."
        )
    if options["apply"]:
        terminal.line(f"Emptied {retention.run_through():,} payloads.")
    return 0
