"""`manage.py aegis key create|revoke`: API keys from the command line. The secret is printed once and kept nowhere."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from aegis.core import clock
from aegis.core.commands import Terminal
from aegis.identity import api_keys, cli

HELP = "make or end an API key of a person"
DAYS = 90


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    create = verbs.add_parser("create", help="prints the key once")
    create.add_argument("--label", required=True, help="what it is for")
    create.add_argument("--days", type=int, default=DAYS, help=f"until it ends (default {DAYS}, at most 365)")
    revoke = verbs.add_parser("revoke", help="ends a key")
    revoke.add_argument("prefix", help="the part after aegis_")
    for verb in (create, revoke):
        verb.add_argument("--as", dest="username", required=True, help="whose key it is")
        verb.add_argument("--reason", default="asked for on the command line")


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """
    Raises:
        NotFound: no such active person, or no such key.
    """
    person = cli.person_named(options["username"])
    actor = cli.actor_for(person)
    if options["verb"] == "revoke":
        api_keys.revoke(options["prefix"], actor=actor, reason=options["reason"])
        terminal.line(f"{options['prefix']} is revoked.")
        return 0
    until = clock.now() + timedelta(days=options["days"])
    made = api_keys.create(person.pk, options["label"], expires_at=until, actor=actor, reason=options["reason"])
    terminal.line(made.token)
    terminal.note(f"Acts as {person.username} until {until:%d %B %Y}. It is not shown again.")
    return 0
