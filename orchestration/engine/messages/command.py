"""`manage.py aegis message`: send a message to a run, as a person. Exit codes: 0 sent (or known), 2 wrong use, or refused."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from aegis.core import canonical, commands
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid
from aegis.identity import cli
from orchestration.engine.messages.verbs import send_message


def register() -> None:
    """Called from `engine.wiring.register()`."""
    commands.register("message", "Send a message to the run that waits for it.", _arguments, handle)


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    person = cli.person_named(options["as"], hint="say who sends it with --as USERNAME")
    sent = send_message(
        options["workflow"] or None,
        options["name"],
        options["key"],
        canonical.parse(_read(options["file"])),
        person=person,
        actor=cli.actor_for(person),
        idempotency_key=options["idempotency_key"] or None,
    )
    terminal.line(f"{sent.message.pk} {sent.message.status}{'' if sent.is_new else ', sent before'}")
    return 0


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read(canonical.MAX_PAYLOAD_BYTES + 1)
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{name} cannot be read: {error}") from None


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="of the message, such as payment-received")
    parser.add_argument("key", help="what it is about")
    parser.add_argument("file", help="its payload as JSON; - reads standard input")
    parser.add_argument("--workflow", default="", help="whose runs may get it; left out: any whose runs you may start")
    parser.add_argument("--as", default="", metavar="USERNAME", help="the person who sends it")
    parser.add_argument("--idempotency-key", default="", help="the same key again is the same message")
