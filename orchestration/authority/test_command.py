"""`manage.py aegis test`: the scope tests of all roles, one line each.

Exit codes: 0 all are met; 1 one is not; 2 wrong use.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from aegis.core.errors import NotFound
from aegis.core.kinds import Overlay, get_kind
from orchestration.authority import scope_tests


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("test", "Ask the scope tests of roles of the matrix that stands.", _arguments, handle)


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    overlay = Overlay()
    for name in options["roles"]:
        if get_kind("Role").dump(name) is None:
            raise NotFound(f"There is no role {name!r}")
    found = [one for one in scope_tests.run_all(overlay) if not options["roles"] or one.role in options["roles"]]
    for one in found:
        terminal.line(f"ok    {one.role}: {one.name}" if one.is_met else f"FAIL  {one.role}: {one}")
    failed = sum(not one.is_met for one in found)
    terminal.note(f"{len(found)} scope tests, {failed} not met")
    return 1 if failed else 0


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("roles", nargs="*", metavar="ROLE", help="only tests of these roles")
