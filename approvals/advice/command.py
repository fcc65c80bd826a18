"""`manage.py aegis policies advise [NAME]`: what the history of policies says about their thresholds. Reads only."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from aegis.core import canonical, commands
from aegis.core.commands import Terminal
from aegis.core.errors import NotFound
from aegis.core.visibility import one_look
from aegis.identity import cli
from approvals.advice import advising, reading
from approvals.advice.cases import Advice
from approvals.models import ApprovalPolicy


def register() -> None:
    commands.register("policies", "Say what the history of approval policies advises.", add_arguments, handle)


def add_arguments(parser: ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="verb", required=True)
    advise = verbs.add_parser("advise", help="fast path, quorum and deadline, each with its evidence; changes nothing")
    advise.add_argument("name", nargs="?", default="", metavar="NAME", help="one policy; all, if left out")
    advise.add_argument("--as", required=True, metavar="USERNAME", help="whose sight: requests he may not see are not counted")
    advise.add_argument(
        "--days",
        type=int,
        choices=reading.DAYS,
        default=reading.DEFAULT_DAYS,
        help=f"how far back; {reading.DEFAULT_DAYS} if not given",
    )


def handle(options: dict[str, Any], terminal: Terminal) -> int:
    """0, whatever is advised; an unknown or hidden policy is refused."""
    person = cli.person_named(options["as"])
    rows = ApprovalPolicy.objects.visible_to(person).order_by("name")
    rows = rows.filter(name=options["name"]) if options["name"] else rows
    found = list(rows)
    if options["name"] and not found:
        raise NotFound(f"There is no policy {options['name']!r} that {person.username} may see")
    for row in found:
        with one_look():
            advice = advising.of_policy(canonical.parse(row.document), reading.read(person, row, options["days"]))
        _tell(row, advice, terminal)
    return 0


def _tell(row: ApprovalPolicy, advice: list[Advice], terminal: Terminal) -> None:
    terminal.line(row.name)
    for one in advice:
        terminal.line(f"  {'!' if one.is_proposal else '-'} {one.says}")
        for sentence in one.because:
            terminal.line(f"      {sentence}")
        for figure in one.figures:
            terminal.line(f"      {figure.count} {figure.label}")
