"""Who acts on the command line: the person named by `--as`, or the system itself."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core.actors import SYSTEM, Actor, user_actor
from aegis.core.errors import NotFound
from aegis.identity.models import User

AUTH = "cli"  # how a person proves himself here: by reaching the command line


def person_named(username: str, *, hint: str = "") -> User:
    """
    Args:
        hint: what to do about it, where naming somebody is not optional.

    Raises:
        NotFound: nobody active is called so.
    """
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None:
        raise NotFound(f"There is no active person {username!r}{f': {hint}' if hint else ''}")
    return person


def actor_for(person: User) -> Actor:
    return user_actor(person.pk, auth=AUTH)


def actor_or_system(options: dict[str, Any]) -> Actor:
    """A person, by `--as`; else AEGIS itself, as whoever may run commands here speaks for it."""
    return actor_for(person_named(options["as"])) if options["as"] else SYSTEM


def add_who_and_why(parser: ArgumentParser) -> None:
    """The arguments of a verb that the system may do too; `actor_or_system` reads the first."""
    parser.add_argument("--as", default="", metavar="USERNAME", help="the person who acts; without it the system itself")
    parser.add_argument("--reason", default="", help="why; recorded")
