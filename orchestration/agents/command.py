"""`manage.py aegis agents`: which agents may work; disable one, or enable it again.

Exit codes: 0 done, or it was so already; 2 wrong use, or refused.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid
from aegis.identity import cli
from orchestration.agents import registry
from orchestration.agents.models import Agent


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("agents", "Disable an agent or enable it again; alone: list them.", _arguments, handle)


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """Without a verb: say which agents are enabled."""
    if not options["verb"]:
        return _list(terminal)
    name, is_enabled = options["name"], options["verb"] == "enable"
    if not name:
        raise Invalid("Say which agent")
    is_new = registry.switch(name, is_enabled, actor=cli.actor_or_system(options), reason=options["reason"])
    terminal.line(f"{name} is {'' if is_new else 'already '}{_state(is_enabled)}.")
    return 0


def _list(terminal: Terminal) -> int:
    rows = Agent.objects.order_by("name")
    for row in rows:
        terminal.line(f"{row.name}: {_state(row.is_enabled)}")
    if not rows:
        terminal.line("There are no agents.")
    return 0


def _state(is_enabled: bool) -> str:
    return "enabled" if is_enabled else "disabled"


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("verb", nargs="?", default="", choices=["disable", "enable", ""])
    parser.add_argument("name", nargs="?", default="", metavar="NAME")
    cli.add_who_and_why(parser)
