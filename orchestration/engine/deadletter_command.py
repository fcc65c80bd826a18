"""`manage.py aegis dead-letters list|redrive`: what cannot proceed, and sending it on, as a person.

Exit codes: 0 all were sent on (or listed), 1 some were refused, 2 wrong use.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands, durations
from aegis.core.commands import Terminal
from aegis.core.errors import Invalid
from aegis.identity import cli
from aegis.identity.models import User
from orchestration.engine import deadletters
from orchestration.engine.deadletters import MAX_AT_ONCE, DeadLetter, Filters


def register() -> None:
    """Called from `engine.wiring.register()`."""
    commands.register("dead-letters", "List what cannot proceed, or send it on once its cause is mended.", _arguments, handle)


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """What may be seen and sent on is what the person named by --as may: there is no way around the queues' rights here."""
    person = cli.person_named(options["as"], hint="say who acts with --as USERNAME")
    if options["verb"] == "list":
        return _list(options, person, terminal)
    return _redrive(options, person, terminal)


def _list(options: dict[str, Any], person: User, terminal: Terminal) -> int:
    found, following = deadletters.find(person, _filters(options), limit=options["limit"])
    for letter in found:
        terminal.line(_line(letter))
    terminal.note(f"{len(found)} dead letters{', and more behind them' if following else ''}.")
    return 0


def _redrive(options: dict[str, Any], person: User, terminal: Terminal) -> int:
    if bool(options["ids"]) == options["all"]:
        raise Invalid("Name ids, or say --all for those that the filters find")
    ids = options["ids"]
    if options["all"]:
        ids = [letter.id for letter in deadletters.find(person, _filters(options), limit=MAX_AT_ONCE)[0]]
        if not ids:
            terminal.note("Nothing is stuck.")
            return 0
    actor = cli.actor_for(person)
    results = deadletters.redrive_many(ids, person=person, actor=actor, reason=options["reason"])
    for result in results:
        terminal.line(f"{result.id} done" if result.is_done else f"{result.id} refused {result.code}: {result.detail}")
    refused = sum(not result.is_done for result in results)
    terminal.note(f"{len(results) - refused} sent on, {refused} refused.")
    return 1 if refused else 0


def _line(letter: DeadLetter) -> str:
    where = f"queue {letter.item.queue.name}" if letter.item else "failed"
    says = " needs-statement" if letter.needs_statement else ""
    since = f"{letter.since:%Y-%m-%dT%H:%M:%SZ}"
    code = f"{letter.code}({','.join(letter.behind)})" if letter.behind else letter.code
    return f"{letter.id} {since} {letter.run.workflow.name}/{letter.step} {code} {letter.run.label} {where}{says}"


def _filters(options: dict[str, Any]) -> Filters:
    age = options["older_than"]
    texts = {name: options[name] for name in ("code", "workflow", "step", "agent", "capability")}
    return Filters(**texts, older_than=durations.parse(age) if age else None)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("verb", choices=["list", "redrive"])
    parser.add_argument("ids", nargs="*", help="ids as `list` prints them")
    for name in ("code", "workflow", "step", "agent", "capability"):
        parser.add_argument(f"--{name}", default="", help=f"only of this {name}")
    parser.add_argument("--older-than", default="", metavar="DURATION", help="such as 15m or 7d")
    parser.add_argument("--all", action="store_true", help=f"redrive: all that the filters find, the newest {MAX_AT_ONCE}")
    parser.add_argument("--limit", type=int, default=100, help="list: at most so many")
    parser.add_argument("--as", default="", metavar="USERNAME", help="the person who acts")
    parser.add_argument("--reason", default="", help="what was mended; recorded at every one")
