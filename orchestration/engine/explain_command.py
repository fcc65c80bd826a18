"""`manage.py aegis explain may|who|what`: may X do Y on Z now and why, who can do Y, what can X do.

Exit codes: 0 allowed, or lines were told; 1 denied, needs an approval, or is stopped now; 2 wrong use.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import commands
from aegis.core.commands import Terminal
from aegis.identity import cli
from orchestration.authority import live
from orchestration.authority.explain import explain
from orchestration.authority.explainer import Line, Lines
from orchestration.engine import explaining
from orchestration.engine.explaining import Asked


def register() -> None:
    """Called from `engine.wiring.register()`."""
    commands.register(
        "explain", "Ask the access matrix that stands: may X do Y, who can do Y, what can X do.", _arguments, handle
    )


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """With `--as` within what that person may see; without it as whoever may run commands here, who sees all."""
    reader = cli.person_named(options["as"]) if options["as"] else None
    if reader is not None:
        explaining.require_reader(reader)
    matrix = live.current().matrix
    match options["question"]:
        case "may":
            return _may(matrix, options, reader, terminal)
        case "who":
            told = explaining.who(matrix, options["capability"], reader)
            if reader is not None:  # whether or not there are others: that there are any would tell of them
                terminal.note(explaining.ONLY_SEEN)
            if told.is_cut:
                terminal.note(f"The first {explaining.MAX_PEOPLE} people by name; there are more with a cell")
            return _told(told.found, "who", terminal)
        case _:
            return _told(explaining.what(matrix, options["who"], reader).found, "what", terminal)


def _may(matrix: Any, options: dict[str, Any], reader: Any, terminal: Terminal) -> int:
    asked = Asked(
        options["who"], options["capability"], options["on"], options["requester"], options["parameters"], options["record"]
    )
    answer = explaining.may(matrix, asked, reader)
    for sentence in (*explain(answer.verdict), *answer.held):
        terminal.line(sentence)
    return 0 if answer.verdict.answer == "allow" and not answer.held else 1


def _told(found: Lines, side: str, terminal: Terminal) -> int:
    for line in found.lines:
        terminal.line(f"{line.who if side == 'who' else line.capability}: {line.answer}{_because(line)}")
    terminal.note(f"{len(found.lines)} with a cell, {found.silent} without one (denied)")
    return 0


def _because(line: Line) -> str:
    return "".join(f"\n    {one.what} {one.name} {one.says}".rstrip() for one in line.deciders)


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--as", default="", metavar="USERNAME", help="ask as this person, within what he may see")
    questions = parser.add_subparsers(dest="question", required=True)
    may = questions.add_parser("may", help="may X do Y on Z now, and why")
    may.add_argument("who", help="agent:NAME or person:USERNAME")
    may.add_argument("capability")
    may.add_argument("--on", default="", metavar="ID", help="of the resource")
    may.add_argument("--requester", default="", metavar="USERNAME", help="for whom it is done")
    may.add_argument("--parameters", default="", metavar="JSON")
    may.add_argument("--record", default="", metavar="JSON", help="the record as it would be")
    questions.add_parser("who", help="who can do Y").add_argument("capability")
    questions.add_parser("what", help="what can X do").add_argument("who", help="agent:NAME, person:USERNAME or role:NAME")
