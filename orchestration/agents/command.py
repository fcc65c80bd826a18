"""`manage.py aegis agents`: which agents may work; disable one, or enable it again; issue, list and revoke signing secrets.

Exit codes: 0 done, or it was so already; 2 wrong use, or refused.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any, Final

from aegis.core import clock, commands
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid
from aegis.identity import cli
from orchestration.agents import credentials, registry
from orchestration.agents.models import Agent, AgentCredential

DAYS: Final = 90


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register("agents", "Disable or enable agents, issue their signing secrets; alone: list them.", _arguments, handle)


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """Without a verb: say which agents are enabled."""
    if not options["verb"]:
        return _list(terminal)
    name = options["name"]
    if not name:
        raise Invalid("Say which agent")
    if options["verb"] in ("disable", "enable"):
        return _switch(options, name, terminal)
    if options["verb"] == "issue":
        return _issue(options, name, terminal)
    if options["verb"] == "revoke":
        return _revoke(options, name, terminal)
    return _secrets(name, terminal)


def _switch(options: dict[str, Any], name: str, terminal: Terminal) -> int:
    is_enabled = options["verb"] == "enable"
    is_new = registry.switch(name, is_enabled, actor=cli.actor_or_system(options), reason=options["reason"])
    terminal.line(f"{name} is {'' if is_new else 'already '}{_state(is_enabled)}.")
    return 0


def _issue(options: dict[str, Any], name: str, terminal: Terminal) -> int:
    now = clock.now()
    overlap = options["others_end_in"]
    issued = credentials.issue(
        name,
        expires_at=now + timedelta(days=options["days"]),
        others_end_in=None if overlap is None else timedelta(days=overlap),
        actor=cli.actor_or_system(options),
        reason=options["reason"],
    )
    terminal.line(issued.secret)
    terminal.note(f"{issued.credential.prefix} signs calls to {name} until {issued.credential.expires_at:%d %B %Y}.")
    terminal.note("It is not shown again.")
    return 0


def _revoke(options: dict[str, Any], name: str, terminal: Terminal) -> int:
    if not options["secret"]:
        raise Invalid("Say which secret; `agents secrets NAME` lists them")
    is_new = credentials.revoke(name, options["secret"], actor=cli.actor_or_system(options), reason=options["reason"])
    terminal.line(f"{options['secret']} is {'' if is_new else 'already '}revoked.")
    return 0


def _secrets(name: str, terminal: Terminal) -> int:
    now = clock.now()
    rows = AgentCredential.objects.filter(agent=registry.id_of(name)).order_by("created_at")
    for row in rows:
        used = f"last used {row.last_used_on:%Y-%m-%d}" if row.last_used_on else "never used"
        state = "revoked" if row.revoked_at else "ended" if row.expires_at <= now else "valid"
        terminal.line(f"{row.prefix}: {state}, until {row.expires_at:%Y-%m-%d %H:%M} UTC, {used}")
    if not rows:
        terminal.line(f"{name} was issued no signing secret.")
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
    parser.add_argument("verb", nargs="?", default="", choices=["disable", "enable", "secrets", "issue", "revoke", ""])
    parser.add_argument("name", nargs="?", default="", metavar="NAME")
    parser.add_argument("secret", nargs="?", default="", metavar="SECRET", help="revoke: which; `secrets` lists them")
    parser.add_argument("--days", type=int, default=DAYS, help=f"issue: until it ends (default {DAYS}, at most 366)")
    parser.add_argument("--others-end-in", type=int, metavar="DAYS", help="issue: how long those valid now go on; else as long")
    cli.add_who_and_why(parser)
