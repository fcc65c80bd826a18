"""`manage.py aegis found` and `password`: the first people of an installation, and a password for an account. Told once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from aegis.identity import cli, founding


def register() -> None:
    """Called from `AppConfig.ready()`."""
    commands.register(
        "found", "The first people of a fresh installation, who may give all others their rights; once.", _names, found
    )
    commands.register("password", "A new password for a person, printed once.", _name, password)


def found(options: dict[str, Any], terminal: Terminal) -> int:
    made = founding.found(options["usernames"], reason=options["reason"])
    for one in made:
        terminal.line(f"{one.person.username} {one.password}")
    terminal.note(f"They are in “{founding.GROUP}”. The passwords are not shown again; change them after signing in.")
    if len(made) == 1:
        terminal.note(
            "One person alone cannot widen his own rights, nor approve a guarded change: give somebody else rights soon."
        )
    return 0


def password(options: dict[str, Any], terminal: Terminal) -> int:
    person = cli.person_named(options["username"])
    terminal.line(f"{person.username} {founding.new_password(person)}")
    terminal.note("It is not shown again.")
    return 0


def _names(parser: ArgumentParser) -> None:
    parser.add_argument("usernames", nargs="+", metavar="USERNAME")
    parser.add_argument("--reason", default="The first people of this installation", help="why; recorded")


def _name(parser: ArgumentParser) -> None:
    parser.add_argument("username", metavar="USERNAME")
